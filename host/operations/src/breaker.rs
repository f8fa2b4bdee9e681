//! The circuit breaker of one shop on its platform: after some failures in a row nothing is sent for a while, then one
//! call finds out whether it works again. Pure: time is a value.

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Failures in a row that open it. Default 5.
    pub failures: u32,
    /// How long it stays open at first, milliseconds; doubled each time that the probe fails. Default 5 s.
    pub first_ms: i64,
    /// And at most, milliseconds. Default 60 s.
    pub longest_ms: i64,
    /// A probe that has not come back after this is given up, milliseconds: its run was cut off. Default 30 s.
    pub probe_ms: i64,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        BreakerConfig { failures: 5, first_ms: 5_000, longest_ms: 60_000, probe_ms: 30_000 }
    }
}

/// Whether a call may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Pass,
    /// It may, alone: it finds out whether the platform answers again.
    Probe,
    /// It may not; the next probe is due then, unix milliseconds.
    Refused(i64),
}

/// What a call showed of the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Showed {
    /// It answers, be it with a refusal.
    Works,
    /// It is busy, or does not answer.
    Fails,
    /// Nothing: the call never left.
    Nothing,
}

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// Nothing is sent until then, unix milliseconds.
    Open(i64),
    /// One call is on its way to find out; since then, unix milliseconds.
    HalfOpen(i64),
}

/// A breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    config: BreakerConfig,
    state: BreakerState,
    /// Failures in a row.
    failures: u32,
    /// How often it opened since it was closed.
    trips: u32,
    /// Since when it is not closed, unix milliseconds.
    opened_at: Option<i64>,
}

impl Breaker {
    /// A closed one.
    pub fn new(config: BreakerConfig) -> Breaker {
        Breaker { config, state: BreakerState::Closed, failures: 0, trips: 0, opened_at: None }
    }

    /// Where it stands.
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Since when it is not closed, unix milliseconds.
    pub fn opened_at(&self) -> Option<i64> {
        self.opened_at
    }

    /// A call wants to be sent.
    pub fn admit(&mut self, now: i64) -> Admission {
        match self.state {
            BreakerState::Closed => Admission::Pass,
            // A clock that was set back must not keep it open for as long as it jumped.
            BreakerState::Open(until) if now < until && until <= now.saturating_add(self.config.longest_ms) => {
                Admission::Refused(until)
            }
            BreakerState::HalfOpen(since) if (0..self.config.probe_ms).contains(&now.saturating_sub(since)) => {
                Admission::Refused(since.saturating_add(self.config.probe_ms))
            }
            BreakerState::Open(_) | BreakerState::HalfOpen(_) => {
                self.state = BreakerState::HalfOpen(now);
                Admission::Probe
            }
        }
    }

    /// A call that was let pass has ended. True if this opened a breaker that was closed.
    pub fn ended(&mut self, admitted: Admission, showed: Showed, now: i64) -> bool {
        match (showed, admitted) {
            (Showed::Nothing, Admission::Probe) => {
                // It found nothing out: the next one may.
                self.state = BreakerState::Open(now);
                false
            }
            (Showed::Nothing, _) => false,
            (Showed::Works, _) => {
                *self = Breaker::new(self.config);
                false
            }
            // Late news of calls from before it opened.
            (Showed::Fails, Admission::Pass | Admission::Refused(_)) if self.state != BreakerState::Closed => false,
            (Showed::Fails, _) => {
                self.failures = self.failures.saturating_add(1);
                let opens = self.state != BreakerState::Closed || self.failures >= self.config.failures;
                let first = opens && self.opened_at.is_none();
                if opens {
                    let wait = self.config.first_ms.saturating_mul(1 << self.trips.min(20));
                    self.trips = self.trips.saturating_add(1);
                    self.state = BreakerState::Open(now.saturating_add(wait.min(self.config.longest_ms)));
                    self.opened_at.get_or_insert(now);
                }
                first
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Admission::{Pass, Probe, Refused};
    use Showed::{Fails, Nothing, Works};

    fn breaker() -> Breaker {
        Breaker::new(BreakerConfig { failures: 3, first_ms: 100, longest_ms: 350, probe_ms: 1_000 })
    }

    fn tripped(now: i64) -> Breaker {
        let mut breaker = breaker();
        for n in 1..=3 {
            assert_eq!(breaker.admit(now), Pass);
            assert_eq!(breaker.ended(Pass, Fails, now), n == 3);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_an_answer_between_them_does_not() {
        let mut breaker = breaker();
        for showed in [Fails, Fails, Works, Fails, Nothing, Fails] {
            assert!(!breaker.ended(Pass, showed, 0));
        }
        assert_eq!((breaker.admit(0), breaker.failures()), (Pass, 2));
        assert!(breaker.ended(Pass, Fails, 0));
        assert_eq!(breaker.admit(99), Refused(100));
    }

    #[test]
    fn one_probe_at_a_time_and_longer_waits_until_it_answers() {
        let mut breaker = tripped(0);
        let mut at = 0;
        for wait in [100, 200, 350, 350] {
            at += wait;
            assert_eq!(breaker.admit(at - 1), Refused(at));
            assert_eq!(breaker.admit(at), Probe);
            assert_eq!(breaker.admit(at), Refused(at + 1_000), "the second waits for the first");
            assert!(!breaker.ended(Probe, Fails, at), "it was open before");
        }
        assert_eq!(breaker.opened_at(), Some(0));
        at += 350;
        assert_eq!(breaker.admit(at), Probe);
        breaker.ended(Probe, Works, at);
        assert_eq!((breaker.admit(at), breaker.opened_at()), (Pass, None));
    }

    #[test]
    fn a_probe_that_was_lost_or_never_left_makes_room_for_another() {
        let mut breaker = tripped(0);
        assert_eq!(breaker.admit(100), Probe);
        assert_eq!(breaker.admit(1_099), Refused(1_100));
        assert_eq!(breaker.admit(1_100), Probe, "the first was cut off");
        breaker.ended(Probe, Nothing, 1_101);
        assert_eq!(breaker.admit(1_101), Probe);
    }

    #[test]
    fn late_failures_and_a_clock_that_jumps_keep_nothing_closed() {
        let mut breaker = tripped(1_000_000);
        breaker.ended(Pass, Fails, 1_000_050);
        assert_eq!(breaker.state(), BreakerState::Open(1_000_100), "sent before it opened");
        assert_eq!(breaker.admit(0), Probe, "the clock was set back");
        assert_eq!(breaker.admit(-500), Probe, "and again");
        breaker.ended(Pass, Works, 0);
        assert_eq!(breaker.admit(0), Pass, "a late answer counts");
    }
}
