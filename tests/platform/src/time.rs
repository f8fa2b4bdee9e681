//! The platform's time: injected, so that hours of retries pass in a moment.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the platform's time comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TimeSource {
    /// Stands still but for `Platform::advance`; starts at these unix seconds.
    Manual(i64),
    /// Runs `factor` times as fast as the wall clock, from `start` (unix seconds; none: the system's time).
    Scaled {
        /// First moment in unix seconds.
        start: Option<i64>,
        /// Platform seconds per real second; 1.0 is real time.
        factor: f64,
    },
}

impl TimeSource {
    /// The system's time at its own pace.
    pub fn real() -> Self {
        TimeSource::Scaled { start: None, factor: 1.0 }
    }
}

/// The running clock. `advance` works for both sources: a scaled clock jumps.
#[derive(Debug)]
pub(crate) struct Clock {
    start_ms: i64,
    started: Instant,
    factor: f64,
    jumped_ms: AtomicI64,
}

impl Clock {
    pub(crate) fn new(source: TimeSource) -> Self {
        let (start_ms, factor) = match source {
            TimeSource::Manual(start) => (start * 1000, 0.0),
            TimeSource::Scaled { start, factor } => (start.map_or_else(wall_ms, |s| s * 1000), factor.max(0.0)),
        };
        Clock { start_ms, started: Instant::now(), factor, jumped_ms: AtomicI64::new(0) }
    }

    /// Unix milliseconds of the platform.
    pub(crate) fn now_ms(&self) -> i64 {
        let flown = if self.factor == 0.0 { 0.0 } else { self.started.elapsed().as_secs_f64() * 1000.0 * self.factor };
        self.start_ms + flown as i64 + self.jumped_ms.load(Ordering::Acquire)
    }

    /// Moves on to a moment; never back.
    pub(crate) fn jump_to(&self, ms: i64) {
        let ahead = ms - self.now_ms();
        if ahead > 0 {
            self.jumped_ms.fetch_add(ahead, Ordering::AcqRel);
        }
    }

    /// Real time until a moment of the platform; none if only a jump brings it.
    pub(crate) fn real_until(&self, ms: i64) -> Option<Duration> {
        let ahead = ms - self.now_ms();
        if ahead <= 0 {
            return Some(Duration::ZERO);
        }
        (self.factor > 0.0).then(|| Duration::from_secs_f64((ahead as f64 / 1000.0 / self.factor).min(86_400.0)))
    }
}

/// The wall clock in unix milliseconds.
#[allow(clippy::disallowed_methods, reason = "where the platform's injected time takes its start")]
pub(crate) fn wall_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_time_stands_still_and_never_goes_back() {
        let clock = Clock::new(TimeSource::Manual(1000));
        assert_eq!(clock.now_ms(), 1_000_000);
        clock.jump_to(1_005_000);
        clock.jump_to(1_001_000);
        assert_eq!(clock.now_ms(), 1_005_000);
        assert_eq!(clock.real_until(1_006_000), None);
        assert_eq!(clock.real_until(1_005_000), Some(Duration::ZERO));
    }

    #[test]
    fn scaled_time_needs_less_real_time() {
        let clock = Clock::new(TimeSource::Scaled { start: Some(0), factor: 1000.0 });
        let real = clock.real_until(clock.now_ms() + 3_600_000).unwrap();
        assert!(real <= Duration::from_millis(3600), "{real:?}");
    }
}
