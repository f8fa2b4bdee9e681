//! The end of an attempt: what it used, what becomes of its run and of its installation, and its kv changes, in one
//! transaction.

use fangshi_database::{Digest, EventSeq, InstallationId, Place, RunId, Script, TenantId};
use fangshi_tenants::{Conduct, Ran as RanVersion};

use crate::alerts::{AlertKind, add_alert, raise};
use crate::buffer::Buffer;
use crate::flush::add_all;
use crate::kv_room::{KvAllowed, Room};
use crate::lane::Fence;
use crate::step::Step;
use crate::{Journal, JournalError, RunState, seal};

/// How an attempt ended.
#[derive(Clone)]
pub struct Ending {
    /// The run's event.
    pub event: EventSeq,
    /// Code: `done`, `retry-later`, `reject`, `trap`, `limit`, `deadline`, `divergence`, `loop`, …
    pub outcome: &'static str,
    /// Words of the plugin or the host; stored sealed.
    pub reason: String,
    /// What it used.
    pub usage: Usage,
    /// What becomes of the run.
    pub next: Next,
    /// The version that ran.
    pub version: Digest,
    /// The hook that was called.
    pub hook: String,
    /// What it says about the plugin.
    pub conduct: Conduct,
    /// The run's budget of attempts began then, unix milliseconds.
    pub first_at: i64,
    /// Changes of the installation's own store; given only if the attempt ended ok.
    pub kv: Vec<KvChange>,
    /// How much of it the installation may keep.
    pub kv_allowed: KvAllowed,
}

/// What followed from the end of an attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    /// The event has no open run left.
    pub event_finished: bool,
    /// The installation was put into quarantine.
    pub quarantined: bool,
}

/// What an attempt used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Fuel.
    pub fuel: u64,
    /// Bytes.
    pub peak_memory: u64,
    /// Calls passed to the host.
    pub host_calls: u32,
    /// Bytes of log text kept.
    pub log_bytes: u64,
    /// Bytes across the border.
    pub border_bytes: u64,
    /// Milliseconds.
    pub wall_ms: u64,
}

/// What becomes of a run after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Over, ok.
    Done,
    /// Over: the plugin gave up.
    Rejected,
    /// Another attempt, not before this (unix milliseconds).
    Retry {
        /// Unix milliseconds.
        at_ms: i64,
    },
    /// Another attempt as soon as the installation works again. The one that ended is not counted.
    Held,
    /// Given up, by this code.
    Parked {
        /// Code: `attempts`, `loop`, `divergence`, …
        reason: &'static str,
    },
}

impl Next {
    fn state(&self) -> RunState {
        match self {
            Next::Done => RunState::Done,
            Next::Rejected => RunState::Rejected,
            Next::Retry { .. } => RunState::Waiting,
            // The installation is what it waits for, not a time.
            Next::Held => RunState::Ready,
            Next::Parked { .. } => RunState::Parked,
        }
    }
}

/// One change of an installation's own store.
#[derive(Clone)]
pub struct KvChange {
    /// The key, in clear.
    pub key: String,
    /// The new value; none removes it.
    pub value: Option<Vec<u8>>,
}

struct SealedKv {
    key_digest: [u8; 32],
    entry: Option<(Vec<u8>, Vec<u8>, i64)>,
}

impl Journal {
    /// Ends an attempt with everything still buffered. Its installation is counted for how it ended.
    ///
    /// Its effects are durable already. An end that a loss of power undoes is found again by the attempt's resume; one that
    /// alerts tell of is durable before they do.
    ///
    /// # Errors
    /// [`JournalError::Stale`] if the lane was entered by somebody else; the attempt has no end then and is resumed.
    /// [`JournalError::KvFull`] if its kv changes have no room any more; it has to end without them.
    pub async fn end_attempt(
        &self,
        fence: &Fence,
        buffer: &Buffer,
        installation: InstallationId,
        ending: &Ending,
    ) -> Result<Ended, JournalError> {
        let (tenant, run, attempt) = (buffer.tenant(), buffer.run(), buffer.attempt());
        let reason = match ending.reason.as_str() {
            "" => None,
            words => {
                let row = seal::attempt_row(run, attempt);
                Some(self.seal(tenant, seal::ATTEMPT_REASON, &row, words.as_bytes())?)
            }
        };
        let mut kv = Vec::with_capacity(ending.kv.len());
        if !ending.kv.is_empty() {
            let salt = self.salt(tenant).await?;
            for change in &ending.kv {
                let key_digest = salt.digest("kv", change.key.as_bytes());
                let row = seal::kv_row(installation, &key_digest);
                let entry = match &change.value {
                    Some(value) => Some((
                        self.seal(tenant, seal::KV_KEY, &row, change.key.as_bytes())?,
                        self.seal(tenant, seal::KV_VALUE, &row, value)?,
                        (change.key.len() + value.len()) as i64,
                    )),
                    None => None,
                };
                kv.push(SealedKv { key_digest, entry });
            }
        }
        let now = self.clock.now();
        let rows = buffer.rows();
        let mut step = Step::held(fence);
        add_all(&mut step.script, fence, &rows);
        step.add(
            "UPDATE attempts SET ended_at = $1, outcome = $2, reason = $3, fuel = $4, peak_memory = $5, \
                 host_calls = $6, log_bytes = $7, border_bytes = $8, wall_ms = $9 \
                 WHERE run_id = $10 AND number = $11 AND ended_at IS NULL",
        )
        .bind(now)
        .bind(ending.outcome)
        .bind(reason)
        .bind(ending.usage.fuel as i64)
        .bind(ending.usage.peak_memory as i64)
        .bind(i64::from(ending.usage.host_calls))
        .bind(ending.usage.log_bytes as i64)
        .bind(ending.usage.border_bytes as i64)
        .bind(ending.usage.wall_ms as i64)
        .bind(run.0)
        .bind(i64::from(attempt));
        step.must_change_or_corrupt(format_args!("attempt {attempt} of {run} has ended already"));
        let mut room = (!kv.is_empty()).then(|| Room::before(&mut step.script, installation, ending.kv_allowed));
        for change in kv {
            change.add_to(&mut step.script, tenant, installation, run, now);
        }
        if let Some(room) = &mut room {
            room.after(&mut step.script, installation);
        }
        step.add("UPDATE lanes SET entries = 0 WHERE tenant_id = $1 AND order_id = $2")
            .bind(tenant.0)
            .bind(fence.lane.order_id.to_string());
        // An attempt that is not counted begins no budget either.
        let first_at = (ending.next != Next::Held).then_some(ending.first_at);
        settle_run(&mut step, run, ending.outcome, &ending.next, first_at, now);
        let finished = finish_event(&mut step.script, ending.event, &ending.next, now);
        tell_parked(&mut step, tenant, &ending.next, now);
        let registry = self.tenants.registry().clone();
        // Of these somebody outside is told.
        let is_told = matches!(ending.next, Next::Parked { .. });
        let is_noted = registry.is_noted(installation, &ending.hook, &ending.conduct);
        let (ran, quarantined) = match room {
            None if !is_noted => (self.take(step, is_told).await?, false),
            room => {
                let ending = ending.clone();
                self.write(move |conn| {
                    Box::pin(async move {
                        let ran = step.carry_out(conn).await?;
                        if let Some(room) = room {
                            room.check(&ran)?;
                        }
                        // Once an attempt: one that has ended already was turned away above.
                        let version = RanVersion { run, version: ending.version, hook: &ending.hook };
                        let noted = registry.note_conduct(conn, tenant, installation, version, &ending.conduct).await;
                        let quarantined = noted.map_err(JournalError::Registry)?;
                        if quarantined.is_some() {
                            let (kind, subject) = (AlertKind::InstallationQuarantined, installation.to_string());
                            raise(conn, kind, tenant, &subject, Some(now), now).await?;
                        }
                        // What it holds of the cache ends with the commit.
                        Ok(((ran, quarantined.is_some()), quarantined))
                    })
                })
                .await
                .map(|(done, _)| done)?
            }
        };
        let event_finished = finished.is_some_and(|finished| ran.changed(finished) > 0);
        buffer.confirm(rows.len());
        Ok(Ended { event_finished, quarantined })
    }

    /// Parks a run outside of an attempt (its installation was removed, say). One that was cut off ends with it and is counted
    /// like any other: what comes after a repair is another attempt, which finds what this one left.
    ///
    /// # Errors
    /// [`JournalError::Stale`] if the lane was entered by somebody else: nothing was written.
    pub async fn park(
        &self,
        fence: &Fence,
        run: RunId,
        event: EventSeq,
        reason: &'static str,
    ) -> Result<bool, JournalError> {
        let (tenant, now) = (fence.lane.tenant, self.clock.now());
        let next = Next::Parked { reason };
        let mut step = Step::held(fence);
        step.add("UPDATE attempts SET ended_at = $1, outcome = $2 WHERE run_id = $3 AND ended_at IS NULL")
            .bind(now)
            .bind(reason)
            .bind(run.0);
        settle_run(&mut step, run, reason, &next, None, now);
        let finished = finish_event(&mut step.script, event, &next, now);
        tell_parked(&mut step, tenant, &next, now);
        let ran = self.take(step, true).await?;
        Ok(finished.is_some_and(|finished| ran.changed(finished) > 0))
    }
}

/// What becomes of the run, which must be open. All attempts that it began have ended by now, and so all of them count: the
/// number of one that ended is never given to another.
fn settle_run(step: &mut Step, run: RunId, outcome: &'static str, next: &Next, first_at: Option<i64>, now: i64) {
    let state = next.state();
    let (next_at, reason) = match next {
        Next::Retry { at_ms } => (Some(*at_ms), outcome),
        Next::Parked { reason } => (None, *reason),
        _ => (None, outcome),
    };
    step.add(
        "UPDATE runs SET state = $1, reason = $2, \
             attempts = COALESCE((SELECT max(number) FROM attempts WHERE run_id = $6), attempts), \
             first_at = COALESCE(first_at, $3), next_at = COALESCE($4, next_at), finished_at = $5, \
             budget_from = budget_from + $7, \
             deadline_look_at = CASE WHEN $1 IN (2, 3) THEN NULL ELSE deadline_look_at END \
             WHERE id = $6 AND state < 2",
    )
    .bind(state.code())
    .bind(reason)
    .bind(first_at)
    .bind(next_at)
    .bind(state.is_finished().then_some(now))
    .bind(run.0)
    .bind(i64::from(*next == Next::Held));
    step.must_change_or_corrupt(format_args!("{run} was finished already"));
    if state.is_finished() {
        // An attempt was cut off in these and no later one asked again, or the last send was refused while one before it
        // never got an answer: nobody will find out any more. That refused one is not in doubt.
        step.add(
            "UPDATE effects SET state = 4, result = 'outcome-unknown', outcome_at = $1, unsure = unsure - (state = 3) \
                 WHERE run_id = $2 AND (state = 0 OR (state = 3 AND unsure > 0))",
        )
        .bind(now)
        .bind(run.0);
    }
}

/// A run that is given up is told of, in the same transaction.
fn tell_parked(step: &mut Step, tenant: TenantId, next: &Next, now: i64) {
    if let Next::Parked { reason } = next {
        add_alert(step, AlertKind::RunParked, tenant, reason, Some(now), now);
    }
}

/// Finishes the event if none of its runs is open.
fn finish_event(script: &mut Script, event: EventSeq, next: &Next, now: i64) -> Option<Place> {
    if !next.state().is_finished() {
        return None;
    }
    let finished = script.add(
        "UPDATE events SET state = 2, finished_at = $1 WHERE seq = $2 AND state = 1 \
         AND NOT EXISTS (SELECT 1 FROM runs WHERE event_seq = $2 AND state < 2)",
    );
    Some(finished.bind(now).bind(event.0).place())
}

impl SealedKv {
    fn add_to(self, script: &mut Script, tenant: TenantId, installation: InstallationId, run: RunId, now: i64) {
        match self.entry {
            Some((key, value, size)) => {
                script
                    .add(
                        "INSERT INTO kv (installation_id, key_digest, tenant_id, key, value, size, run_id, updated_at) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (installation_id, key_digest) DO UPDATE SET \
                         key = excluded.key, value = excluded.value, size = excluded.size, run_id = excluded.run_id, \
                         updated_at = excluded.updated_at",
                    )
                    .bind(installation.0)
                    .bind(self.key_digest.to_vec())
                    .bind(tenant.0)
                    .bind(key)
                    .bind(value)
                    .bind(size)
                    .bind(run.0)
                    .bind(now);
            }
            None => {
                script
                    .add("DELETE FROM kv WHERE installation_id = $1 AND key_digest = $2")
                    .bind(installation.0)
                    .bind(self.key_digest.to_vec());
            }
        }
    }
}
