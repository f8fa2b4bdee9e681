//! What the registry knows about plugins, versions and installations.

use std::collections::BTreeSet;
use std::sync::Arc;

use fangshi_database::{Digest, InstallationId, PluginId, RunId, TenantId};
use serde::{Deserialize, Serialize};

/// What a component's type says: its exports are the subscription, its imports the grants asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestRecord {
    /// The hooks it exports: `on-pay`, …
    pub hooks: Vec<String>,
    /// The grants it asks for.
    pub grants: Vec<GrantAsked>,
}

/// An interface that a component imports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantAsked {
    /// The interface's name, which is the grant's.
    pub name: String,
    /// The functions it uses, as detail: consent is to the whole interface.
    pub functions: Vec<String>,
}

/// A plugin: a name under which versions are uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginRecord {
    /// Its id.
    pub id: PluginId,
    /// Whose.
    pub tenant: TenantId,
    /// Unique within the tenant.
    pub name: String,
    /// When its first version came, unix ms.
    pub created_at: i64,
}

/// A version: one immutable component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionRecord {
    /// Its place in the order of uploads: the cursor of lists.
    pub number: i64,
    /// The sha256 of its bytes: its name.
    pub digest: Digest,
    /// Whose.
    pub tenant: TenantId,
    /// Of which plugin.
    pub plugin: PluginId,
    /// That plugin's name.
    pub plugin_name: String,
    /// Bytes.
    pub size: u64,
    /// Hooks and grants.
    pub manifest: ManifestRecord,
    /// Unix ms.
    pub uploaded_at: i64,
    /// When the operator approved these bytes, unix ms.
    pub approved_at: Option<i64>,
    /// Who did, as the audit names them.
    pub approved_by: Option<String>,
}

/// Whether an installation gets events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstallationState {
    /// It does.
    Active,
    /// Not now.
    Paused,
    /// Never again; it is kept because its runs name it.
    Removed,
}

/// A version at work for a tenant. A snapshot: ask the registry again for the current one.
#[derive(Debug, Clone, Serialize)]
pub struct Installation {
    /// Its id.
    pub id: InstallationId,
    /// Whose.
    pub tenant: TenantId,
    /// Of which plugin.
    pub plugin: PluginId,
    /// That plugin's name.
    pub plugin_name: String,
    /// The version.
    pub version: Digest,
    /// The hooks of the version.
    pub hooks: Vec<String>,
    /// What it may use.
    pub grants: BTreeSet<String>,
    /// What the plugin reads with `settings`.
    pub settings: Arc<serde_json::Value>,
    /// Limits other than the defaults.
    pub limits: serde_json::Value,
    /// Active, paused, removed.
    pub state: InstallationState,
    /// Why, if the host paused it for its faults.
    pub quarantine: Option<Quarantine>,
    /// Unix ms.
    pub created_at: i64,
    /// Unix ms.
    pub updated_at: i64,
    /// Unix ms, if removed.
    pub removed_at: Option<i64>,
}

/// Why the host paused an installation: its runs ended badly by its own fault, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quarantine {
    /// Since then, unix ms.
    pub since: i64,
    /// How many of them.
    pub faults: u32,
    /// The code of the last one's outcome.
    pub outcome: String,
    /// Its figure, in the host's own words.
    pub figure: Option<String>,
    /// The last one.
    pub run: Option<RunId>,
}

/// What must hold besides when a version is installed. The default asks for nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// The operator must have approved the version.
    pub approval: bool,
    /// How many installations of the tenant may hear one hook.
    pub hooks_per_event: Option<u64>,
}

/// An installation to make.
#[derive(Debug, Clone)]
pub struct NewInstallation {
    /// The plugin.
    pub plugin: PluginId,
    /// Which of its versions.
    pub version: Digest,
    /// The consent: must be the grants that the version asks for, and no others.
    pub grants: BTreeSet<String>,
    /// A JSON object.
    pub settings: serde_json::Value,
    /// A JSON object.
    pub limits: serde_json::Value,
}

/// Changes of an installation; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct InstallationPatch {
    /// Pause or resume; removing has a step of its own.
    pub state: Option<InstallationState>,
    /// Replace by another version of the same plugin. If it asks for other grants, they must be given too.
    pub version: Option<Digest>,
    /// A new consent.
    pub grants: Option<BTreeSet<String>>,
    /// New settings.
    pub settings: Option<serde_json::Value>,
    /// New limits.
    pub limits: Option<serde_json::Value>,
}

impl InstallationState {
    pub(crate) fn code(self) -> &'static str {
        match self {
            InstallationState::Active => "active",
            InstallationState::Paused => "paused",
            InstallationState::Removed => "removed",
        }
    }

    pub(crate) fn from_code(code: &str) -> Option<InstallationState> {
        [InstallationState::Active, InstallationState::Paused, InstallationState::Removed]
            .into_iter()
            .find(|state| state.code() == code)
    }
}
