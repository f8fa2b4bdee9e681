//! Time is injected, so that tests never wait and a run can be repeated.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Where "now" comes from: unix **milliseconds**.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// The machine's clock.
    #[allow(clippy::disallowed_methods)] // The one place that asks the machine for the time.
    pub fn system() -> Clock {
        Clock(Arc::new(|| {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        }))
    }

    /// A clock that stands still until its [`ManualClock`] is told; it starts at 2026-01-01T00:00:00Z.
    pub fn manual() -> (Clock, ManualClock) {
        let hand = ManualClock(Arc::new(AtomicI64::new(1_767_225_600_000)));
        let shown = hand.clone();
        (Clock(Arc::new(move || shown.0.load(Ordering::SeqCst))), hand)
    }

    /// Unix milliseconds.
    pub fn now(&self) -> i64 {
        (self.0)()
    }

    /// Unix seconds, as the platforms count.
    pub fn now_s(&self) -> i64 {
        self.now().div_euclid(1000)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

/// The hand of a clock made by [`Clock::manual`].
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Sets the time: unix milliseconds.
    pub fn set(&self, unix_ms: i64) {
        self.0.store(unix_ms, Ordering::SeqCst);
    }

    /// Moves the time forward by milliseconds.
    pub fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_by_hand() {
        let (clock, hand) = Clock::manual();
        let start = clock.now();
        assert_eq!(clock.clone().now(), start);
        hand.advance(1500);
        assert_eq!(clock.now(), start + 1500);
        assert_eq!(clock.now_s(), (start + 1500) / 1000);
        hand.set(7);
        assert_eq!(clock.now(), 7);
    }

    #[test]
    fn the_system_clock_counts_milliseconds() {
        assert!(Clock::system().now() > 1_700_000_000_000);
    }
}
