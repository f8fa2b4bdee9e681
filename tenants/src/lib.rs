//! Who: the tenants, what they entrusted to the host, and which plugins work for them.
//!
//! [`Tenants`] keeps the directory of tenants in memory, so that a callback finds its tenant without SQL. Three rooms
//! lie behind it: the [`Vault`] seals every column that carries platform or merchant data under a key per tenant,
//! wrapped by the [`Kek`]; [`Custody`] keeps the platform's tokens fresh, refreshing each once however many tasks or
//! processes ask; the [`Registry`] knows plugins, versions, installations and their grants.
//!
//! Nothing but this crate can read a token at rest, and nothing but `operations` asks for one.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod custody;
mod directory;
mod envelope;
mod error;
mod kek;
mod refusals;
mod registry;
mod tenant;
mod tenant_rows;
mod tenants;
#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests compare tokens")]
mod tests;
mod to_the_end;
mod vault;

pub use custody::{AccessToken, ComponentCredentials, Custody, IssueError, Issued, Issuer};
pub use error::{CustodyError, KekError, RegistryError, TenantsError, TokenError};
pub use kek::Kek;
pub use refusals::Refusal;
pub use registry::{
    GrantAsked, Installation, InstallationPatch, InstallationState, ManifestRecord, NewInstallation, PluginRecord,
    Registry, VersionRecord,
};
pub use tenant::{
    CallbackKeys, Credentials, NewTenant, Platform, StateChange, Tenant, TenantKind, TenantPatch, TenantState,
};
pub use tenants::Tenants;
pub use vault::{Place, Vault};

pub use fangshi_database::{
    AttemptId, Clock, Digest, EventSeq, InstallationId, ManualClock, ParseIdError, PluginId, RunId, TenantId,
};
