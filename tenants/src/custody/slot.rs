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
}

/// What the last refreshes came to.
#[derive(Default)]
pub(super) struct Flight {
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

    /// The platform refused: it is not asked ahead for a while. Who needs the token asks all the same.
    pub(super) fn refused(&self, now: i64) {
        self.memory().no_ahead_until = now.saturating_add(decide::NO_AHEAD_MS);
    }

    /// The next caller may ask the platform at once, unless a quota is used up.
    pub(super) fn stop_resting(&self) {
        self.memory().no_ahead_until = 0;
        // Whoever flies just now finds out by itself.
        if let Ok(mut flight) = self.flight.try_lock() {
            *flight = flight.rested();
        }
    }

    /// The same, whatever the quota: a new authorization came, or a person did something about the old one.
    pub(super) fn start_afresh(&self) {
        self.stop_resting();
        if let Ok(mut flight) = self.flight.try_lock() {
            flight.limited_until = 0;
        }
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Milliseconds for which the platform is to be left alone about that version.
    pub(super) fn rest(&self, now: i64, version: i64) -> Option<i64> {
        let unanswered = self.unanswered.filter(|(of, _)| *of == version).map_or(0, |(_, until)| until);
        // Longer than any rest: the clock was set back since.
        let left = |until: i64, longest: i64| {
            let left = until.saturating_sub(now);
            (left > 0 && left <= longest).then_some(left)
        };
        left(self.rest_until.max(unanswered), decide::LONGEST_REST_MS)
            .max(left(self.limited_until, decide::LONGEST_LIMIT_MS))
    }

    pub(super) fn failed(&mut self, now: i64) {
        self.failures = self.failures.saturating_add(1);
        self.rest_until = now.saturating_add(decide::rest_ms(self.failures));
    }

    /// A call for that version got no answer: as long as the others respect the lease, so does this process.
    pub(super) fn unanswered(&mut self, version: i64, now: i64) {
        self.failed(now);
        self.unanswered = Some((version, now.saturating_add(decide::LEASE_MS)));
    }

    /// A quota of the platform is used up.
    pub(super) fn limited(&mut self, now: i64, until: i64) {
        self.failed(now);
        self.limited_until = until.min(now.saturating_add(decide::LONGEST_LIMIT_MS));
    }

    /// Failures before no longer count. A call that may be under way still does, and a quota that is used up.
    fn rested(&self) -> Flight {
        Flight { unanswered: self.unanswered, limited_until: self.limited_until, ..Flight::default() }
    }

    pub(super) fn succeeded(&mut self) {
        *self = Flight::default();
    }
}
