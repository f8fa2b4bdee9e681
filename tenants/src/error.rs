//! What can go wrong here. Messages are for the caller; none of them carries a secret.

use std::path::PathBuf;

use fangshi_database::{Digest, InstallationId, TenantId, TokenId, WriteError};

use crate::registry::Misfit;

/// The key-encryption key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    /// The key file cannot be read or made.
    #[error(
        "cannot use the key file {}: {cause}; it must be a file that this process may read, or, where one is to be made, in a \
         folder that it may write to",
        .path.display()
    )]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The text is no key.
    #[error("{place} holds no key: expected 64 hex digits, as in the file that Fangshi made at its first start")]
    Malformed {
        /// The file, or where else the text came from.
        place: String,
    },
    /// The store is sealed and its key is not there.
    #[error(
        "the store is sealed under the key {wanted}, and there is no key file {}: point [custody] key_file to the file \
         that holds {wanted} (a backup of the data folder never contains it)",
        .path.display()
    )]
    Missing {
        /// The file that was looked for.
        path: PathBuf,
        /// The id of the key wanted.
        wanted: String,
    },
    /// The store could not be asked whether it is sealed already.
    #[error("the store cannot be read")]
    Sql(#[from] sqlx::Error),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(String),
    /// What was to be opened was damaged, moved, or wrapped by another key.
    #[error("the key {id} does not open this")]
    NotOurs {
        /// The key.
        id: String,
    },
    /// The key is kept elsewhere and cannot be reached: try later.
    #[error("the key {id} cannot be reached: {cause}")]
    Unreached {
        /// The key.
        id: String,
        /// What the other side said; no secret.
        cause: String,
    },
}

/// A value cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum CustodyError {
    /// The tenant has no data key: unknown, or deleted.
    #[error("{tenant} has no data key")]
    NoKey {
        /// Whose.
        tenant: TenantId,
    },
    /// The sealed value was damaged, or belongs elsewhere: another row, column, tenant or key.
    #[error("the sealed value of {table}.{column} of {tenant} does not open: it was damaged or moved")]
    Unsealable {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// Whose.
        tenant: TenantId,
    },
    /// The system gives no random bytes, or the value is beyond what the cipher takes.
    #[error("cannot seal: {0}")]
    Seal(String),
}

/// What can go wrong between a step and its rows; each room has its own error that contains it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error(transparent)]
    Custody(#[from] CustodyError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

macro_rules! contains_store_error {
    ($($error:ident),*) => {$(
        impl From<StoreError> for $error {
            fn from(error: StoreError) -> Self {
                match error {
                    StoreError::Custody(error) => $error::Custody(error),
                    StoreError::Write(error) => $error::Write(error),
                    StoreError::Sql(error) => $error::Sql(error),
                }
            }
        }
    )*};
}

contains_store_error!(TenantsError, TokenError, RegistryError, AuditError, AccessError);

/// Tenants cannot be opened, made or changed.
#[derive(Debug, thiserror::Error)]
pub enum TenantsError {
    /// The key given is not the one the store is sealed under.
    #[error(
        "the store is sealed under the key {wanted}, and the key given is {given}: point [custody] key_file to the file \
         that holds {wanted} (a backup of the data folder never contains it)"
    )]
    WrongKey {
        /// The id of the key wanted.
        wanted: String,
        /// The id of the key given.
        given: String,
    },
    /// A rotation needs another key.
    #[error("the store is under the key {id} already: name a file with another key, or one that does not exist yet")]
    SameKey {
        /// The key.
        id: String,
    },
    /// The key-encryption key cannot be used.
    #[error(transparent)]
    Kek(#[from] KekError),
    /// Key rows of the store do not open under the right key.
    #[error("key rows of the store are damaged ({what}): restore a backup of the data folder")]
    DamagedKeys {
        /// Which.
        what: String,
    },
    /// The list of deletions that lies outside of the store can't be kept: nobody is deleted.
    #[error("cannot keep the list of deletions {}: {cause}", .file.display())]
    ErasedList {
        /// The file.
        file: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The appid is taken.
    #[error("appid {appid} already belongs to {tenant}: change that tenant instead of making another")]
    DuplicateAppid {
        /// The appid.
        appid: String,
        /// Who has it.
        tenant: TenantId,
    },
    /// No such tenant.
    #[error("there is no tenant {0}")]
    Unknown(TenantId),
    /// Other processes kept taking the number of a new tenant: try again.
    #[error("the number of the new tenant was taken by another process: try again")]
    NumberTaken,
    /// An active tenant is not deleted.
    #[error("{0} is active: suspend it before deleting it")]
    StillActive(TenantId),
    /// A member of the request cannot be used.
    #[error("`{member}` {problem}")]
    Invalid {
        /// The member's name.
        member: &'static str,
        /// What is wrong and what is expected.
        problem: String,
    },
    /// The platform cannot be asked on behalf of the component.
    #[error("{0}")]
    Component(String),
    /// A value cannot be sealed or opened.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// The store refused the change.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Sql(#[from] sqlx::Error),
}

/// There is no usable access token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// No such tenant.
    #[error("there is no tenant {0}")]
    Unknown(TenantId),
    /// The platform refuses to refresh: the merchant must authorize again (platform page 6, codes 61023, 42007, …).
    #[error("the authorization of {tenant} has ended ({code}): the merchant must authorize again")]
    Reauthorize {
        /// Whose.
        tenant: TenantId,
        /// The platform's code; 0 if there is no refresh token at all.
        code: i64,
    },
    /// The tenant is suspended: no calls are made for it.
    #[error("{tenant} is suspended: {reason}")]
    Suspended {
        /// Which.
        tenant: TenantId,
        /// Why.
        reason: String,
    },
    /// The merchant took the authorization back: no calls are made for the tenant.
    #[error("the merchant of {tenant} took the authorization back: {reason}")]
    Revoked {
        /// Which.
        tenant: TenantId,
        /// How that became known.
        reason: String,
    },
    /// The component (third-party platform) is not configured or has no ticket yet.
    #[error("no component token: {0}")]
    Component(String),
    /// The platform refused, for a reason that a new authorization does not cure.
    #[error("the platform refused a token ({code}): {message}")]
    Refused {
        /// The platform's code.
        code: i64,
        /// The platform's words.
        message: String,
    },
    /// The platform cannot be reached, or did not answer in time.
    #[error("no token can be had now: {0}")]
    Unavailable(String),
    /// This kind of tenant has no such tokens.
    #[error("{0} is of a kind that has no access token")]
    NoTokens(TenantId),
    /// A value cannot be sealed or opened.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// The store refused the change.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Sql(#[from] sqlx::Error),
}

/// Plugins and installations cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No such tenant.
    #[error("there is no tenant {0}")]
    UnknownTenant(TenantId),
    /// The tenant has no such plugin.
    #[error("there is no plugin {0}")]
    UnknownPlugin(String),
    /// The tenant's plugin has no such version.
    #[error("there is no version {0} of this plugin")]
    UnknownVersion(Digest),
    /// The tenant has no such installation.
    #[error("there is no installation {0}")]
    UnknownInstallation(InstallationId),
    /// The installation was removed; a removed one stays as it is.
    #[error("installation {0} is removed: install the version anew")]
    Removed(InstallationId),
    /// The grants given are not the grants asked for.
    #[error("{}", grants_text(.missing, .unknown))]
    Grants {
        /// Asked for by the version and not granted.
        missing: Vec<String>,
        /// Granted and not asked for by the version.
        unknown: Vec<String>,
    },
    /// Settings do not fit the schema of the version.
    #[error("{}", settings_text(.misfits, *.kept))]
    Settings {
        /// Each setting that does not fit, at least one.
        misfits: Vec<Misfit>,
        /// They are those that the installation has, and another version shall read them.
        kept: bool,
    },
    /// A member of the request cannot be used.
    #[error("`{member}` {problem}")]
    Invalid {
        /// The member's name.
        member: &'static str,
        /// What is wrong and what is expected.
        problem: String,
    },
    /// The tenant has uploaded as much as it may.
    #[error("the tenant's uploads are used up: at most {most} {of}")]
    UploadsUsedUp {
        /// The limit.
        most: u64,
        /// Of what.
        of: &'static str,
    },
    /// The operator has not approved the version yet, and must first.
    #[error("version {0} waits for the operator's approval")]
    NotApproved(Digest),
    /// No key that the host trusts signed the version's bytes.
    #[error("no key that this host trusts signed version {0}")]
    NotSigned(Digest),
    /// The operator took the approval of the version back.
    #[error("the operator took the approval of version {0} back")]
    Revoked(Digest),
    /// A merchant asks for what the operator's pause forbids.
    #[error("the operator paused installation {0}, and alone lets its plugin go on")]
    PausedByOperator(InstallationId),
    /// As many installations of the tenant hear a hook as may.
    #[error("{hearing} installations of {tenant} hear `{hook}`, and it may have {allowed}")]
    HooksPerEvent {
        /// Whose.
        tenant: TenantId,
        /// Which hook.
        hook: String,
        /// How many hear it without this one.
        hearing: u64,
        /// How many may.
        allowed: u64,
    },
    /// A stored value cannot be read back.
    #[error("a stored value of {0} is damaged")]
    Damaged(&'static str),
    /// A value cannot be sealed or opened.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// The store refused the change.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Sql(#[from] sqlx::Error),
}

/// The audit cannot be written, read or exported.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file of exported heads cannot be used.
    #[error("the exported heads in {}: {problem}", .path.display())]
    Heads {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A value cannot be sealed or opened.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// The store refused the entry.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Sql(#[from] sqlx::Error),
}

/// Tokens and links of the admin API cannot be made, read or revoked.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// No such tenant.
    #[error("there is no tenant {0}")]
    UnknownTenant(TenantId),
    /// No such token.
    #[error("there is no token {0}")]
    UnknownToken(TokenId),
    /// A member of the request cannot be used.
    #[error("`{member}` {problem}")]
    Invalid {
        /// The member's name.
        member: &'static str,
        /// What is wrong and what is expected.
        problem: String,
    },
    /// A value cannot be sealed or opened.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// The store refused the change.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Sql(#[from] sqlx::Error),
}

fn settings_text(misfits: &[Misfit], kept: bool) -> String {
    let whose =
        if kept { "the installation's settings do not fit the version" } else { "`settings` do not fit the version" };
    let told: Vec<String> = misfits.iter().map(ToString::to_string).collect();
    format!("{whose}: {}", told.join("; "))
}

fn grants_text(missing: &[String], unknown: &[String]) -> String {
    let mut parts = Vec::new();
    if !missing.is_empty() {
        parts.push(format!("the version asks for grants that are missing: {}", missing.join(", ")));
    }
    if !unknown.is_empty() {
        parts.push(format!("grants that the version does not ask for: {}", unknown.join(", ")));
    }
    parts.join("; ")
}
