//! Quarantine: an installation whose runs end badly by its own fault, one after the other, is paused by the host.
//!
//! Runs are counted in the transaction that ends an attempt, so each counts once, whatever the host went through, and by the
//! hook that they called: one that goes well says nothing about another. Only those of the version at work count: a new one
//! begins anew, and so does one that somebody resumed. A version that was replaced instead stays in quarantine, and its runs
//! do not go on.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use fangshi_database::{Digest, InstallationId, PluginId, RunId, TenantId};
use serde_json::json;
use sqlx::{Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};

use super::Registry;
use super::cache::Changing;
use super::records::{Installation, Quarantine};
use crate::RegistryError;
use crate::audit::{self, Action, Actor, Entry};

/// A run that was under way when the quarantine began ends none.
const TAKE_BACK: &str = "DELETE FROM faults WHERE installation_id = $1 AND hook = $2 AND EXISTS \
                         (SELECT 1 FROM installations WHERE id = $1 AND digest = $3 AND quarantined_at IS NULL)";

/// What the end of a run says about its plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conduct {
    /// It did what plugins do, a wish to be called again and a refusal of the event included.
    Well,
    /// It ended badly, and that is its own doing.
    Fault(Fault),
    /// Nothing: the host, the platform or a person ended it.
    Untold,
}

/// A run that ended badly by its plugin's own doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The code of its outcome.
    pub outcome: &'static str,
    /// The figure, in the host's own words; empty if there is none.
    pub figure: String,
    /// How many of one hook, one after the other, put the installation into quarantine; 0: none ever does.
    pub allowed: u32,
}

/// A run that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ran<'a> {
    /// Its id.
    pub run: RunId,
    /// The version that it was pinned to.
    pub version: Digest,
    /// The hook that it called.
    pub hook: &'a str,
}

/// An installation was put into quarantine, if the transaction it happened in is kept. To be held until that is over: memory
/// follows the store when this is dropped.
#[must_use]
pub struct Quarantined {
    /// Runs that ended badly, one after the other.
    pub faults: u32,
    _memory: Changing,
}

/// Hooks that may have a count to be taken back: all that have one, and some more.
#[derive(Default)]
pub(super) struct Counted(Mutex<HashMap<InstallationId, HashSet<String>>>);

impl Counted {
    pub(super) async fn load(db: &SqlitePool) -> Result<Counted, sqlx::Error> {
        let rows: Vec<(i64, String)> = sqlx::query_as("SELECT installation_id, hook FROM faults").fetch_all(db).await?;
        let counted = Counted::default();
        for (installation, hook) in rows {
            counted.add(InstallationId(installation), &hook);
        }
        Ok(counted)
    }

    fn add(&self, installation: InstallationId, hook: &str) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hooks = counted.entry(installation).or_default();
        if !hooks.contains(hook) {
            hooks.insert(hook.to_owned());
        }
    }

    fn may_hold(&self, installation: InstallationId, hook: &str) -> bool {
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.get(&installation).is_some_and(|hooks| hooks.contains(hook))
    }
}

impl Registry {
    /// Whether [`Registry::note_conduct`] has anything to write: most runs end well and have nothing to take back.
    pub fn is_noted(&self, installation: InstallationId, hook: &str, conduct: &Conduct) -> bool {
        match conduct {
            Conduct::Untold => false,
            Conduct::Well => self.counted.may_hold(installation, hook),
            Conduct::Fault(fault) => fault.allowed > 0,
        }
    }

    /// Counts how a run of a version ended, within the transaction that ends its attempt. Gives the quarantine that follows.
    ///
    /// # Errors
    /// The store refused: the attempt must not end either.
    pub async fn note_conduct(
        &self,
        c: &mut SqliteConnection,
        tenant: TenantId,
        installation: InstallationId,
        ran: Ran<'_>,
        conduct: &Conduct,
    ) -> Result<Option<Quarantined>, RegistryError> {
        if !self.is_noted(installation, ran.hook, conduct) {
            return Ok(None);
        }
        match conduct {
            Conduct::Untold => Ok(None),
            Conduct::Well => {
                sqlx::query(TAKE_BACK)
                    .bind(installation.0)
                    .bind(ran.hook)
                    .bind(ran.version.as_bytes().as_slice())
                    .execute(c)
                    .await?;
                Ok(None)
            }
            Conduct::Fault(fault) => {
                self.counted.add(installation, ran.hook);
                self.count(c, tenant, installation, ran, fault).await
            }
        }
    }

    async fn count(
        &self,
        c: &mut SqliteConnection,
        tenant: TenantId,
        installation: InstallationId,
        ran: Ran<'_>,
        fault: &Fault,
    ) -> Result<Option<Quarantined>, RegistryError> {
        let faults: Option<i64> = sqlx::query_scalar(
            "INSERT INTO faults (installation_id, hook, tenant_id, faults) SELECT id, $4, tenant_id, 1 FROM installations \
             WHERE tenant_id = $1 AND id = $2 AND digest = $3 AND quarantined_at IS NULL \
             ON CONFLICT (installation_id, hook) DO UPDATE SET faults = faults + 1 RETURNING faults",
        )
        .bind(tenant.0)
        .bind(installation.0)
        .bind(ran.version.as_bytes().as_slice())
        .bind(ran.hook)
        .fetch_optional(&mut *c)
        .await?;
        let Some(faults) = faults.filter(|faults| *faults >= i64::from(fault.allowed)) else { return Ok(None) };
        // From before the commit until after it nothing is kept in memory: see the cache.
        let memory = self.cache.changing(tenant);
        let now = self.directory.clock.now();
        let plugin: Option<i64> = sqlx::query_scalar(
            "UPDATE installations SET state = 'paused', quarantined_at = $2, updated_at = $2, faults = $3, \
             fault_outcome = $4, fault_figure = $5, fault_run = $6, \
             quarantined_versions = json_insert(quarantined_versions, '$[#]', $7) \
             WHERE id = $1 AND state = 'active' RETURNING plugin_id",
        )
        .bind(installation.0)
        .bind(now)
        .bind(faults)
        .bind(fault.outcome)
        .bind(&fault.figure)
        .bind(ran.run.0)
        .bind(ran.version.to_string())
        .fetch_optional(&mut *c)
        .await?;
        // Somebody has paused it already.
        let Some(plugin) = plugin else { return Ok(None) };
        let Fault { outcome, figure, .. } = fault;
        let details = json!({"version": ran.version, "hook": ran.hook, "faults": faults, "outcome": outcome,
            "figure": figure, "run": ran.run});
        let entry = Entry::new(Actor::System, Action::InstallationQuarantined, tenant)
            .about(installation)
            .about(PluginId(plugin))
            .with(details);
        audit::append(c, &self.directory.vault, now, entry).await?;
        Ok(Some(Quarantined { faults: u32::try_from(faults).unwrap_or(u32::MAX), _memory: memory }))
    }

    /// How many installations are in quarantine.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn quarantined(&self) -> Result<u64, RegistryError> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM installations WHERE quarantined_at IS NOT NULL AND removed_at IS NULL",
        )
        .fetch_one(self.directory.db.reader())
        .await?;
        Ok(count.unsigned_abs())
    }
}

/// Begins the counts anew: whoever resumed the installation or replaced its version looked into it. The version that is at
/// work now goes on; one that it took the place of does not.
pub(super) async fn forgive(c: &mut SqliteConnection, installation: &mut Installation) -> Result<(), RegistryError> {
    end(c, installation.id).await?;
    sqlx::query(
        "UPDATE installations SET quarantined_versions = (SELECT json_group_array(value) \
         FROM json_each(quarantined_versions) WHERE value <> $2) WHERE id = $1",
    )
    .bind(installation.id.0)
    .bind(installation.version.to_string())
    .execute(&mut *c)
    .await?;
    sqlx::query("DELETE FROM faults WHERE installation_id = $1").bind(installation.id.0).execute(c).await?;
    installation.quarantine = None;
    installation.quarantined.remove(&installation.version);
    Ok(())
}

/// Ends the host's pause of an installation; what it is now is somebody's word. Versions that failed stay so.
pub(super) async fn end(c: &mut SqliteConnection, installation: InstallationId) -> Result<(), RegistryError> {
    sqlx::query(
        "UPDATE installations SET faults = 0, quarantined_at = NULL, fault_outcome = NULL, fault_figure = NULL, \
         fault_run = NULL WHERE id = $1",
    )
    .bind(installation.0)
    .execute(c)
    .await?;
    Ok(())
}

/// The quarantine of a row of `installations`.
pub(super) fn read(row: &SqliteRow) -> Result<Option<Quarantine>, sqlx::Error> {
    let Some(since) = row.try_get("quarantined_at")? else { return Ok(None) };
    let figure: Option<String> = row.try_get("fault_figure")?;
    Ok(Some(Quarantine {
        since,
        faults: u32::try_from(row.try_get::<i64, _>("faults")?).unwrap_or(u32::MAX),
        outcome: row.try_get::<Option<String>, _>("fault_outcome")?.unwrap_or_default(),
        figure: figure.filter(|figure| !figure.is_empty()),
        run: row.try_get::<Option<i64>, _>("fault_run")?.map(RunId),
    }))
}

/// Versions in a list of JSON, in hex.
pub(super) fn versions(json: &str) -> Option<BTreeSet<Digest>> {
    let names: Vec<String> = serde_json::from_str(json).ok()?;
    names.iter().map(|name| name.parse().ok()).collect()
}
