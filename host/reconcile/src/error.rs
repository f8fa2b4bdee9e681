//! What can go wrong here, for the operator: nobody calls reconciliation.

use fangshi_journal::JournalError;
use thiserror::Error;

/// Why a visit ended early. The next one goes on.
#[derive(Debug, Error)]
pub enum ReconcileError {
    /// The store failed.
    #[error("reconciliation can't read or write the store")]
    Journal(#[from] JournalError),
    /// Facts could not be turned into JSON.
    #[error("facts of an order have no JSON form")]
    Facts(#[source] serde_json::Error),
}
