//! A token in memory, and the queue of tasks before its refresh.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Held, decide};

#[derive(Default)]
pub(super) struct Slot {
    held: Mutex<Memory>,
    /// Held by the one task of this process that refreshes.
    pub(super) flight: Arc<tokio::sync::Mutex<Flight>>,
}

#[derive(Default)]
struct Memory {
    token: Option<Arc<Held>>,
    /// The platform refused versions up to this one.
    dead: Option<i64>,
    /// Until when nobody asks ahead: the platform refused to give a token.
    no_ahead_until: i64,
    /// Raised by whatever makes an earlier failure void: what is asked with now is another authorization or secret.
    era: u64,
}

/// What the last refreshes came to. Failures and quotas count for the era of what was asked with.
#[derive(Default)]
pub(super) struct Flight {
    era: u64,
    failures: u32,
    rest_until: i64,
    /// The version that a call without an answer was made for, and until when the platform may be at it.
    unanswered: Option<(i64, i64)>,
    /// Until when a quota of the platform is used up.
    limited_until: i64,
}

impl Slot {
    pub(super) fn token(&self) -> Option<Arc<Held>> {
        self.memory().token.clone()
    }

    /// Keeps a token, unless the platform refused it meanwhile.
    pub(super) fn hold(&self, token: &Arc<Held>) {
        let mut memory = self.memory();
        if memory.dead.is_none_or(|dead| token.version > dead) {
            memory.token = Some(Arc::clone(token));
        }
    }

    pub(super) fn is_dead(&self, version: i64) -> bool {
        self.memory().dead.is_some_and(|dead| version <= dead)
    }

    /// Forgets `version` for good; a newer token stays.
    pub(super) fn invalidate(&self, version: i64) {
        let mut memory = self.memory();
        memory.dead = memory.dead.max(Some(version));
        memory.token.take_if(|token| token.version <= version);
    }

    /// Whether to ask ahead of time at `now`.
    pub(super) fn may_ask_ahead(&self, now: i64) -> bool {
        let left = self.memory().no_ahead_until.saturating_sub(now);
        // Longer than any rest: the clock was set back since.
        left <= 0 || left > decide::NO_AHEAD_MS
    }

    /// The platform refused what was asked with in that era: it is not asked ahead for a while. Who needs the token asks all the
    /// same.
    pub(super) fn refused(&self, era: u64, now: i64) {
        let mut memory = self.memory();
        if memory.era == era {
            memory.no_ahead_until = now.saturating_add(decide::NO_AHEAD_MS);
        }
    }

    /// To be looked at before that which is asked with.
    pub(super) fn era(&self) -> u64 {
        self.memory().era
    }

    /// The next caller may ask the platform at once, unless a quota is used up.
    pub(super) fn stop_resting(&self) {
        self.memory().no_ahead_until = 0;
        // Whoever flies just now finds out by itself.
        if let Ok(mut flight) = self.flight.try_lock() {
            *flight = flight.rested();
        }
    }

    /// The same, whatever the quota: a new authorization came, or a person did something about the old one. Whoever flies just
    /// now flies with the old one, and what that comes to says nothing of the new.
    pub(super) fn start_afresh(&self) {
        let mut memory = self.memory();
        memory.no_ahead_until = 0;
        memory.era += 1;
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Milliseconds for which the platform is to be left alone about that version, in that era.
    pub(super) fn rest(&self, era: u64, now: i64, version: i64) -> Option<i64> {
        let unanswered = self.unanswered.filter(|(of, _)| *of == version).map_or(0, |(_, until)| until);
        let (rest_until, limited_until) = if self.era == era { (self.rest_until, self.limited_until) } else { (0, 0) };
        // Longer than any rest: the clock was set back since.
        let left = |until: i64, longest: i64| {
            let left = until.saturating_sub(now);
            (left > 0 && left <= longest).then_some(left)
        };
        left(rest_until.max(unanswered), decide::LONGEST_REST_MS).max(left(limited_until, decide::LONGEST_LIMIT_MS))
    }

    pub(super) fn failed(&mut self, era: u64, now: i64) {
        if self.era != era {
            *self = Flight { era, unanswered: self.unanswered, ..Flight::default() };
        }
        self.failures = self.failures.saturating_add(1);
        self.rest_until = now.saturating_add(decide::rest_ms(self.failures));
    }

    /// A call for that version got no answer: as long as the others respect the lease, so does this process.
    pub(super) fn unanswered(&mut self, era: u64, version: i64, now: i64) {
        self.failed(era, now);
        self.unanswered = Some((version, now.saturating_add(decide::LEASE_MS)));
    }

    /// A quota of the platform is used up.
    pub(super) fn limited(&mut self, era: u64, now: i64, until: i64) {
        self.failed(era, now);
        self.limited_until = until.min(now.saturating_add(decide::LONGEST_LIMIT_MS));
    }

    /// Failures before no longer count. A call that may be under way still does, and a quota that is used up.
    fn rested(&self) -> Flight {
        let Flight { era, unanswered, limited_until, .. } = *self;
        Flight { era, unanswered, limited_until, ..Flight::default() }
    }

    pub(super) fn succeeded(&mut self) {
        *self = Flight::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_era_came_to_gives_the_next_no_rest() {
        let (slot, mut flight) = (Slot::default(), Flight::default());
        let old = slot.era();
        flight.limited(old, 0, 50_000_000);
        assert_eq!(flight.rest(old, 0, 1), Some(50_000_000));
        slot.start_afresh();
        let new = slot.era();
        assert_eq!(flight.rest(new, 0, 1), None);
        // The flight under way ends only now.
        flight.limited(old, 0, 50_000_000);
        slot.refused(old, 0);
        assert!(flight.rest(new, 0, 1).is_none() && slot.may_ask_ahead(0));
        // A failure of its own counts as the first.
        flight.failed(new, 0);
        assert_eq!(flight.rest(new, 0, 1), Some(1_000));
        slot.refused(new, 0);
        assert!(!slot.may_ask_ahead(0));
    }

    #[test]
    fn a_call_that_may_be_under_way_counts_for_its_version_in_every_era() {
        let (slot, mut flight) = (Slot::default(), Flight::default());
        flight.unanswered(slot.era(), 1, 0);
        slot.start_afresh();
        assert_eq!(flight.rest(slot.era(), 0, 1), Some(decide::LEASE_MS));
        flight.failed(slot.era(), 0);
        assert_eq!(flight.rest(slot.era(), 0, 1), Some(decide::LEASE_MS));
        assert_eq!(flight.rest(slot.era(), 0, 2), Some(1_000));
    }
}
