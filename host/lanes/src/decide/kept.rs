//! How many bytes a tenant's attempts make the journal keep within an hour: its writer and its disk are everybody's. What a
//! quiet tenant did not use for an hour it may use at once; what is more waits, and is lost to nobody.

use std::collections::HashMap;

use fangshi_journal::TenantId;

/// One hour, in milliseconds: how far ahead of an even pace a tenant may write.
const AHEAD: i64 = 3_600_000;

/// A clock that goes back by less was put right; by more, what it said before counts for nothing.
const SET_BACK: i64 = 60_000;

/// Tenants remembered before those that are not ahead are forgotten.
const REMEMBERED: usize = 10_000;

/// What each tenant's attempts kept lately.
#[derive(Debug, Default)]
pub struct Kept {
    lately: HashMap<TenantId, Lately>,
}

#[derive(Debug, Clone, Copy)]
struct Lately {
    /// When as much would have been kept at an even pace, unix milliseconds.
    even: i64,
    /// When that was counted, unix milliseconds.
    at: i64,
}

impl Lately {
    fn holds(&self, now: i64) -> bool {
        self.at <= now.saturating_add(SET_BACK)
    }
}

impl Kept {
    /// Whether an attempt of the tenant may begin now (unix milliseconds), or when it may.
    ///
    /// # Errors
    /// The time from which on it may, unix milliseconds.
    pub fn begin(&self, tenant: TenantId, now: i64) -> Result<(), i64> {
        match self.lately.get(&tenant).filter(|lately| lately.holds(now)) {
            Some(lately) if lately.even - AHEAD > now => Err(lately.even - AHEAD),
            _ => Ok(()),
        }
    }

    /// Counts what an attempt made the journal keep, of so many bytes an hour.
    pub fn ended(&mut self, tenant: TenantId, bytes: u64, per_hour: u64, now: i64) {
        let took = u128::from(bytes) * AHEAD as u128 / u128::from(per_hour.max(1));
        let took = i64::try_from(took).unwrap_or(i64::MAX);
        if self.lately.len() >= REMEMBERED {
            self.lately.retain(|_, lately| lately.even > now && lately.holds(now));
        }
        let before = self.lately.get(&tenant).filter(|lately| lately.holds(now));
        let before = before.map_or(now, |lately| lately.even.max(now));
        self.lately.insert(tenant, Lately { even: before.saturating_add(took), at: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: TenantId = TenantId(1);

    #[test]
    fn an_hour_holds_so_much_and_the_rest_is_told_when() {
        let mut kept = Kept::default();
        let begun = |kept: &mut Kept, now| {
            (0..100).take_while(|_| kept.begin(ONE, now).inspect(|()| kept.ended(ONE, 10, 50, now)).is_ok()).count()
        };
        // The one that goes beyond is let through: what it will keep is not known before.
        assert_eq!(begun(&mut kept, 0), 6);
        assert_eq!(kept.begin(ONE, 0), Err(AHEAD / 5));
        assert_eq!(kept.begin(TenantId(2), 0), Ok(()), "others have an hour of their own");
        assert_eq!(begun(&mut kept, AHEAD / 5), 1);
        assert_eq!(begun(&mut kept, 100 * AHEAD), 6, "no more is saved up");
    }

    #[test]
    fn a_clock_that_was_set_back_holds_nobody_up() {
        let mut kept = Kept::default();
        kept.ended(ONE, u64::MAX, 1, 5 * AHEAD);
        assert_eq!(kept.begin(ONE, AHEAD), Ok(()));
        kept.ended(ONE, 1, 1_000, AHEAD);
        assert_eq!(kept.begin(ONE, AHEAD), Ok(()));
        // Put right by a moment, it forgives nothing.
        kept.ended(ONE, 10_000, 1_000, AHEAD);
        assert!(kept.begin(ONE, AHEAD - 5).is_err());
        kept.ended(ONE, 1, 1_000, AHEAD - 5);
        assert!(kept.begin(ONE, AHEAD).is_err());
    }
}
