//! Settings.

use std::time::Duration;

/// Settings of reconciliation. The defaults suit a host of any size: budgets are a tenant's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconcileConfig {
    /// How often the updates of a tenant's orders are looked at. Default 15 min.
    pub interval: Duration,
    /// When the daily full passes begin, those of the first tenants; those of the others follow within four hours.
    pub full_pass_at: FullPassAt,
    /// How old the orders of a full pass may be, days. Default 30: a virtual number's life.
    pub full_days: u32,
    /// Calls for one tenant a minute: they use up the merchant's own quota. Default 60.
    pub calls_per_minute: u32,
    /// Calls for one tenant a day: they use up the merchant's own daily quota, which its plugins share. Default 20,000; the
    /// platform publishes no quota of these calls (platform page, section 6), a shop's own is in its answer to
    /// `openapi/quota/get`.
    pub calls_per_day: u32,
    /// How long an update waits for its callback before a reading counts. Default 2 min: four of the platform's pushes come
    /// in that time (platform page, section 1.5).
    pub grace: Duration,
}

impl Default for ReconcileConfig {
    fn default() -> Self {
        ReconcileConfig {
            interval: Duration::from_secs(900),
            full_pass_at: FullPassAt::default(),
            full_days: 30,
            calls_per_minute: 60,
            calls_per_day: 20_000,
            grace: Duration::from_secs(120),
        }
    }
}

/// A time of the day in Asia/Shanghai, minutes after midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullPassAt(u16);

const DAY_MINUTES: u16 = 1_440;
const DAY_MS: i64 = 86_400_000;
/// Full passes begin within this time, milliseconds: four hours.
const SPREAD_MS: u64 = 4 * 3_600_000;
/// China has one time and no daylight saving.
const BEIJING_MS: i64 = 8 * 3_600_000;

/// The number of a day in Asia/Shanghai, and when it ends; both of unix milliseconds.
pub fn beijing_day(now: i64) -> (i64, i64) {
    let day = (now + BEIJING_MS).div_euclid(DAY_MS);
    (day, (day + 1) * DAY_MS - BEIJING_MS)
}

impl Default for FullPassAt {
    /// Four in the morning: the shops are quiet, and the quota of the day is new.
    fn default() -> Self {
        FullPassAt(4 * 60)
    }
}

impl FullPassAt {
    /// Reads `04:00`.
    pub fn parse(text: &str) -> Option<FullPassAt> {
        let (hour, minute) = text.split_once(':')?;
        let part = |text: &str| match text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse::<u16>().ok(),
            false => None,
        };
        let (hour, minute) = (part(hour)?, part(minute)?);
        (hour < 24 && minute < 60).then_some(FullPassAt(hour * 60 + minute))
    }

    /// The next such time after `now` for a tenant; both unix milliseconds. `spread`, the tenant's own number, keeps the
    /// passes of many from beginning all at once.
    pub fn after(self, now: i64, spread: u64) -> i64 {
        let later = (spread % SPREAD_MS) as i64;
        let (_, next_midnight) = beijing_day(now - later);
        let today = next_midnight - DAY_MS + i64::from(self.0 % DAY_MINUTES) * 60_000 + later;
        if today > now { today } else { today + DAY_MS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day_is_chinas() {
        let four = FullPassAt::parse("04:00").unwrap();
        assert_eq!(four, FullPassAt::default());
        // 2025-12-02 10:26:43 +08:00; the next four o'clock is 17:33:17 later.
        let paid = 1_764_642_403_000;
        assert_eq!(four.after(paid, 0) - paid, ((17 * 60 + 33) * 60 + 17) * 1_000);
        assert_eq!(four.after(four.after(paid, 0), 0), four.after(paid, 0) + DAY_MS);
        assert_eq!(FullPassAt::parse("23:59").unwrap().after(paid, 0) - paid, ((13 * 60 + 32) * 60 + 17) * 1_000);
        for wrong in ["", "4:00", "24:00", "04:60", "04:0", "04:000", "+4:00", "noon"] {
            assert_eq!(FullPassAt::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn passes_of_many_tenants_are_spread_and_come_daily() {
        let (four, now) = (FullPassAt::default(), 1_764_642_403_000);
        for spread in [0, 1, 7_200_000, SPREAD_MS - 1, SPREAD_MS, u64::MAX] {
            let next = four.after(now, spread);
            assert!(next > now && next <= now + DAY_MS);
            let later = next - four.after(now, 0);
            assert_eq!(later.rem_euclid(DAY_MS), (spread % SPREAD_MS) as i64);
            assert_eq!((four.after(next, spread), four.after(next - 1, spread)), (next + DAY_MS, next));
        }
    }
}
