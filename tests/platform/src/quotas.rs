//! Quotas by shop and path: a day's (45009) and a minute's (45011).

use std::collections::HashMap;

use crate::refusal::Refusal;
use crate::settings::Settings;

/// `clear_quota` a month.
const CLEARS: u32 = 10;
/// The platform's days begin at midnight in Beijing.
const BEIJING_MS: i64 = 8 * 3_600_000;

#[derive(Debug, Default)]
pub(crate) struct Quotas {
    days: HashMap<(String, String), (i64, u64)>,
    minutes: HashMap<(String, String), (i64, u64)>,
    clears: HashMap<(String, i64), u32>,
}

fn day(now_ms: i64) -> i64 {
    (now_ms + BEIJING_MS).div_euclid(86_400_000)
}

fn count(counts: &mut HashMap<(String, String), (i64, u64)>, key: &(String, String), span: i64, limit: u64) -> bool {
    let used = counts.entry(key.clone()).or_insert((span, 0));
    if used.0 != span {
        *used = (span, 0);
    }
    if used.1 >= limit {
        return false;
    }
    used.1 += 1;
    true
}

impl Quotas {
    /// Counts a call, if both quotas have room.
    pub(crate) fn take(&mut self, settings: &Settings, appid: &str, path: &str, now_ms: i64) -> Result<(), Refusal> {
        let (daily, minute) = (settings.daily_quota.get(path), settings.minute_quota.get(path));
        if daily.is_none() && minute.is_none() {
            return Ok(());
        }
        let key = (appid.to_owned(), path.to_owned());
        if minute.is_some_and(|limit| !count(&mut self.minutes, &key, now_ms.div_euclid(60_000), *limit)) {
            return Err(Refusal::new(45011, "api minute-quota reach limit"));
        }
        if daily.is_some_and(|limit| !count(&mut self.days, &key, day(now_ms), *limit)) {
            return Err(Refusal::new(45009, "reach max api daily quota limit"));
        }
        Ok(())
    }

    /// Calls of today.
    pub(crate) fn used(&self, appid: &str, path: &str, now_ms: i64) -> u64 {
        let key = (appid.to_owned(), path.to_owned());
        self.days.get(&key).filter(|(span, _)| *span == day(now_ms)).map_or(0, |(_, used)| *used)
    }

    /// `clear_quota`: ten times in (about) a month.
    pub(crate) fn clear(&mut self, appid: &str, now_ms: i64) -> Result<(), Refusal> {
        let used = self.clears.entry((appid.to_owned(), day(now_ms) / 30)).or_insert(0);
        if *used >= CLEARS {
            return Err(Refusal::new(48006, "forbid to clear quota because of reaching the limit"));
        }
        *used += 1;
        self.days.retain(|(of, _), _| of != appid);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_by_shop_and_path_and_end_with_their_span() {
        let mut settings = Settings::default();
        settings.daily_quota.insert("/a".to_owned(), 2);
        settings.minute_quota.insert("/b".to_owned(), 1);
        let mut quotas = Quotas::default();
        let mut code = |appid: &str, path: &str, now: i64| {
            quotas.take(&settings, appid, path, now).map_or_else(|r| r.code, |()| 0)
        };
        assert_eq!([code("wx1", "/a", 0), code("wx1", "/a", 1), code("wx1", "/a", 2)], [0, 0, 45009]);
        assert_eq!(code("wx2", "/a", 2), 0);
        assert_eq!(code("wx1", "/c", 2), 0);
        // Midnight in Beijing is 16:00 UTC.
        assert_eq!(code("wx1", "/a", 16 * 3_600_000), 0);
        assert_eq!([code("wx1", "/b", 0), code("wx1", "/b", 59_999), code("wx1", "/b", 60_000)], [0, 45011, 0]);
    }

    #[test]
    fn clearing_works_ten_times() {
        let mut quotas = Quotas::default();
        for _ in 0..10 {
            quotas.clear("wx1", 0).unwrap();
        }
        assert_eq!(quotas.clear("wx1", 0).unwrap_err().code, 48006);
    }
}
