//! When a failed run is tried again.

use std::time::Duration;

/// The schedule of attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Waits after the first, second, … attempt; the last one repeats. Default 5 s, 30 s, 2 min, 10 min, 30 min, 1 h.
    pub waits: Vec<Duration>,
    /// Attempts in all. Default 12.
    pub attempts: u32,
    /// From the first attempt on; the last attempt is at its end at the latest. Default 8 h.
    pub window: Duration,
    /// Largest part of a wait by which it is made longer or shorter, percent. Default 20.
    pub spread: u32,
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule {
            waits: [5, 30, 120, 600, 1_800, 3_600].map(Duration::from_secs).to_vec(),
            attempts: 12,
            window: Duration::from_secs(8 * 3_600),
            spread: 20,
        }
    }
}

/// The longest wish of a plugin or platform that is honoured: a daily quota opens at midnight.
const LONGEST_WISH: Duration = Duration::from_secs(24 * 3_600);

/// What the schedule says after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Not before this, unix milliseconds.
    At(i64),
    /// That was the last attempt.
    Park,
}

/// One attempt within its budget.
#[derive(Debug, Clone, Copy)]
pub struct Tried {
    /// Which attempt of the budget it is, from 1.
    pub attempt: u32,
    /// When the budget's first attempt started, unix milliseconds.
    pub first_at: i64,
    /// When this one started, unix milliseconds.
    pub started_at: i64,
}

impl Schedule {
    /// Whether the run is parked if this attempt fails.
    pub fn is_last(&self, tried: Tried) -> bool {
        tried.attempt >= self.attempts || tried.started_at >= self.end(tried)
    }

    /// When to try again after a failed attempt that ended at `now` (unix milliseconds).
    ///
    /// `wish` is the least wait that the plugin or the platform asked for. It replaces the schedule's wait, is never
    /// undercut, and may lead past the window (by at most a day): the attempt then is the last. `spin`, between -1 and 1,
    /// is the caller's random number.
    pub fn next(&self, tried: Tried, now: i64, wish: Option<Duration>, spin: f64) -> Retry {
        if self.is_last(tried) {
            return Retry::Park;
        }
        let spin = spin.clamp(-1.0, 1.0);
        let spread = f64::from(self.spread) / 100.0;
        match wish {
            Some(wish) => {
                let wish = millis(wish.min(LONGEST_WISH));
                Retry::At(now + wish + (wish as f64 * spread * spin.abs()) as i64)
            }
            None => {
                let index = (tried.attempt.max(1) as usize - 1).min(self.waits.len().saturating_sub(1));
                let wait = self.waits.get(index).copied().map_or(0, millis);
                let at = now + (wait as f64 * (1.0 + spread * spin)) as i64;
                Retry::At(at.min(self.end(tried)).max(now))
            }
        }
    }

    fn end(&self, tried: Tried) -> i64 {
        tried.first_at.saturating_add(millis(self.window))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
