//! Who: the tenants, what they entrusted to the host, and which plugins work for them.
//!
//! [`Tenants`] keeps the directory of tenants in memory, so that a callback finds its tenant without SQL. Four rooms
//! lie behind it: the [`Vault`] seals every column that carries platform or merchant data under a key per tenant,
//! wrapped by the [`Kek`]; [`Custody`] keeps the platform's tokens fresh, refreshing each once however many tasks or
//! processes ask; [`Decodes`] does the same for decoded buyer data; [`Onboarding`] follows authorizations given and taken
//! back; the [`Registry`] knows plugins, versions, installations and their grants. Two more tell who may and who did:
//! [`Access`] keeps the tokens of the admin API and the links to the merchant page, the [`Audit`] every change with its
//! [`Actor`], in one chain.
//!
//! Nothing but this crate can read a token at rest, and nothing but `operations` asks for one.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod access;
mod audit;
mod custody;
mod decodes;
mod directory;
mod envelope;
mod error;
mod flights;
mod kek;
mod life;
mod onboarding;
mod refusals;
mod registry;
mod secret;
mod tenant;
mod tenant_rows;
mod tenants;
#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests compare tokens")]
mod tests;
mod to_the_end;
mod vault;

pub use access::{Access, Door, LinkRecord, NewToken, Role, TokenRecord};
pub use audit::{
    Action, Actor, Audit, AuditFilter, AuditRecord, Broken, CutHead, Entry, ExportedHead, Head, Restored, Verified,
    head, read_heads, verify,
};
pub use custody::{
    AccessToken, AuthorizerInfo, ComponentCredentials, ComponentHealth, Custody, IssueError, Issued, Issuer,
};
pub use decodes::{Begun, Came, DECODES_A_DAY, DecodeAsk, DecodeTicket, DecodeUsage, Decodes, ShownAddress};
pub use error::{AccessError, AuditError, CustodyError, KekError, RegistryError, TenantsError, TokenError};
pub use flights::Flights;
pub use kek::{Kek, KeyWrap, Rotated, rotate};
pub use life::{Deletion, Erased, ErasedList, Retention};
pub use onboarding::{
    AccountView, Arrived, Authorization, AuthorizationChange, Authorizer, AuthorizerPage, ChangeKind, FreshLink, Link,
    LinkOpening, LinkState, ListedAuthorizer, NewLink, Onboarding, PreAuthCode, Stepped, Walked,
};
pub use refusals::Refusal;
pub use registry::{
    Conduct, Declared, Expected, Fault, GrantAsked, Installation, InstallationPatch, InstallationState, MOST_SCHEDULES,
    ManifestRecord, Misfit, NewInstallation, PausedBy, PluginRecord, Property, PropertyKind, Quarantine, Quarantined,
    Ran, Registry, Schedule, ScheduleRecord, SchemaProblem, SecretValues, SettingsSchema, Stop, Terms, Timetable,
    USUAL_ZONE, UploadLimits, VersionRecord, Words,
};
pub use tenant::{
    Allotment, CallbackKeys, Credentials, NewTenant, Platform, StateChange, SuspendedBy, Tenant, TenantKind,
    TenantPatch, TenantState,
};
pub use tenants::Tenants;
pub use vault::{Place, Vault};

pub use fangshi_database::{
    AttemptId, AuthorizationId, Clock, Digest, EventSeq, InstallationId, LinkId, ManualClock, ParseIdError, PluginId,
    RunId, TenantId, TokenId,
};
