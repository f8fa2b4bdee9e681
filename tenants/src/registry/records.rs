//! What the registry knows about plugins, versions and installations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fangshi_database::{Digest, InstallationId, PluginId, RunId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::schedule::{Schedule, ScheduleRecord};
use super::settings::SettingsSchema;

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

/// All that a component says of itself.
#[derive(Debug, Clone)]
pub struct Declared {
    /// Its type.
    pub manifest: ManifestRecord,
    /// What it says about its settings.
    pub settings: Option<SettingsSchema>,
    /// The key that signed its bytes, if a signature was asked for.
    pub signed_by: Option<String>,
}

impl From<ManifestRecord> for Declared {
    fn from(manifest: ManifestRecord) -> Self {
        Declared { manifest, settings: None, signed_by: None }
    }
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
    /// What it says about its settings.
    pub settings_schema: Option<SettingsSchema>,
    /// Unix ms.
    pub uploaded_at: i64,
    /// When the operator approved these bytes, unix ms.
    pub approved_at: Option<i64>,
    /// Who did, as the audit names them.
    pub approved_by: Option<String>,
    /// When the operator took the approval back, unix ms; none once it was given again.
    pub revoked_at: Option<i64>,
    /// The key that signed these bytes, if a signature was asked for when they came.
    pub signed_by: Option<String>,
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

/// Who asked for a pause, and so who ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PausedBy {
    /// The operator, who alone ends it.
    Operator,
    /// The merchant; the operator may end it as well.
    Merchant,
}

/// A version at work for a tenant. A snapshot: ask the registry again for the current one.
#[derive(Clone, Serialize)]
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
    /// What was set, secrets included: for pages there is [`Installation::shown_settings`].
    #[serde(skip)]
    pub settings: Arc<Value>,
    /// Names of the settings whose values are never shown again.
    pub secrets: BTreeSet<String>,
    /// What the version says about its settings.
    #[serde(skip)]
    pub schema: Option<SettingsSchema>,
    /// Limits other than the defaults.
    pub limits: Value,
    /// When `on-schedule` is called. From memory, the next tick and the skipped ones may be older ones.
    pub schedules: Vec<ScheduleRecord>,
    /// Active, paused, removed.
    pub state: InstallationState,
    /// Who asked for its pause; none if it works, or the host paused it. A removed one keeps what it was.
    pub paused_by: Option<PausedBy>,
    /// Why, if the host paused it for its faults.
    pub quarantine: Option<Quarantine>,
    /// Versions that put it into quarantine and that nobody let go on since.
    pub quarantined: BTreeSet<Digest>,
    /// Versions of its plugin whose approval the operator took back.
    pub revoked: BTreeSet<Digest>,
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

/// Why runs of a version do not go on, whatever version their installation has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// It put the installation into quarantine, and another version took its place.
    Quarantined,
    /// The operator took its approval back.
    Revoked,
}

impl Stop {
    /// The reason for which such a run is parked.
    pub fn code(self) -> &'static str {
        match self {
            Stop::Quarantined => "quarantined",
            Stop::Revoked => "revoked",
        }
    }
}

/// What must hold besides when a version is installed. The default asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// The operator must have approved the version.
    pub approval: bool,
    /// One of these keys must have signed the version.
    pub signers: Option<Arc<[String]>>,
    /// How many installations of the tenant may hear one hook.
    pub hooks_per_event: Option<u64>,
}

/// An installation to make.
#[derive(Clone)]
pub struct NewInstallation {
    /// The plugin.
    pub plugin: PluginId,
    /// Which of its versions.
    pub version: Digest,
    /// The consent: must be the grants that the version asks for, and no others.
    pub grants: BTreeSet<String>,
    /// A JSON object.
    pub settings: Value,
    /// A JSON object.
    pub limits: Value,
    /// When `on-schedule` is called.
    pub schedules: Vec<Schedule>,
}

/// Changes of an installation; what is `None` stays.
#[derive(Clone, Default)]
pub struct InstallationPatch {
    /// Pause or resume; removing has a step of its own.
    pub state: Option<InstallationState>,
    /// Replace by another version of the same plugin. If it asks for other grants, they must be given too.
    pub version: Option<Digest>,
    /// A new consent.
    pub grants: Option<BTreeSet<String>>,
    /// New settings, all of them; secrets that are left out or empty stay.
    pub settings: Option<Value>,
    /// New limits.
    pub limits: Option<Value>,
    /// New schedules, all of them; those that stay as they are go on.
    pub schedules: Option<Vec<Schedule>>,
}

impl Installation {
    /// Whether the operator took back the approval of its version: its events wait.
    pub fn is_revoked(&self) -> bool {
        self.revoked.contains(&self.version)
    }

    /// Versions other than the one at work whose runs do not go on.
    pub fn stopped(&self) -> BTreeMap<Digest, Stop> {
        let quarantined = self.quarantined.iter().map(|version| (*version, Stop::Quarantined));
        let revoked = self.revoked.iter().map(|version| (*version, Stop::Revoked));
        quarantined.chain(revoked).filter(|(version, _)| *version != self.version).collect()
    }

    /// The settings without the secrets among them.
    pub fn shown_settings(&self) -> Value {
        let Some(members) = self.settings.as_object() else { return Value::Object(Map::new()) };
        let open = members.iter().filter(|(name, _)| !self.secrets.contains(*name));
        Value::Object(open.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// Every secret by its name, and whether it is set.
    pub fn secrets_set(&self) -> BTreeMap<String, bool> {
        let known = self.schema.iter().flat_map(SettingsSchema::secrets).map(str::to_owned);
        let all = known.chain(self.secrets.iter().cloned());
        all.map(|name| (name.clone(), self.secrets.contains(&name))).collect()
    }
}

// Settings may hold the merchant's secrets: none of them may reach a log through a derived `Debug`.
impl std::fmt::Debug for Installation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Installation")
            .field("id", &self.id)
            .field("tenant", &self.tenant)
            .field("plugin", &self.plugin)
            .field("version", &self.version)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for NewInstallation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewInstallation").field("version", &self.version).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for InstallationPatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InstallationPatch").field("state", &self.state).finish_non_exhaustive()
    }
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
