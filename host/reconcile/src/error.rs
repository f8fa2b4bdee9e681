//! What can go wrong here, for the operator: nobody calls reconciliation.

use fangshi_journal::JournalError;
use fangshi_tenants::CustodyError;
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

impl ReconcileError {
    /// Whether it is about the rows of one order, as against the store.
    pub fn is_of_one_order(&self) -> bool {
        match self {
            ReconcileError::Journal(JournalError::Custody(CustodyError::Unsealable { .. })) => true,
            ReconcileError::Journal(JournalError::Corrupt(_)) | ReconcileError::Facts(_) => true,
            ReconcileError::Journal(_) => false,
        }
    }
}
