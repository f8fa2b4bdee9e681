//! The registry: plugins, their versions, and which of them work for a tenant with which grants.
//!
//! - `records`: what is known about each
//! - `versions`: uploading and reading versions
//! - `installations`: installing, changing, removing; `installed`: reading them
//! - `approvals`: versions that the operator approved
//! - `hearers`: how many installations hear a hook
//! - `pause`: whose word a pause is
//! - `quarantine`: installations that fail again and again
//! - `consent`: grants given against grants asked for, pure
//! - `settings`: settings given against the version's schema, and secrets among them, pure
//! - `schedule`: cron in a time zone, pure; `schedules`: its rows
//! - `cache`: the installations of each tenant in memory, since every event asks for them

mod approvals;
mod cache;
mod consent;
mod hearers;
mod installations;
mod installed;
mod pause;
mod quarantine;
mod records;
mod schedule;
mod schedules;
mod settings;
mod subscriptions;
mod versions;

use std::sync::Arc;

pub use self::quarantine::{Conduct, Fault, Quarantined, Ran};
pub use self::records::{
    Declared, GrantAsked, Installation, InstallationPatch, InstallationState, ManifestRecord, NewInstallation,
    PausedBy, PluginRecord, Quarantine, Stop, Terms, VersionRecord,
};
pub use self::schedule::{MOST_SCHEDULES, Schedule, ScheduleRecord, Timetable, USUAL_ZONE};
pub use self::settings::{
    Expected, Misfit, Property, PropertyKind, SchemaProblem, SecretValues, SettingsSchema, Words,
};

use self::cache::Cache;
use self::quarantine::Counted;
use crate::audit::Actor;
use crate::directory::Directory;

/// Plugins, versions, installations, grants. Clones are the same registry.
#[derive(Clone)]
pub struct Registry {
    directory: Arc<Directory>,
    cache: Arc<Cache>,
    counted: Arc<Counted>,
    /// Whose its changes are.
    actor: Actor,
    uploads: UploadLimits,
    terms: Terms,
}

/// What one tenant may upload in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// Versions of all its plugins together.
    pub versions: u32,
    /// Bytes of the components of all its versions together; the same bytes count once.
    pub bytes: u64,
}

impl Default for UploadLimits {
    /// 500 versions, 512 MiB.
    fn default() -> Self {
        UploadLimits { versions: 500, bytes: 512 << 20 }
    }
}

impl Registry {
    pub(crate) async fn open(directory: Arc<Directory>) -> Result<Registry, sqlx::Error> {
        let counted = Arc::new(Counted::load(directory.db.reader()).await?);
        let (uploads, terms) = (UploadLimits::default(), Terms::default());
        Ok(Registry { directory, cache: Arc::default(), counted, actor: Actor::System, uploads, terms })
    }

    pub(crate) fn by(&self, actor: Actor) -> Registry {
        Registry { actor, ..self.clone() }
    }

    /// The same registry with other limits of uploads than the default.
    #[must_use]
    pub fn within(&self, uploads: UploadLimits) -> Registry {
        Registry { uploads, ..self.clone() }
    }

    /// The same registry, installing on these terms.
    #[must_use]
    pub fn on(&self, terms: Terms) -> Registry {
        Registry { terms, ..self.clone() }
    }

    /// A deleted tenant's installations leave memory.
    pub(crate) fn forget(&self, tenant: fangshi_database::TenantId) {
        self.cache.forget(tenant);
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}
