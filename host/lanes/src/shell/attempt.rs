//! One attempt of a run: a fresh one, or the resume of one that was cut off.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fangshi_journal::{
    AttemptStart, Buffer, Ending, Fence, Inputs, JournalError, KvAllowed, Next, OpenAttempt, OpenRun, StoredEvent,
    TenantId, Usage,
};
use fangshi_operations::errcode::{Retry, retry_of};
use fangshi_runtime::{Abort, Outcome, RunReport};
use fangshi_tenants::{SecretValues, SettingsSchema};
use serde_json::Value;

use super::Core;
use super::drain::Halted;
use super::host::{Aftermath, Host, Known};
use super::input::Begun;
use super::order::SnapshotOfEvent;
use crate::config::RunLimits;
use crate::decide::conduct::conduct;
use crate::decide::deadline::{SKU_WISH, sku_deadline};
use crate::decide::ending::{Halt, ending};
use crate::decide::retry::Tried;
use crate::decide::standing::withheld;
use crate::decide::turns::cost;
use crate::finished::{Finished, count};
use crate::seams::{Guest, Seat};

/// Drains without any ended attempt, after which starts become durable before a guest runs: so that a guest that takes
/// the host down with it is counted, and given up in the end.
const SUSPICIOUS_ENTRIES: u32 = 3;

/// What an attempt is of.
pub(crate) struct Of<'a> {
    pub fence: &'a Fence,
    pub run: &'a OpenRun,
    pub seat: &'a Seat,
    pub event: StoredEvent,
}

/// What the next attempt of a run begins with.
pub(crate) struct Ready {
    /// The attempt that was cut off, if one was: it is resumed.
    cut_off: Option<OpenAttempt>,
    guest: Loaded,
}

/// A version, or why it can't be had.
type Loaded = Result<Arc<dyn Guest>, String>;

/// Looks up what the next attempt of a run begins with; `None` while its version is being loaded. The attempt did not begin then:
/// nothing was written, and nothing counts, neither as a resume nor for the tenant's pace.
pub(crate) async fn ready(core: &Core, tenant: TenantId, run: &OpenRun) -> Result<Option<Ready>, Halted> {
    let cut_off = match run.cut_off {
        Some(_) => core.journal.open_attempt(tenant, run.id, run.attempts + 1).await?,
        None => None,
    };
    let version = cut_off.as_ref().map_or(run.version, |open| open.start.version);
    let loaded = core.guests.load_soon(tenant, version).await.transpose();
    Ok(loaded.map(|guest| Ready { cut_off, guest }))
}

/// Runs one attempt and ends it; what it cost, in fuel.
pub(crate) async fn attempt(
    core: &Core,
    of: Of<'_>,
    ready: Ready,
    entries: u32,
    snapshot: &mut SnapshotOfEvent,
) -> Result<u64, Halted> {
    let Of { fence, run, seat, event } = of;
    let mut one = One { core, fence, run, seat, number: run.attempts + 1, event };
    match ready.cut_off {
        Some(open) => one.resume(open, ready.guest, snapshot).await,
        None => one.fresh(ready.guest, entries, snapshot).await,
    }
}

struct One<'a> {
    core: &'a Core,
    fence: &'a Fence,
    run: &'a OpenRun,
    seat: &'a Seat,
    number: u32,
    event: StoredEvent,
}

impl One<'_> {
    async fn fresh(&mut self, loaded: Loaded, entries: u32, snapshot: &mut SnapshotOfEvent) -> Result<u64, Halted> {
        let now = self.core.clock.now();
        let tried = self.tried(now);
        let mut start = AttemptStart {
            version: self.run.version,
            engine: self.core.guests.engine(),
            clock_ms: now,
            inputs: Inputs {
                settings: self.seat.settings.clone(),
                secrets: self.seat.secrets.clone(),
                grants: self.seat.grants.clone(),
                limits: self.seat.limits.clone(),
                seed: rand::random(),
                is_last: self.core.config.schedule.is_last(tried),
            },
            snapshot: None,
            resumes: 0,
        };
        let guest = match loaded {
            Ok(guest) => guest,
            Err(error) => return self.give_up(start, Halt::NotLoaded(error)).await,
        };
        start
            .inputs
            .secrets
            .extend(guest.settings_schema().into_iter().flat_map(SettingsSchema::secrets).map(str::to_owned));
        if let Some(halt) = self.withheld(&*guest) {
            return self.give_up(start, halt).await;
        }
        let order = match self.wants_order(&*guest) {
            true => Some(snapshot.read(self.core, &self.fence.lane, self.run.event, self.number > 1).await),
            false => None,
        };
        match order {
            Some(Ok(order)) => {
                self.note_deadline(&order.json).await?;
                start.snapshot = guest.reads_order().then_some(order);
            }
            Some(Err(fault)) if guest.reads_order() => {
                let after = fault.retry_after.map(|seconds| Duration::from_secs(u64::from(seconds)));
                let never = retry_of(fault.class) == Retry::Never;
                return self.give_up(start, Halt::OrderUnavailable { message: fault.message, after, never }).await;
            }
            Some(Err(_)) | None => {}
        }
        let buffer = self.begin(&start)?;
        if entries >= SUSPICIOUS_ENTRIES {
            self.core.journal.flush(self.fence, &buffer).await?;
        }
        self.execute(&*guest, start, buffer, VecDeque::new(), snapshot).await
    }

    async fn resume(
        &mut self,
        open: OpenAttempt,
        loaded: Loaded,
        snapshot: &mut SnapshotOfEvent,
    ) -> Result<u64, Halted> {
        let mut start = open.start;
        start.resumes += 1;
        if start.resumes > self.core.config.resumes {
            return self.give_up(start, Halt::Crashed).await;
        }
        let buffer = self.begin(&start)?;
        buffer.counted(open.kept_bytes);
        // Durable at once: each resume is counted, even if it kills the host.
        self.core.journal.flush(self.fence, &buffer).await?;
        tracing::info!(run = %self.run.id, attempt = self.number, "resuming an attempt that was cut off");
        let guest = match loaded {
            Ok(guest) => guest,
            Err(error) => {
                return self.end(&start, &buffer, None, Some(Halt::NotLoaded(error)), Aftermath::default()).await;
            }
        };
        // Nothing goes on with a consent that was taken back, not even what a crash cut off.
        if let Some(halt) = self.withheld(&*guest) {
            return self.end(&start, &buffer, None, Some(halt), Aftermath::default()).await;
        }
        snapshot.drop_it();
        self.execute(&*guest, start, buffer, open.calls.into(), snapshot).await
    }

    fn withheld(&self, guest: &dyn Guest) -> Option<Halt> {
        let stop = self.seat.stopped.get(&self.run.version).copied();
        withheld(self.seat.subscriber.standing, stop, &self.seat.grants, guest.asks())
    }

    fn wants_order(&self, guest: &dyn Guest) -> bool {
        (guest.reads_order() || self.event.ext_type == Some(SKU_WISH)) && !self.fence.lane.order().is_empty()
    }

    /// Only the order tells until when a wish for another SKU can be answered.
    async fn note_deadline(&self, order: &Value) -> Result<(), Halted> {
        if self.event.ext_type == Some(SKU_WISH) {
            let deadline_at = sku_deadline(order, self.event.created_at);
            if deadline_at.is_none() || self.run.deadline_at != deadline_at {
                self.core.journal.set_deadline(self.fence, self.run.id, deadline_at).await?;
            }
        }
        Ok(())
    }

    /// Runs the guest and ends the attempt.
    async fn execute(
        &mut self,
        guest: &dyn Guest,
        start: AttemptStart,
        buffer: Buffer,
        replay: VecDeque<fangshi_journal::RecordedCall>,
        snapshot: &mut SnapshotOfEvent,
    ) -> Result<u64, Halted> {
        let tenant = self.fence.lane.tenant;
        let known = if self.number > 1 || start.resumes > 0 {
            self.core.journal.effects(tenant, self.run.id).await?
        } else {
            Vec::new()
        };
        let limits = RunLimits::stored(&start.inputs.limits);
        let (host, aftermath) = Host::new(Known {
            journal: self.core.journal.clone(),
            shop: self.core.shop.clone(),
            clock: self.core.clock.clone(),
            fence: self.fence.clone(),
            buffer: buffer.clone(),
            directory: self.core.directory.clone(),
            installation: self.run.installation,
            version: self.run.version,
            asks: guest.asks().clone(),
            grants: start.inputs.grants.clone(),
            effects_per_hour: limits.effects_per_hour,
            kv_allowed: kv_allowed(&limits),
            http_answer_bytes: limits.run.http_answer_bytes,
            journal_bytes: self.core.config.journal_bytes,
            effects: known.into_iter().map(|effect| (effect.key.clone(), effect)).collect::<HashMap<_, _>>(),
            snapshot: start.snapshot.clone(),
            replay,
            sent_perhaps: self.core.restored.and_then(|restored| restored.sent_perhaps(&self.event)),
            hidden: hidden(&start),
            waiting: self.core.waiting.clone(),
        });
        let schema = guest.settings_schema();
        let begun = Begun { event: &self.event, hook: &self.run.hook, number: self.number, start: &start, schema };
        let input = begun.input(limits.run, self.core.config.deadline);
        let report = tokio::select! {
            report = guest.run(input, Box::new(host)) => report,
            () = self.core.cut_off.cancelled() => return Err(Halted::CutOff),
        };
        let aftermath = aftermath.take();
        if aftermath.changed {
            snapshot.drop_it();
        }
        if aftermath.stale || report.outcome == Outcome::Aborted(Abort::StaleEpoch) {
            return Err(Halted::Stale);
        }
        // The store failed in the middle: the attempt stays open and is resumed, it did not fail.
        if let Some(error) = aftermath.broken {
            return Err(Halted::Broken(error));
        }
        let mut halt = aftermath.halt.clone();
        let judged = matches!(report.outcome, Outcome::Done | Outcome::RetryLater { .. } | Outcome::Reject { .. });
        if halt.is_none() && judged && aftermath.unplayed > 0 {
            halt = Some(Halt::Divergence(format!("{} recorded calls were not made again", aftermath.unplayed)));
        }
        self.end(&start, &buffer, Some(&report), halt, aftermath).await
    }

    /// Ends an attempt for which no guest ran.
    async fn give_up(&self, start: AttemptStart, halt: Halt) -> Result<u64, Halted> {
        let buffer = self.begin(&start)?;
        self.end(&start, &buffer, None, Some(halt), Aftermath::default()).await
    }

    fn begin(&self, start: &AttemptStart) -> Result<Buffer, Halted> {
        Ok(self.core.journal.begin_attempt(self.fence.lane.tenant, self.run.id, self.number, start)?)
    }

    async fn end(
        &self,
        start: &AttemptStart,
        buffer: &Buffer,
        report: Option<&RunReport>,
        mut halt: Option<Halt>,
        mut aftermath: Aftermath,
    ) -> Result<u64, Halted> {
        let tried = self.tried(start.clock_ms);
        let now = self.core.clock.now();
        let spin = rand::random::<f64>() * 2.0 - 1.0;
        let limited =
            aftermath.limited_until.map(|until| Duration::from_millis(until.saturating_sub(now).max(0) as u64));
        let outcome = report.map(|report| &report.outcome);
        let allowed = self.core.directory.quarantine_after(self.fence.lane.tenant);
        let waiting = report.is_some_and(|report| report.waiting) && !aftermath.outside;
        let usage = report.map(used).unwrap_or_default();
        let cost = cost(&usage, aftermath.outside_ms);
        let (end, ended) = loop {
            let conduct = conduct(halt.as_ref(), outcome, waiting, allowed);
            let end = ending(&self.core.config.schedule, tried, now, spin, halt, limited, outcome)
                .no_sooner_than(aftermath.under_way_until);
            let ending = Ending {
                event: self.run.event,
                outcome: end.outcome,
                reason: hidden(start).out_of(&end.reason).into_owned(),
                usage,
                next: end.next.clone(),
                version: start.version,
                hook: self.run.hook.clone(),
                conduct,
                first_at: tried.first_at,
                kv: if end.next == Next::Done { std::mem::take(&mut aftermath.kv) } else { Vec::new() },
                kv_allowed: kv_allowed(&RunLimits::stored(&start.inputs.limits)),
            };
            match self.core.journal.end_attempt(self.fence, buffer, self.run.installation, &ending).await {
                // Attempts side by side took the room meanwhile. Without its changes it has not done what it says.
                Err(JournalError::KvFull { limit, allowed }) if !ending.kv.is_empty() => {
                    halt = Some(Halt::KvFull { limit, allowed });
                }
                ended => break (end, ended?),
            }
        };
        let finished = Finished {
            tenant: self.fence.lane.tenant,
            order_id: self.fence.lane.order().to_owned(),
            event: self.run.event,
            run: self.run.id,
            installation: self.run.installation,
            hook: self.run.hook.clone(),
            attempt: self.number,
            outcome: end.outcome,
            next: end.next,
            usage,
            quarantined: ended.quarantined,
        };
        count(&finished);
        self.core.kept(self.fence.lane.tenant, buffer.kept_bytes());
        // Nobody listening is no error.
        let _ = self.core.finished.send(finished);
        Ok(cost)
    }

    fn tried(&self, started_at: i64) -> Tried {
        Tried {
            attempt: self.number.saturating_sub(self.run.budget_from).max(1),
            first_at: self.run.first_at.unwrap_or(started_at),
            started_at,
        }
    }
}

/// How much the installation may keep of its own.
fn kv_allowed(limits: &RunLimits) -> KvAllowed {
    KvAllowed { keys: limits.kv_keys.into(), bytes: limits.kv_bytes }
}

/// What no line of the log and no reason may say.
fn hidden(start: &AttemptStart) -> SecretValues {
    SecretValues::of(&start.inputs.settings, &start.inputs.secrets)
}

fn used(report: &RunReport) -> Usage {
    Usage {
        fuel: report.fuel_used,
        peak_memory: report.peak_memory,
        host_calls: report.host_calls,
        log_bytes: report.log_bytes,
        border_bytes: report.border_bytes,
        wall_ms: report.wall_ms,
    }
}
