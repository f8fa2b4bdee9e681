//! A tenant's budget of calls: a token bucket over times that are given to it.

/// What is left of a minute's calls. Holds at most a minute's, so that no minute has more than twice as many.
#[derive(Debug, Clone)]
pub struct Bucket {
    calls_per_minute: i64,
    /// In calls × 60,000: every millisecond brings `calls_per_minute`.
    held: i64,
    at: i64,
}

const CALL: i64 = 60_000;

impl Bucket {
    /// A bucket that is full. `now`: unix milliseconds.
    pub fn full(calls_per_minute: u32, now: i64) -> Bucket {
        let calls_per_minute = i64::from(calls_per_minute.max(1));
        Bucket { calls_per_minute, held: calls_per_minute * CALL, at: now }
    }

    /// Takes a call if more than `reserve` calls are left; else says when there will be, unix milliseconds.
    pub fn take(&mut self, reserve: u32, now: i64) -> Result<(), i64> {
        // A clock that was set back brings nothing, and takes nothing away.
        let passed = now.saturating_sub(self.at).max(0);
        self.held = self.held.saturating_add(passed.saturating_mul(self.calls_per_minute)).min(self.most());
        self.at = now;
        // Of a bucket that holds one call, nothing can be kept back.
        let wanted = (i64::from(reserve) + 1).saturating_mul(CALL).min(self.most());
        if self.held >= wanted {
            self.held -= CALL;
            return Ok(());
        }
        let missing = wanted - self.held;
        Err(now.saturating_add(missing.div_euclid(self.calls_per_minute) + 1))
    }

    fn most(&self) -> i64 {
        self.calls_per_minute * CALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_its_calls_and_a_reserve_stays() {
        let mut bucket = Bucket::full(60, 0);
        assert_eq!((0..100).filter(|_| bucket.take(0, 0).is_ok()).count(), 60);
        assert_eq!(bucket.take(0, 0), Err(1_001));
        assert_eq!(bucket.take(0, 1_001), Ok(()));
        assert_eq!((0..100).filter(|_| bucket.take(30, 60_000).is_ok()).count(), 29, "59 held, 30 kept back");
        assert!(bucket.take(0, 60_000).is_ok());
        // The clock goes back.
        assert!(bucket.take(60, 50_000).is_err());
        assert!(Bucket::full(1, 0).take(30, 0).is_ok(), "a reserve never stops everything");
    }
}
