//! What can go wrong here, for the caller and for the operator.

use fangshi_database::{ScriptError, WriteError};
use fangshi_tenants::{AuditError, CustodyError, RegistryError, TenantsError};
use thiserror::Error;

/// Why a step of the journal failed. In every case nothing was written.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The lane's epoch is another one: somebody else entered the lane. The caller must stop working on it.
    #[error("the lane's epoch is stale: nothing was written")]
    Stale,
    /// The installation has sent as many effects on the order as it may for now.
    #[error("more effects on this order than are allowed: nothing was written")]
    TooManyEffects,
    /// The installation would keep more of its own than it may; attempts side by side took the room.
    #[error("{limit}: {allowed} allowed: nothing was written")]
    KvFull {
        /// `kv_keys` or `kv_bytes`.
        limit: &'static str,
        /// How many.
        allowed: u64,
    },
    /// The store failed (disk full, say). The step may be tried again.
    #[error("the store can't be written")]
    Write(#[from] WriteError),
    /// A statement failed.
    #[error("the store can't be read or written")]
    Sql(#[from] sqlx::Error),
    /// A column could not be sealed or unsealed: the tenant's key is missing or the row was tampered with.
    #[error("a sealed column can't be sealed or read")]
    Custody(#[from] CustodyError),
    /// A tenant's own rows can't be read or changed.
    #[error(transparent)]
    Tenants(TenantsError),
    /// The entry of the audit could not be written, so the change was not made.
    #[error("the audit can't be written")]
    Audit(#[source] AuditError),
    /// The installation's own row could not be changed.
    #[error("the installation can't be changed")]
    Registry(#[source] RegistryError),
    /// What was named does not exist.
    #[error("{0} does not exist")]
    NotFound(String),
    /// A row holds what this version never writes.
    #[error("a stored row is not as expected: {0}")]
    Corrupt(String),
}

impl From<TenantsError> for JournalError {
    fn from(error: TenantsError) -> Self {
        match error {
            TenantsError::Custody(error) => JournalError::Custody(error),
            TenantsError::Write(error) => JournalError::Write(error),
            TenantsError::Sql(error) => JournalError::Sql(error),
            other => JournalError::Tenants(other),
        }
    }
}

/// Of a script without conditions of its own: see `step`.
impl From<ScriptError> for JournalError {
    fn from(error: ScriptError) -> Self {
        match error {
            ScriptError::Refused(_) => JournalError::Corrupt("a condition of a step".to_owned()),
            ScriptError::Write(error) => JournalError::Write(error),
        }
    }
}

impl JournalError {
    /// Whether the caller lost its lane, as against a failing store.
    pub fn is_stale(&self) -> bool {
        matches!(self, JournalError::Stale)
    }
}
