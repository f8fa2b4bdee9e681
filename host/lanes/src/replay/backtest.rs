//! A new version over the last events of a tenant, answered from the journals of the runs that were.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use fangshi_journal::{
    AttemptStart, Digest, Effect, EventFilter, EventView, Inputs, InstallationId, LaneKey, RecordedAttempt, RunState,
    RunView, TenantId, hook_of,
};
use fangshi_operations::meets;
use fangshi_runtime::Outcome;
use fangshi_tenants::{Registry, SecretValues, SettingsSchema};
use serde_json::Value;

use super::compare::{Difference, EffectSeen, compare};
use super::report::{BacktestReport, EventTried, Totals, Untried};
use super::world::{Recorded, Store, World};
use super::{DEADLINE, ReplayError, Replays};
use crate::config::RunLimits;
use crate::decide::ending::code_of;
use crate::seams::Guest;
use crate::shell::input::Begun;

/// What to try. Grants, settings and limits are those that the version would have; a run that was brings its own
/// settings.
#[derive(Clone)]
pub struct Backtest {
    /// Whose events.
    pub tenant: TenantId,
    /// The installation that the version would work for.
    pub installation: InstallationId,
    /// The version.
    pub version: Digest,
    /// The hooks that it exports.
    pub hooks: Vec<String>,
    /// How many of the tenant's last events that call a hook.
    pub events: u32,
    /// What it may use.
    pub grants: BTreeSet<String>,
    /// Settings for events that had no run.
    pub settings: Arc<Value>,
    /// Limits, as set.
    pub limits: Value,
}

impl Backtest {
    /// Of an uploaded version of the installation's plugin, with what the installation has now; `grants` are what it
    /// would be granted instead.
    ///
    /// # Errors
    /// [`ReplayError::NoSuchInstallation`], [`ReplayError::NoSuchVersion`], or the registry can't be read.
    pub async fn of(
        registry: &Registry,
        tenant: TenantId,
        installation: InstallationId,
        version: Digest,
        events: u32,
        grants: Option<BTreeSet<String>>,
    ) -> Result<Backtest, ReplayError> {
        let installed = registry.get(tenant, installation).await?;
        let installed = installed.ok_or(ReplayError::NoSuchInstallation(installation))?;
        let record = registry.version_of(tenant, installed.plugin, version).await?;
        let record = record.ok_or(ReplayError::NoSuchVersion(version))?;
        Ok(Backtest {
            tenant,
            installation,
            version,
            hooks: record.manifest.hooks,
            events,
            grants: grants.unwrap_or(installed.grants),
            settings: installed.settings,
            limits: installed.limits,
        })
    }
}

/// Pages of events to look through for those that call a hook.
const PAGES: u32 = 100;

impl Replays {
    /// Tries a version. Sends nothing and writes nothing.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub async fn backtest(&self, ask: &Backtest) -> Result<BacktestReport, ReplayError> {
        let guest = self.guests.load(ask.tenant, ask.version).await.map_err(ReplayError::NotLoaded)?;
        let missing: Vec<String> =
            guest.asks().iter().filter(|asked| !meets(ask.grants.iter(), asked)).cloned().collect();
        if !missing.is_empty() {
            return Err(ReplayError::GrantsMissing(missing));
        }
        let mut report = BacktestReport {
            tenant: ask.tenant,
            installation: ask.installation,
            version: ask.version.to_string(),
            events: 0,
            totals: Totals::default(),
            items: Vec::new(),
        };
        let store = Store::default();
        for event in self.last_events(ask).await? {
            if let Some(tried) = self.try_on(ask, &*guest, &event, &store).await? {
                report.add(tried);
            }
        }
        Ok(report)
    }

    /// The events to try, oldest first.
    async fn last_events(&self, ask: &Backtest) -> Result<Vec<EventView>, ReplayError> {
        let mut events: Vec<EventView> = Vec::new();
        let mut filter = EventFilter { limit: 200, ..EventFilter::default() };
        for _ in 0..PAGES {
            let page = self.journal.events(ask.tenant, &filter).await?;
            // What was absorbed no version would be given: the reconciled event of the same change stands for it.
            let heard = |event: &EventView| hook_of(&event.event).is_some() && !event.absorbed;
            // A tick is of one installation's schedule.
            let own = |event: &EventView| event.scheduled_for.is_none_or(|one| one == ask.installation);
            events.extend(page.items.into_iter().filter(|event| heard(event) && own(event)));
            filter.before = page.next;
            if page.next.is_none() || events.len() >= ask.events as usize {
                break;
            }
        }
        events.truncate(ask.events as usize);
        events.reverse();
        Ok(events)
    }

    /// One event; `None` if neither version hears it.
    async fn try_on(
        &self,
        ask: &Backtest,
        guest: &dyn Guest,
        event: &EventView,
        store: &Store,
    ) -> Result<Option<EventTried>, ReplayError> {
        let hook = hook_of(&event.event).unwrap_or_default();
        let hears = ask.hooks.iter().any(|exported| exported == hook);
        let run = self.journal.run_of(ask.tenant, event.seq, ask.installation).await?;
        if run.is_none() && (!hears || self.is_own_echo(ask, event).await?) {
            return Ok(None);
        }
        let (attempts, effects) = match &run {
            None => (Vec::new(), Vec::new()),
            Some(run) => (
                self.journal.recorded_attempts(ask.tenant, run.id).await?,
                self.journal.effects(ask.tenant, run.id).await?,
            ),
        };
        let then = effects_then(&attempts, &effects);
        let mut tried = EventTried {
            event: event.seq,
            name: event.event.clone(),
            order_id: event.order_id.clone(),
            hook: hook.to_owned(),
            run: run.as_ref().map(|run| run.id),
            outcome_then: run.as_ref().map(|run| outcome_then(run, &attempts)),
            outcome_now: None,
            untried: None,
            difference: Difference::default(),
            unanswered: Vec::new(),
            assumed: Vec::new(),
        };
        if !hears {
            tried.difference = compare(then, Vec::new());
            return Ok(Some(tried));
        }
        let lane = LaneKey::new(ask.tenant, &event.order_id);
        let (number, mut start) = self.start(ask, event, &attempts);
        let secrets = guest.settings_schema().into_iter().flat_map(SettingsSchema::secrets);
        start.inputs.secrets.extend(secrets.map(str::to_owned));
        if guest.reads_order() && !lane.order_id.is_empty() && start.snapshot.is_none() {
            start.snapshot = self.journal.snapshot_near(&lane, start.clock_ms).await?;
            match start.snapshot {
                Some(_) => tried.assumed.push("the order as it was read at another time".into()),
                // Without an order the version can't run, so that nothing of then is lost or stays.
                None => {
                    tried.untried = Some(Untried::new("no reading of the order is in the journal", then));
                    return Ok(Some(tried));
                }
            }
        }
        let stored = self.journal.event(ask.tenant, event.seq).await?;
        let schema = guest.settings_schema();
        let begun = Begun { event: &stored, hook, number, start: &start, schema };
        let input = begun.input(RunLimits::stored(&ask.limits).run, DEADLINE);
        let world = World::new(
            self.journal.clone(),
            lane,
            start.snapshot.clone(),
            start.clock_ms,
            ask.grants.clone(),
            Recorded::new(&attempts, effects),
            Arc::clone(store),
        );
        let seen = Arc::clone(&world.tried);
        let report = guest.run(input, Box::new(world)).await;
        let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        if report.outcome == Outcome::Done {
            store.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).extend(seen.kv);
        }
        tried.outcome_now = Some(code_of(&report.outcome).to_owned());
        let hidden = hidden(&start.inputs);
        tried.difference = compare(then, seen.effects.into_iter().map(|effect| effect.without(&hidden)).collect());
        tried.unanswered = seen.unanswered;
        tried.assumed.extend(seen.assumed);
        Ok(Some(tried))
    }

    /// Whether the installation caused the event itself, and so is not given it.
    async fn is_own_echo(&self, ask: &Backtest, event: &EventView) -> Result<bool, ReplayError> {
        let Some(cause) = event.echo_of else { return Ok(false) };
        if RunLimits::stored(&ask.limits).echoes {
            return Ok(false);
        }
        let cause = self.journal.run(ask.tenant, cause).await?;
        Ok(cause.is_some_and(|cause| cause.run.installation == ask.installation))
    }

    /// What the run starts from: as the last attempt that made a call, or else the last one; without a run, from the event.
    fn start(&self, ask: &Backtest, event: &EventView, attempts: &[RecordedAttempt]) -> (u32, AttemptStart) {
        let like = attempts.iter().rev().find(|attempt| !attempt.calls.is_empty()).or(attempts.last());
        let inputs = Inputs {
            settings: like.map_or_else(|| ask.settings.clone(), |like| like.start.inputs.settings.clone()),
            secrets: like.map(|like| like.start.inputs.secrets.clone()).unwrap_or_default(),
            grants: ask.grants.clone(),
            limits: ask.limits.clone(),
            // Any will do, but the same each time.
            seed: like.map_or(Digest::of(&event.seq.0.to_be_bytes()).0, |like| like.start.inputs.seed),
            is_last: like.is_some_and(|like| like.start.inputs.is_last),
        };
        let start = AttemptStart {
            version: ask.version,
            engine: self.guests.engine(),
            clock_ms: like.map_or(event.received_at, |like| like.start.clock_ms),
            inputs,
            snapshot: like.and_then(|like| like.start.snapshot.clone()),
            resumes: 0,
        };
        (like.map_or(1, |like| like.number), start)
    }
}

/// What no report may say.
fn hidden(inputs: &Inputs) -> SecretValues {
    SecretValues::of(&inputs.settings, &inputs.secrets)
}

/// The effects of the run that was, with their requests, which the calls hold.
fn effects_then(attempts: &[RecordedAttempt], effects: &[Effect]) -> Vec<EffectSeen> {
    let hidden = attempts.last().map(|last| hidden(&last.start.inputs)).unwrap_or_default();
    let mut requests: HashMap<[u8; 32], &Value> = HashMap::new();
    for call in attempts.iter().flat_map(|attempt| &attempt.calls) {
        requests.insert(call.digest, &call.request);
    }
    effects
        .iter()
        .filter_map(|effect| {
            let request = (*requests.get(&effect.key.digest)?).clone();
            let state = serde_json::to_value(effect.state).ok()?;
            let seen = EffectSeen::new(&effect.key.operation, request, state.as_str().unwrap_or_default());
            Some(seen.without(&hidden))
        })
        .collect()
}

/// How a run ended: by its last attempt, since why it is parked (`attempts`, say) need not tell that.
fn outcome_then(run: &RunView, attempts: &[RecordedAttempt]) -> String {
    let last = attempts.iter().rev().find_map(|attempt| attempt.ended.as_ref());
    let code = last.map(|ended| &ended.outcome).or(run.reason.as_ref());
    let state = serde_json::to_value(run.state).ok();
    let state = state.as_ref().and_then(Value::as_str).unwrap_or_default();
    match (code, matches!(run.state, RunState::Done | RunState::Rejected)) {
        (Some(code), true) => code.clone(),
        (Some(code), false) => format!("{state}: {code}"),
        (None, _) => state.to_owned(),
    }
}
