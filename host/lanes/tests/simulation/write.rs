//! Commits: what is asked of the journal, and what it answers.

use fangshi_journal::{
    AttemptStart, CallRow, EventSeq, Fence, InstallationId, Intent, LaneKey, Next, Noted, Outcome, PlannedEvent, RunId,
};

use crate::change::Told;

/// Why a commit wrote nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Somebody else entered the lane.
    Stale,
    /// It must not happen: a defect of whoever asked.
    Wrong(String),
}

/// One commit.
#[derive(Clone)]
pub enum Write {
    Record {
        lane: LaneKey,
        told: Told,
    },
    Reading {
        lane: LaneKey,
        reading: Reading,
    },
    Enter {
        lane: LaneKey,
        from: i64,
        planned: Vec<PlannedEvent>,
    },
    Plan {
        fence: Fence,
        planned: Vec<PlannedEvent>,
    },
    Flush {
        fence: Fence,
        rows: Rows,
    },
    Intent {
        fence: Fence,
        rows: Rows,
        intent: Box<Intent>,
    },
    Outcome {
        fence: Fence,
        rows: Rows,
        outcome: Box<Outcome>,
    },
    End {
        fence: Fence,
        rows: Rows,
        end: End,
    },
    /// A person lets a parked run run again.
    Repair {
        lane: LaneKey,
        run: RunId,
    },
    /// The store is copied.
    BackUp,
    /// The copy takes the store's place, and is held.
    Restore,
    /// The hold ends.
    Release,
}

impl Write {
    /// Whether it is answered only once it is durable: `replay` holds this against the journal.
    pub fn is_synced(&self) -> bool {
        match self {
            Write::Enter { .. } | Write::Plan { .. } => false,
            // An alert tells of a run that is parked.
            Write::End { end, .. } => !end.kv.is_empty() || matches!(end.next, Next::Parked { .. }),
            _ => true,
        }
    }
}

impl std::fmt::Debug for Write {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Write::Record { lane, told } => write!(f, "record {lane:?} {told:?}"),
            Write::Reading { lane, reading } => write!(f, "reading {lane:?} {reading:?}"),
            Write::Enter { lane, from, planned } => write!(f, "enter {lane:?} from {from} {planned:?}"),
            Write::Plan { fence, planned } => write!(f, "plan {fence:?} {planned:?}"),
            Write::Flush { fence, rows } => write!(f, "flush {fence:?} {rows:?}"),
            Write::Intent { fence, rows, intent } => write!(f, "intent {fence:?} {rows:?} {:?}", intent.key),
            Write::Outcome { fence, rows, outcome } => {
                write!(f, "outcome {fence:?} {rows:?} {:?} {:?}", outcome.key, outcome.state)
            }
            Write::End { fence, rows, end } => write!(f, "end {fence:?} {rows:?} {end:?}"),
            Write::Repair { lane, run } => write!(f, "repair {lane:?} {run}"),
            Write::BackUp => f.write_str("back up"),
            Write::Restore => f.write_str("restore"),
            Write::Release => f.write_str("release"),
        }
    }
}

/// What a reading of an order showed, and which events follow from it.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The newest of the order's events that was weighed with it.
    pub seen: Option<EventSeq>,
    /// How many changes of the order it shows.
    pub changes: usize,
    pub update_time: i64,
    /// With `update_time` of the reading before.
    pub found: Vec<(Told, i64)>,
}

/// What an attempt holds back until its next commit.
#[derive(Clone)]
pub struct Rows {
    pub run: RunId,
    pub attempt: u32,
    pub start: AttemptStart,
    pub calls: Vec<CallRow>,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{} (+{} calls)", self.run, self.attempt, self.calls.len())
    }
}

#[derive(Debug, Clone)]
pub struct End {
    pub event: EventSeq,
    pub installation: InstallationId,
    pub outcome: &'static str,
    pub next: Next,
    pub first_at: i64,
    pub kv: Vec<(String, Vec<u8>)>,
}

/// What a commit answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Recorded { seq: EventSeq, duplicate: bool },
    Noted(Noted),
    Entered(Fence),
    Written,
    Ended { event_finished: bool },
}
