//! Quarantine: an installation whose runs end badly by its own fault, one after the other, is paused by the host.
//!
//! Runs are counted in the transaction that ends an attempt, so each counts once, whatever the host went through. Only those
//! of the version at work count: a new one begins anew, and so does one that somebody resumed.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use fangshi_database::{Digest, InstallationId, PluginId, RunId, TenantId};
use serde_json::json;
use sqlx::{Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};

use super::Registry;
use super::cache::Changing;
use super::records::Quarantine;
use crate::RegistryError;
use crate::audit::{self, Action, Actor, Entry};

/// A run that was under way when the quarantine began ends none.
const TAKE_BACK: &str = "UPDATE installations SET faults = 0 WHERE id = $1 AND digest = $2 AND faults > 0 \
                         AND quarantined_at IS NULL";

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
    /// How many one after the other put the installation into quarantine; 0: none ever does.
    pub allowed: u32,
}

/// An installation was put into quarantine, if the transaction it happened in is kept. To be held until that is over: memory
/// follows the store when this is dropped.
#[must_use]
pub struct Quarantined {
    /// Runs that ended badly, one after the other.
    pub faults: u32,
    _memory: Changing,
}

/// Installations that may have a count to be taken back: all whose count is not 0, and some more.
#[derive(Default)]
pub(super) struct Counted(Mutex<HashSet<InstallationId>>);

impl Counted {
    pub(super) async fn load(db: &SqlitePool) -> Result<Counted, sqlx::Error> {
        let ids: Vec<i64> = sqlx::query_scalar("SELECT id FROM installations WHERE faults > 0 AND removed_at IS NULL")
            .fetch_all(db)
            .await?;
        Ok(Counted(Mutex::new(ids.into_iter().map(InstallationId).collect())))
    }

    fn add(&self, installation: InstallationId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(installation);
    }

    fn may_hold(&self, installation: InstallationId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&installation)
    }
}

impl Registry {
    /// Counts how a run of a version ended, within the transaction that ends its attempt. Gives the quarantine that follows.
    ///
    /// # Errors
    /// The store refused: the attempt must not end either.
    pub async fn note_conduct(
        &self,
        c: &mut SqliteConnection,
        tenant: TenantId,
        installation: InstallationId,
        (version, run): (Digest, RunId),
        conduct: &Conduct,
    ) -> Result<Option<Quarantined>, RegistryError> {
        match conduct {
            Conduct::Untold => Ok(None),
            Conduct::Well => {
                // Most have nothing to take back, and every statement costs the writer a turn.
                if self.counted.may_hold(installation) {
                    sqlx::query(TAKE_BACK).bind(installation.0).bind(version.as_bytes().as_slice()).execute(c).await?;
                }
                Ok(None)
            }
            Conduct::Fault(fault) if fault.allowed == 0 => Ok(None),
            Conduct::Fault(fault) => {
                self.counted.add(installation);
                self.count(c, tenant, installation, (version, run), fault).await
            }
        }
    }

    async fn count(
        &self,
        c: &mut SqliteConnection,
        tenant: TenantId,
        installation: InstallationId,
        (version, run): (Digest, RunId),
        fault: &Fault,
    ) -> Result<Option<Quarantined>, RegistryError> {
        let counted: Option<(i64, String, i64)> = sqlx::query_as(
            "UPDATE installations SET faults = faults + 1, fault_outcome = $4, fault_figure = $5, fault_run = $6 \
             WHERE tenant_id = $1 AND id = $2 AND digest = $3 AND quarantined_at IS NULL \
             RETURNING faults, state, plugin_id",
        )
        .bind(tenant.0)
        .bind(installation.0)
        .bind(version.as_bytes().as_slice())
        .bind(fault.outcome)
        .bind(&fault.figure)
        .bind(run.0)
        .fetch_optional(&mut *c)
        .await?;
        let Some((faults, state, plugin)) = counted else { return Ok(None) };
        if faults < i64::from(fault.allowed) || state != "active" {
            return Ok(None);
        }
        // From before the commit until after it nothing is kept in memory: see the cache.
        let memory = self.cache.changing(tenant);
        let now = self.directory.clock.now();
        sqlx::query("UPDATE installations SET state = 'paused', quarantined_at = $2, updated_at = $2 WHERE id = $1")
            .bind(installation.0)
            .bind(now)
            .execute(&mut *c)
            .await?;
        let details =
            json!({"version": version, "faults": faults, "outcome": fault.outcome, "figure": fault.figure, "run": run});
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

/// Begins the count anew: whoever resumed the installation or replaced its version looked into it.
pub(super) async fn forgive(c: &mut SqliteConnection, installation: InstallationId) -> Result<(), RegistryError> {
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
