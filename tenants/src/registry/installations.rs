//! Installations: made, changed, removed.

use std::collections::BTreeSet;
use std::sync::Arc;

use fangshi_database::{BoxFuture, Digest, InstallationId, PluginId, TenantId};
use sqlx::SqliteConnection;

use super::installed::{SETTINGS, row_name};
use super::records::{
    Installation, InstallationPatch, InstallationState, NewInstallation, PausedBy, Terms, VersionRecord,
};
use super::schedule::{self, Schedule, ScheduleRecord};
use super::settings::{Kept, SettingsSchema, keep};
use super::versions::json;
use super::{Registry, approvals, consent, hearers, installed, pause, quarantine, schedules, subscriptions};
use crate::audit::{self, Action, Actor, Entry};
use crate::to_the_end::to_the_end;
use crate::{RegistryError, Vault};

impl Registry {
    /// Installs a version for a tenant; it is active at once.
    ///
    /// # Errors
    /// [`RegistryError::Grants`] names the grants that are missing and those nobody asked for; no such plugin or
    /// version; settings or limits that are no JSON object; [`RegistryError::Settings`] names the settings that do not fit the
    /// version's schema; a schedule that can't be read, or a version that does not export `on-schedule`; a version whose
    /// approval was taken back, or [`Terms`](super::Terms) that do not hold; a merchant installs a plugin that the operator keeps
    /// paused; or the store refused.
    pub async fn install(&self, tenant: TenantId, new: NewInstallation) -> Result<Installation, RegistryError> {
        self.known(tenant)?;
        let version = self.version_to_install(tenant, new.plugin, new.version).await?;
        consent::check(&version.manifest, &new.grants)?;
        check_object("settings", &new.settings)?;
        check_object("limits", &new.limits)?;
        let kept = keep(version.settings_schema.as_ref(), &Arc::default(), &BTreeSet::new(), Some(new.settings));
        fit(version.settings_schema.as_ref(), &kept, false)?;
        let now = self.directory.clock.now();
        check_schedules(&new.schedules, &version.manifest.hooks, now)?;
        let draft = Installation {
            id: InstallationId(0),
            tenant,
            plugin: new.plugin,
            plugin_name: version.plugin_name,
            version: new.version,
            hooks: version.manifest.hooks,
            grants: new.grants,
            settings: kept.settings,
            secrets: kept.secrets,
            schema: version.settings_schema,
            limits: new.limits,
            schedules: new.schedules.into_iter().map(unplanned).collect(),
            state: InstallationState::Active,
            paused_by: None,
            quarantine: None,
            quarantined: BTreeSet::new(),
            revoked: BTreeSet::new(),
            created_at: now,
            updated_at: now,
            removed_at: None,
        };
        let (directory, actor, terms) = (Arc::clone(&self.directory), self.actor, self.terms.clone());
        self.commit(tenant, move |c| {
            Box::pin(async move {
                pause::check_install(c, tenant, draft.plugin, actor).await?;
                let installation = insert(c, &directory.vault, draft).await?;
                hold(c, &terms, None, &installation).await?;
                let entry = entry(actor, Action::InstallationMade, None, &installation);
                audit::append(c, &directory.vault, now, entry).await?;
                Ok(installation)
            })
        })
        .await
    }

    /// Pauses, resumes, replaces the version, changes grants, settings or limits; all at once or not at all. A resume and
    /// another version end a quarantine. So does a pause: it is somebody's from then on, and another version does not end it. What
    /// the operator paused, the operator alone resumes.
    ///
    /// # Errors
    /// As [`Registry::install`]; besides, no such installation, one that is removed, or [`RegistryError::PausedByOperator`].
    pub async fn patch_installation(
        &self,
        tenant: TenantId,
        id: InstallationId,
        patch: InstallationPatch,
    ) -> Result<Installation, RegistryError> {
        if patch.state == Some(InstallationState::Removed) {
            let problem = "must be `active` or `paused`; DELETE removes an installation".to_owned();
            return Err(RegistryError::Invalid { member: "state", problem });
        }
        if let Some(settings) = &patch.settings {
            check_object("settings", settings)?;
        }
        if let Some(limits) = &patch.limits {
            check_object("limits", limits)?;
        }
        let current = self.get(tenant, id).await?.ok_or(RegistryError::UnknownInstallation(id))?;
        let (actor, now) = (self.actor, self.directory.clock.now());
        // A version never changes, so it may be read before the change.
        let version = self.version_to_install(tenant, current.plugin, patch.version.unwrap_or(current.version)).await?;
        self.change(tenant, id, move |installation| {
            if installation.version != version.digest && patch.version.is_none() {
                // Replaced by somebody else in between: the consent must be checked against what is there now.
                return Err(RegistryError::UnknownVersion(version.digest));
            }
            let replaced = installation.version != version.digest;
            installation.version = version.digest;
            installation.hooks = version.manifest.hooks.clone();
            if let Some(grants) = patch.grants {
                installation.grants = grants;
            }
            let (named, given) = (patch.version.is_some(), patch.settings.is_some());
            if named || given {
                installation.schema = version.settings_schema.clone();
                let schema = installation.schema.as_ref();
                let kept = keep(schema, &installation.settings, &installation.secrets, patch.settings);
                fit(schema, &kept, !given)?;
                (installation.settings, installation.secrets) = (kept.settings, kept.secrets);
            }
            if let Some(limits) = patch.limits {
                installation.limits = limits;
            }
            if let Some(schedules) = patch.schedules {
                installation.schedules = schedules.into_iter().map(unplanned).collect();
            }
            let set: Vec<Schedule> = installation.schedules.iter().map(|one| one.schedule.clone()).collect();
            check_schedules(&set, &installation.hooks, now)?;
            match patch.state {
                Some(state) => pause::set(installation, state, actor)?,
                // The version that failed is gone, and nobody asked for the pause.
                None if replaced && installation.quarantine.is_some() => installation.state = InstallationState::Active,
                None => {}
            }
            consent::check(&version.manifest, &installation.grants)
        })
        .await
    }

    /// Removes an installation: no new events reach it. It stays listed, because its runs name it.
    ///
    /// # Errors
    /// No such installation, one that is removed already, or the store refused.
    pub async fn remove(&self, tenant: TenantId, id: InstallationId) -> Result<Installation, RegistryError> {
        let by = PausedBy::of(self.actor);
        self.change(tenant, id, move |installation| {
            installation.state = InstallationState::Removed;
            if by == PausedBy::Operator {
                // Who removes what they had paused is done with it: the pause forbids nobody a new installation.
                installation.paused_by = None;
            }
            installation.removed_at = Some(0);
            Ok(())
        })
        .await
    }

    /// Reads, changes and writes an installation inside one write, so that two changes cannot undo each other.
    async fn change(
        &self,
        tenant: TenantId,
        id: InstallationId,
        change: impl FnOnce(&mut Installation) -> Result<(), RegistryError> + Send + 'static,
    ) -> Result<Installation, RegistryError> {
        let (directory, actor, terms) = (Arc::clone(&self.directory), self.actor, self.terms.clone());
        self.commit(tenant, move |c| {
            Box::pin(async move {
                let found = installed::find(&mut *c, &directory.vault, tenant, id).await?;
                let mut installation = found.ok_or(RegistryError::UnknownInstallation(id))?;
                if installation.state == InstallationState::Removed {
                    return Err(RegistryError::Removed(id));
                }
                let before = installation.clone();
                change(&mut installation)?;
                let now = directory.clock.now();
                installation.updated_at = now;
                installation.removed_at = installation.removed_at.map(|_| now);
                if anew(&before, &installation) {
                    quarantine::forgive(c, &mut installation).await?;
                } else if pause::is_taken_over(&before, &installation) {
                    quarantine::end(c, installation.id).await?;
                }
                let resumed = before.state != installation.state;
                write(c, &directory.vault, &mut installation, resumed).await?;
                hold(c, &terms, Some(&before), &installation).await?;
                let action = match pause::is_taken_over(&before, &installation) {
                    true => Action::InstallationPaused,
                    false => action(before.state, installation.state),
                };
                let entry = entry(actor, action, Some(&before), &installation);
                audit::append(c, &directory.vault, now, entry).await?;
                Ok(installation)
            })
        })
        .await
    }

    /// Commits a change of a tenant's installations, or of what they may go on with; memory follows it.
    pub(super) async fn commit<R, F>(&self, tenant: TenantId, step: F) -> Result<R, RegistryError>
    where
        R: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<R, RegistryError>> + Send + 'static,
    {
        let registry = self.clone();
        to_the_end(async move {
            registry.cache.change(tenant);
            let outcome = registry.directory.db.writer().submit(step).await;
            registry.cache.changed(tenant);
            outcome
        })
        .await
    }

    async fn version_to_install(
        &self,
        tenant: TenantId,
        plugin: PluginId,
        digest: Digest,
    ) -> Result<VersionRecord, RegistryError> {
        if let Some(version) = self.version_of(tenant, plugin, digest).await? {
            return Ok(version);
        }
        let known: Option<i64> = sqlx::query_scalar("SELECT 1 FROM plugins WHERE tenant_id = $1 AND id = $2")
            .bind(tenant.0)
            .bind(plugin.0)
            .fetch_optional(self.directory.db.reader())
            .await?;
        Err(match known {
            Some(_) => RegistryError::UnknownVersion(digest),
            None => RegistryError::UnknownPlugin(plugin.to_string()),
        })
    }
}

/// Whether the installation's runs are counted from 0: somebody resumed it, or replaced the version.
fn anew(before: &Installation, now: &Installation) -> bool {
    before.version != now.version || (before.state, now.state) == (InstallationState::Paused, InstallationState::Active)
}

/// Refuses an installation, as it was just written, with which the terms do not hold. What it was `before` it may stay.
async fn hold(
    c: &mut SqliteConnection,
    terms: &Terms,
    before: Option<&Installation>,
    now: &Installation,
) -> Result<(), RegistryError> {
    if now.state == InstallationState::Removed {
        return Ok(());
    }
    if before.is_none_or(|before| before.version != now.version) {
        approvals::check(c, now, terms).await?;
    }
    if let Some(allowed) = terms.hooks_per_event {
        let heard = before.map_or(&[][..], |before| &before.hooks);
        hearers::check(c, now, heard, allowed).await?;
    }
    Ok(())
}

fn action(before: InstallationState, after: InstallationState) -> Action {
    use InstallationState::{Active, Paused, Removed};
    match (before, after) {
        (_, Removed) => Action::InstallationRemoved,
        (Active, Paused) => Action::InstallationPaused,
        (Paused, Active) => Action::InstallationResumed,
        _ => Action::InstallationChanged,
    }
}

/// What is audited of an installation: version, consent and limits as they are now, and what else changed by name.
/// Settings may hold the merchant's own secrets.
fn entry(actor: Actor, action: Action, before: Option<&Installation>, now: &Installation) -> Entry {
    let mut changed = Vec::new();
    if let Some(before) = before {
        let members = [
            ("version", before.version != now.version),
            ("grants", before.grants != now.grants),
            ("settings", before.settings != now.settings),
            ("limits", before.limits != now.limits),
            ("schedules", set(before) != set(now)),
        ];
        changed.extend(members.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name));
    }
    let details =
        serde_json::json!({"version": now.version, "grants": now.grants, "limits": now.limits, "changed": changed});
    Entry::new(actor, action, now.tenant).about(now.id).about(now.plugin).with(details)
}

/// Writes a new installation, which thereby gets its number.
async fn insert(c: &mut SqliteConnection, vault: &Vault, draft: Installation) -> Result<Installation, RegistryError> {
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO installations (tenant_id, plugin_id, digest, state, settings, limits, created_at, updated_at) \
         VALUES ($1, $2, $3, 'active', x'', '{}', $4, $4) RETURNING id",
    )
    .bind(draft.tenant.0)
    .bind(draft.plugin.0)
    .bind(draft.version.as_bytes().as_slice())
    .bind(draft.created_at)
    .fetch_one(&mut *c)
    .await?;
    // Settings are sealed for the row's number, which is known only now.
    let mut installation = Installation { id: InstallationId(id), ..draft };
    write(c, vault, &mut installation, true).await?;
    Ok(installation)
}

/// Writes everything of an installation that can change. `resumed`: it begins to work, or stops.
async fn write(
    c: &mut SqliteConnection,
    vault: &Vault,
    i: &mut Installation,
    resumed: bool,
) -> Result<(), RegistryError> {
    let settings = vault.seal(i.tenant, SETTINGS, &row_name(i.id), json(i.settings.as_ref())?.as_bytes())?;
    sqlx::query(
        "UPDATE installations SET digest = $2, state = $3, settings = $4, limits = $5, updated_at = $6, \
         removed_at = $7, secrets = $8, paused_by = $9 WHERE id = $1",
    )
    .bind(i.id.0)
    .bind(i.version.as_bytes().as_slice())
    .bind(i.state.code())
    .bind(settings)
    .bind(json(&i.limits)?)
    .bind(i.updated_at)
    .bind(i.removed_at)
    .bind(json(&i.secrets)?)
    .bind(i.paused_by.map(PausedBy::code))
    .execute(&mut *c)
    .await?;
    sqlx::query("DELETE FROM grants WHERE installation_id = $1").bind(i.id.0).execute(&mut *c).await?;
    for name in &i.grants {
        sqlx::query("INSERT INTO grants (installation_id, name) VALUES ($1, $2)")
            .bind(i.id.0)
            .bind(name)
            .execute(&mut *c)
            .await?;
    }
    schedules::follow(c, i, resumed).await?;
    subscriptions::follow(c, i).await
}

fn set(installation: &Installation) -> Vec<&Schedule> {
    installation.schedules.iter().map(|one| &one.schedule).collect()
}

/// A schedule whose next tick is not worked out yet.
fn unplanned(schedule: Schedule) -> ScheduleRecord {
    ScheduleRecord { schedule, next_at: i64::MAX, skipped: 0 }
}

fn check_schedules(schedules: &[Schedule], hooks: &[String], now: i64) -> Result<(), RegistryError> {
    let checked = schedule::check(schedules, hooks, now.div_euclid(1_000));
    checked.map_err(|problem| RegistryError::Invalid { member: "schedules", problem })
}

/// Holds settings against the version's schema; `untouched`: nobody gave them with this change. A secret of an earlier version
/// that this one does not know is kept, and nothing is asked of it.
fn fit(schema: Option<&SettingsSchema>, kept: &Kept, untouched: bool) -> Result<(), RegistryError> {
    let (Some(schema), Some(members)) = (schema, kept.settings.as_object()) else { return Ok(()) };
    let asked = |name: &String| schema.property(name).is_some() || !kept.secrets.contains(name);
    let members = members.iter().filter(|(name, _)| asked(name)).map(|(name, value)| (name.clone(), value.clone()));
    schema.check(&members.collect()).map_err(|misfits| RegistryError::Settings { misfits, kept: untouched })
}

fn check_object(member: &'static str, value: &serde_json::Value) -> Result<(), RegistryError> {
    if value.is_object() {
        return Ok(());
    }
    Err(RegistryError::Invalid { member, problem: "must be a JSON object".to_owned() })
}
