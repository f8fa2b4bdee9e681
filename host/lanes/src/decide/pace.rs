//! How many attempts of a tenant begin within a second. What a quiet tenant did not use for a second it may use at once; what
//! is more waits, and is lost to nobody.

use std::collections::HashMap;

use fangshi_journal::TenantId;

/// One second, in microseconds: how far ahead of an even pace a tenant may run.
const AHEAD: i64 = 1_000_000;

/// Tenants remembered before those that are not ahead are forgotten.
const REMEMBERED: usize = 10_000;

/// When each tenant's next attempt would begin at an even pace, microseconds.
#[derive(Debug, Default)]
pub struct Pace {
    even: HashMap<TenantId, i64>,
}

impl Pace {
    /// Counts an attempt that begins now (unix milliseconds), or says when it may.
    ///
    /// # Errors
    /// The time from which on it may, unix milliseconds.
    pub fn begin(&mut self, tenant: TenantId, per_second: u64, now: i64) -> Result<(), i64> {
        let now = now.saturating_mul(1_000);
        let step = AHEAD / i64::try_from(per_second.max(1)).unwrap_or(AHEAD).min(AHEAD);
        let kept = self.even.get(&tenant).copied().unwrap_or(now);
        // Further ahead than anybody gets: the clock was set back.
        let even = if kept > now.saturating_add(2 * AHEAD) { now } else { kept.max(now) };
        let early = even - now - (AHEAD - step);
        if early > 0 {
            return Err((now + early).div_euclid(1_000) + 1);
        }
        if self.even.len() >= REMEMBERED {
            self.even.retain(|_, even| *even > now);
        }
        self.even.insert(tenant, even + step);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: TenantId = TenantId(1);

    #[test]
    fn a_second_holds_so_many_and_the_rest_is_told_when() {
        let mut pace = Pace::default();
        let begun = |pace: &mut Pace, now| (0..100).filter(|_| pace.begin(ONE, 5, now).is_ok()).count();
        assert_eq!(begun(&mut pace, 10_000), 5);
        let next = pace.begin(ONE, 5, 10_000).unwrap_err();
        assert!((10_200..=10_201).contains(&next), "{next}");
        assert_eq!(pace.begin(ONE, 5, next), Ok(()));
        assert!(pace.begin(TenantId(2), 5, next).is_ok(), "others have a pace of their own");
        assert_eq!(begun(&mut pace, 20_000), 5, "no more is saved up");
        // Over ten seconds, asked every millisecond.
        let total = (30_000..40_000).filter(|now| pace.begin(ONE, 5, *now).is_ok()).count();
        assert!((50..=55).contains(&total), "{total}");
    }

    #[test]
    fn a_clock_that_was_set_back_holds_nobody_up() {
        let mut pace = Pace::default();
        assert!(pace.begin(ONE, 1, 1_000_000).is_ok());
        assert!(pace.begin(ONE, 1, 5_000).is_ok());
    }
}
