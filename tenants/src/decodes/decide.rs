//! The decisions about decodes: functions without I/O and without a clock.

use fangshi_database::Digest;
use serde_json::Value;

use super::ShownAddress;

/// The platform's days begin at midnight in Shanghai, which keeps no summer time.
const SHANGHAI_MS: i64 = 8 * 3_600_000;
const DAY_MS: i64 = 86_400_000;

/// An answer, as it was kept.
pub(super) struct Kept {
    pub(super) mark: Digest,
    /// When its virtual number ends, unix seconds.
    pub(super) number_until: Option<i64>,
    /// Unix ms.
    pub(super) decoded_at: i64,
    pub(super) answer: Value,
}

/// Whether a kept answer still tells what decoding again would. `now` in unix ms.
pub(super) fn is_good(kept: &Kept, shown: &ShownAddress, now: i64) -> bool {
    if kept.mark != shown.mark {
        return false;
    }
    // The number was given anew or extended since. A shop's own address hash does not tell (platform page 3).
    if shown.number_until > kept.number_until {
        return false;
    }
    // Ran out since. One that had run out already when it was decoded is what decoding gives.
    let ended = |until: i64| until.saturating_mul(1000) <= now && kept.decoded_at < until.saturating_mul(1000);
    !kept.number_until.is_some_and(ended)
}

/// The day of Asia/Shanghai, counted from 1970-01-01. `now` in unix ms.
pub(super) fn day(now: i64) -> i64 {
    now.saturating_add(SHANGHAI_MS).div_euclid(DAY_MS)
}

/// When a day begins, unix ms.
pub(super) fn begin_of(day: i64) -> i64 {
    day.saturating_mul(DAY_MS).saturating_sub(SHANGHAI_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(number_until: Option<i64>, decoded_at_s: i64) -> Kept {
        Kept { mark: Digest::of(b"a"), number_until, decoded_at: decoded_at_s * 1000, answer: Value::Null }
    }

    fn shown(mark: &[u8], number_until: Option<i64>) -> ShownAddress {
        ShownAddress { mark: Digest::of(mark), number_until }
    }

    #[test]
    fn an_answer_is_good_for_its_address_and_number() {
        assert!(is_good(&kept(None, 10), &shown(b"a", None), 20_000));
        assert!(!is_good(&kept(None, 10), &shown(b"b", None), 20_000), "another address");
        assert!(!is_good(&kept(None, 10), &shown(b"a", Some(90)), 20_000), "a number was given since");
        assert!(!is_good(&kept(Some(50), 10), &shown(b"a", Some(90)), 20_000), "it was extended since");
        assert!(is_good(&kept(Some(50), 10), &shown(b"a", Some(50)), 49_999));
        assert!(!is_good(&kept(Some(50), 10), &shown(b"a", Some(50)), 50_000), "it ran out");
        assert!(is_good(&kept(Some(50), 60), &shown(b"a", Some(50)), 70_000), "decoding again gives no other");
    }

    #[test]
    fn days_are_those_of_shanghai() {
        // 2025-12-02 10:26:43 +08:00.
        let now = 1_764_642_403_000;
        let next = begin_of(day(now) + 1);
        assert_eq!((next - now) / 1000, 86_400 - (10 * 3600 + 26 * 60 + 43));
        assert_eq!((day(next - 1), day(next)), (day(now), day(now) + 1));
    }
}
