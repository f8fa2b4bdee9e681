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
}

/// What the last refreshes came to.
#[derive(Default)]
pub(super) struct Flight {
    failures: u32,
    rest_until: i64,
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

    /// The next caller may ask the platform at once.
    pub(super) fn stop_resting(&self) {
        // Whoever flies just now finds out by itself.
        if let Ok(mut flight) = self.flight.try_lock() {
            flight.succeeded();
        }
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Milliseconds for which the platform is to be left alone.
    pub(super) fn rest(&self, now: i64) -> Option<i64> {
        // Longer than any rest: the clock was set back since.
        let left = self.rest_until.saturating_sub(now);
        (left > 0 && left <= decide::LONGEST_REST_MS).then_some(left)
    }

    pub(super) fn failed(&mut self, now: i64) {
        self.failures = self.failures.saturating_add(1);
        self.rest_until = now.saturating_add(decide::rest_ms(self.failures));
    }

    pub(super) fn succeeded(&mut self) {
        *self = Flight::default();
    }
}
