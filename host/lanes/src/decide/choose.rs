//! Which run is next in a lane.

use std::collections::BTreeSet;

use fangshi_journal::{InstallationId, OpenRun, RunId, RunState};

/// How an installation stands, seen from its lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It works.
    Open,
    /// It is paused, its tenant is suspended, or the approval of its version was taken back: its runs wait.
    Held,
    /// It was removed: its runs are parked.
    Gone,
}

/// What to do in a lane next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Run this now (a fresh attempt, or the resume of one cut off).
    Run(RunId),
    /// Park this: its installation is gone.
    Park(RunId),
    /// Nothing now; the next retry is due then, or a version may be loaded; unix milliseconds.
    Wait(i64),
    /// Nothing to do until something new happens.
    Idle,
}

/// Chooses among a lane's unfinished runs, which come by event and installation.
///
/// An attempt that was cut off goes first, so that its effects are settled before anybody else changes the order. Not so one
/// whose installation is held: that may last for days and must not hold up the others, who may change the order meanwhile.
/// When it goes on, its effects in doubt are settled by the order as it shows then, as after a change by the merchant.
///
/// A run that waits for its retry frees the lane for other installations, while later events of its own installation wait.
/// Repaired runs stand outside that sequence: they neither wait for others nor hold them up.
///
/// `loading`: until when a run waits for its version, which is being loaded (unix milliseconds). It frees the lane as well. Not so
/// an attempt that was cut off: loading takes minutes at most, and then its effects are settled.
pub fn choose(
    runs: &[OpenRun],
    standing: impl Fn(InstallationId) -> Standing,
    loading: impl Fn(&OpenRun) -> Option<i64>,
    now: i64,
) -> Step {
    if let Some(gone) = runs.iter().find(|run| standing(run.installation) == Standing::Gone) {
        return Step::Park(gone.id);
    }
    let open = |run: &&OpenRun| standing(run.installation) == Standing::Open;
    if let Some(cut) = runs.iter().filter(open).find(|run| run.cut_off.is_some()) {
        return loading(cut).map_or(Step::Run(cut.id), Step::Wait);
    }
    let mut seen = BTreeSet::new();
    let mut next: Option<i64> = None;
    for run in runs.iter().filter(open) {
        let head = run.repaired || seen.insert(run.installation);
        if !head {
            continue;
        }
        // A ready run is due whatever the clock says: a clock set back must not stop it.
        let due = run.state == RunState::Ready || run.next_at <= now || ended_later(run, now);
        let at = match loading(run) {
            None if due => return Step::Run(run.id),
            None => run.next_at,
            Some(until) => until,
        };
        next = Some(next.map_or(at, |next| next.min(at)));
    }
    next.map_or(Step::Idle, Step::Wait)
}

/// Clocks may differ by this and nothing was wrong with them, milliseconds.
pub const SET_BACK_MS: i64 = 60_000;

/// Whether the last attempt ended in the future: the clock was ahead then, and so is the time that was set for the next.
fn ended_later(run: &OpenRun, now: i64) -> bool {
    run.ended_at.is_some_and(|ended_at| ended_at > now.saturating_add(SET_BACK_MS))
}
