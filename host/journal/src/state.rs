//! What the decision about a lane needs to know.

use fangshi_database::{Digest, EventSeq, InstallationId, Place, Ran, RunId, Script};

use crate::echo::{Traces, effects_before, traced};
use crate::event::Source;
use crate::lane::LaneKey;
use crate::reconcile::{Reconciled, of_order};
use crate::subscription::{Subscription, heard, subscriptions};
use crate::{Journal, JournalError, RunState};

/// A lane as it is now.
#[derive(Debug, Clone, Default)]
pub struct LaneState {
    /// 0: nobody entered it yet.
    pub epoch: i64,
    /// Drains since an attempt last ended.
    pub entries: u32,
    /// Events whose runs don't exist yet, by sequence; the first ones if there are many.
    pub events: Vec<UnplannedEvent>,
    /// Whether there may be more such events than these.
    pub more_events: bool,
    /// Who hears the tenant's events; empty if there are no such events.
    pub subscriptions: Vec<Subscription>,
    /// The order's reconciled events, by sequence; empty if there are no events to look at.
    pub reconciled: Vec<Reconciled>,
    /// Effects on the order since [`ECHO_REACH_S`] before the first of the events was made, oldest first.
    pub effects: Traces,
    /// Runs that are not finished, by event and installation.
    pub runs: Vec<OpenRun>,
}

/// An event that the lane has not looked at yet.
#[derive(Debug, Clone)]
pub struct UnplannedEvent {
    /// Its place in the sequence.
    pub seq: EventSeq,
    /// The platform's Event.
    pub event: String,
    /// See [`NewEvent::ext_type`](crate::NewEvent::ext_type).
    pub ext_type: Option<i64>,
    /// Where it came from.
    pub source: Source,
    /// The one installation that it is for; none: whoever hears it.
    pub only: Option<InstallationId>,
    /// Unix seconds, the platform's.
    pub created_at: i64,
    /// Unix milliseconds.
    pub received_at: i64,
}

/// A run that is not finished.
#[derive(Debug, Clone)]
pub struct OpenRun {
    /// Its id.
    pub id: RunId,
    /// Its event.
    pub event: EventSeq,
    /// Its installation.
    pub installation: InstallationId,
    /// The pinned version.
    pub version: Digest,
    /// `on-pay`.
    pub hook: String,
    /// Ready or waiting.
    pub state: RunState,
    /// Attempts that ended, whatever ended them: the number of the last one.
    pub attempts: u32,
    /// Attempts that ended before the last repair.
    pub budget_from: u32,
    /// Start of the first attempt of the budget, unix milliseconds.
    pub first_at: Option<i64>,
    /// Not before this, unix milliseconds.
    pub next_at: i64,
    /// When the last attempt ended, unix milliseconds.
    pub ended_at: Option<i64>,
    /// When the platform decides by itself, unix milliseconds.
    pub deadline_at: Option<i64>,
    /// Run again by a person: outside the sequence.
    pub repaired: bool,
    /// An attempt without an end (number, resumes): cut off by a crash, or under way.
    pub cut_off: Option<(u32, u32)>,
}

#[derive(sqlx::FromRow)]
struct RunRow {
    id: i64,
    event_seq: i64,
    installation_id: i64,
    version: Vec<u8>,
    hook: String,
    state: i64,
    attempts: i64,
    budget_from: i64,
    first_at: Option<i64>,
    next_at: i64,
    ended_at: Option<i64>,
    deadline_at: Option<i64>,
    repaired_at: Option<i64>,
    cut_number: Option<i64>,
    cut_resumes: Option<i64>,
}

/// Sequence, event, type, source, creation, receipt, and whether the order has reconciled events.
type EventRow = (i64, String, Option<i64>, i64, i64, i64, bool);

/// How many new events one look at a lane takes in.
const EVENTS_AT_ONCE: i64 = 256;

impl Journal {
    /// Reads a lane's state: unfenced, so whoever acts on it enters with [`LaneState::epoch`] and is refused if it moved.
    pub async fn lane(&self, lane: &LaneKey) -> Result<LaneState, JournalError> {
        let mut script = Script::new();
        // No transaction: the epoch is read first, so that whatever changes meanwhile makes the step that follows stale. Who
        // hears is read after the events: a subscription that ended before one of them is kept until the event's runs exist.
        let places = Places::of_lane(&mut script, lane);
        let subscriptions = subscriptions(&mut script, lane);
        let effects = effects_before(&mut script, lane);
        let mut read = self.reader().acquire().await?;
        let ran = script.run(&mut read).await?;
        let (mut state, is_reconciled) = places.state(&ran, lane)?;
        if !state.events.is_empty() {
            state.subscriptions = heard(ran.rows(subscriptions)?)?;
            state.effects = traced(ran.rows(effects)?)?;
        }
        if is_reconciled {
            state.reconciled = of_order(&mut read, lane).await?;
        }
        Ok(state)
    }
}

/// Where a script reads a lane.
pub(crate) struct Places {
    entered: Place,
    events: Place,
    runs: Place,
}

impl Places {
    pub(crate) fn of_lane(script: &mut Script, lane: &LaneKey) -> Places {
        let entered = script
            .add("SELECT epoch, entries FROM lanes WHERE tenant_id = $1 AND order_id = $2")
            .bind(lane.tenant.0)
            .bind(lane.order_id.to_string())
            .place();
        let events = script
            .add(
                "SELECT seq, event, ext_type, source, created_at, received_at, EXISTS (SELECT 1 FROM reconciled r \
                 WHERE r.tenant_id = events.tenant_id AND r.order_id = events.order_id) FROM events \
                 WHERE tenant_id = $1 AND order_id = $2 AND state = 0 ORDER BY seq LIMIT $3",
            )
            .bind(lane.tenant.0)
            .bind(lane.order_id.to_string())
            .bind(EVENTS_AT_ONCE)
            .place();
        let runs = script
            .add(
                "SELECT r.id, r.event_seq, r.installation_id, r.version, r.hook, r.state, r.attempts, r.budget_from, \
                 r.first_at, r.next_at, (SELECT ended_at FROM attempts WHERE run_id = r.id AND number = r.attempts) \
                 AS ended_at, r.deadline_at, r.repaired_at, a.number AS cut_number, a.resumes AS cut_resumes \
                 FROM runs r LEFT JOIN attempts a ON a.run_id = r.id AND a.number = r.attempts + 1 AND a.ended_at IS NULL \
                 WHERE r.tenant_id = $1 AND r.order_id = $2 AND r.state < 2 ORDER BY r.event_seq, r.installation_id",
            )
            .bind(lane.tenant.0)
            .bind(lane.order_id.to_string())
            .place();
        Places { entered, events, runs }
    }

    /// The lane without who hears its events; and whether its order has reconciled events.
    pub(crate) fn state(&self, ran: &Ran, lane: &LaneKey) -> Result<(LaneState, bool), JournalError> {
        let (epoch, entries) = ran.row::<(i64, i64)>(self.entered)?.unwrap_or((0, 0));
        let (events, runs): (Vec<EventRow>, Vec<RunRow>) = (ran.rows(self.events)?, ran.rows(self.runs)?);
        let is_reconciled = events.iter().any(|(.., reconciled)| *reconciled);
        let state = LaneState {
            epoch,
            entries: entries as u32,
            more_events: events.len() as i64 == EVENTS_AT_ONCE,
            events: events
                .into_iter()
                .map(|(seq, event, ext_type, source, created_at, received_at, _)| {
                    Ok(UnplannedEvent {
                        seq: EventSeq(seq),
                        event,
                        ext_type,
                        source: Source::from_code(source)?,
                        only: lane.scheduled_for(),
                        created_at,
                        received_at,
                    })
                })
                .collect::<Result<_, JournalError>>()?,
            runs: runs.into_iter().map(open_run).collect::<Result<_, _>>()?,
            ..LaneState::default()
        };
        Ok((state, is_reconciled))
    }
}

fn open_run(row: RunRow) -> Result<OpenRun, JournalError> {
    Ok(OpenRun {
        id: RunId(row.id),
        event: EventSeq(row.event_seq),
        installation: InstallationId(row.installation_id),
        version: version(row.version)?,
        hook: row.hook,
        state: RunState::from_code(row.state)?,
        attempts: row.attempts as u32,
        budget_from: row.budget_from as u32,
        first_at: row.first_at,
        next_at: row.next_at,
        ended_at: row.ended_at,
        deadline_at: row.deadline_at,
        repaired: row.repaired_at.is_some(),
        cut_off: row.cut_number.map(|number| (number as u32, row.cut_resumes.unwrap_or(0) as u32)),
    })
}

pub(crate) fn version(bytes: Vec<u8>) -> Result<Digest, JournalError> {
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| JournalError::Corrupt("length of a version".into()))?;
    Ok(Digest(bytes))
}
