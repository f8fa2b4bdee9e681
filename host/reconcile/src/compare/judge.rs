//! Which of the net changes nobody announced.

use fangshi_journal::{EventSeq, Source, Transition};

use super::chart::{Way, way};
use super::facts::Facts;
use super::net::{Change, net_changes};
use super::word::Word;

/// An order as one reading showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What it showed.
    pub facts: Facts,
    /// When it was asked for, unix milliseconds of the host's clock.
    pub read_at: i64,
    /// The newest of the order's events that was weighed with it.
    pub seen: Option<EventSeq>,
}

/// An event of the order, as the journal has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its place in the sequence.
    pub seq: EventSeq,
    /// The platform's Event.
    pub event: String,
    /// `type` of ext_info_update.
    pub ext_type: Option<i64>,
    /// `finish_delivery` of a shipment, where it tells.
    pub complete: Option<bool>,
    /// Where it came from.
    pub source: Source,
    /// CreateTime, unix seconds; of a reconciled event the `update_time` of its reading.
    pub created_at: i64,
    /// Unix milliseconds of the host's clock.
    pub received_at: i64,
}

/// A net change that nobody announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// What happened, and when.
    pub change: Change,
    /// `update_time` of the snapshot before, unix seconds; without one, when the order was placed.
    pub since: i64,
}

/// What a reading means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// What becomes events, in their order.
    pub told: Vec<Told>,
    /// Net changes that callbacks announced.
    pub announced: usize,
    /// A change of status that the guide's chart does not have.
    pub transition: Option<Transition>,
}

/// CreateTime and `update_time` of one change may differ by this, seconds: the real order was shipped one second before
/// its `update_time`, and several changes of one second may push the latter ahead.
pub const SKEW_S: i64 = 10;

/// Compares a reading with the one before (none: the order was placed since), in the light of the order's events.
pub fn judge(before: Option<&Snapshot>, after: &Snapshot, events: &[Known]) -> Judgement {
    let changes = net_changes(before.map(|before| &before.facts), &after.facts);
    let candidates: Vec<&Known> = events.iter().filter(|event| is_candidate(event, before, after, events)).collect();
    let since = before.map_or(after.facts.create_time, |before| before.facts.update_time);
    let mut used: Vec<EventSeq> = Vec::new();
    let (mut announced, mut told) = (Vec::new(), Vec::new());
    for change in &changes {
        let fits = |event: &&&Known| {
            !used.contains(&event.seq) && change.word.is_announced_by(&event.event, event.ext_type, event.complete)
        };
        // The nearest: two shipments of one kind are told apart by their times.
        match candidates.iter().filter(fits).min_by_key(|event| (event.created_at - change.at).abs()) {
            Some(event) => {
                used.push(event.seq);
                announced.push(*change);
            }
            None => told.push(Told { change: *change, since }),
        }
    }
    if let Some(before) = before
        && let Some(change) = said_twice(before, after, &announced, &told, &candidates)
    {
        told.push(Told { change, since });
    }
    let transition = before.and_then(|before| transition(&before.facts, &after.facts));
    Judgement { told, announced: announced.len(), transition }
}

/// Whether a callback may be about a change between the two readings: the later one shows it, and the earlier one did not yet.
fn is_candidate(event: &Known, before: Option<&Snapshot>, after: &Snapshot, events: &[Known]) -> bool {
    if event.source != Source::Callback {
        return false;
    }
    if is_beyond(event, after) {
        return false;
    }
    let Some(before) = before else { return true };
    // Weighed once already: with the reading before, or one before that.
    if before.seen.is_some_and(|seen| event.seq <= seen) && !is_beyond(event, before) {
        return false;
    }
    // A word of what the earlier reading showed already came late. That reading was made long after the update that it showed,
    // so a change after it is dated later.
    event.created_at > before.facts.update_time && !is_late(event, events)
}

/// Whether an event may be about a change that a reading does not show yet. What came before the reading was asked for, it
/// shows.
fn is_beyond(event: &Known, reading: &Snapshot) -> bool {
    event.received_at >= reading.read_at && event.created_at > reading.facts.update_time
}

/// Whether a reconciled event told of this callback's change already, by whatever type of those that a reading can't tell
/// apart. The lane absorbs such a callback if the types are the same.
fn is_late(event: &Known, events: &[Known]) -> bool {
    events.iter().any(|made| {
        let told = |word: Word| word.is_announced_by(&event.event, event.ext_type, event.complete);
        let same = made.event == event.event
            && (made.ext_type == event.ext_type || made.ext_type.is_some_and(|ext_type| told(Word::Ext(ext_type))));
        made.source == Source::Reconciled && same && made.seq < event.seq && made.created_at >= event.created_at
    })
}

/// Two changes of one part look like one. If nothing but one part changed, a callback announced it, and the last update is
/// later than anything that is told of, then the part changed again after its callback, and nobody announced that.
fn said_twice(
    before: &Snapshot,
    after: &Snapshot,
    announced: &[Change],
    told: &[Told],
    candidates: &[&Known],
) -> Option<Change> {
    let [change @ Change { word: Word::Ext(_), .. }] = announced else { return None };
    let last = candidates.iter().map(|event| event.created_at).max()?;
    let updated = after.facts.update_time;
    let explained = last > updated - SKEW_S || updated <= before.facts.update_time;
    let alone = told.is_empty() && before.facts.rest == after.facts.rest;
    (alone && !explained).then_some(Change { word: change.word, at: updated })
}

fn transition(before: &Facts, after: &Facts) -> Option<Transition> {
    let found = way(before.status, after.status, after.confirmed_at > 0);
    let of = |known| Transition { from: before.status, to: after.status, known };
    match found {
        Way::Guide => None,
        Way::Beyond => Some(of(true)),
        Way::None => Some(of(false)),
    }
}
