//! What can go wrong when lanes start.

use fangshi_journal::JournalError;
use thiserror::Error;

/// Lanes could not be started.
#[derive(Debug, Error)]
pub enum LanesError {
    /// The journal could not be read.
    #[error("the journal can't be read: {0}")]
    Journal(#[from] JournalError),
}
