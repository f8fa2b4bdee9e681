//! The timestamp window: an authentic push that is far too old or far ahead is refused.
//!
//! The platform retries for 3.6 hours and may repeat its first timestamp (platform page 0.3, 1.5), so the window is
//! wide by default. It only bounds how long a captured push can be replayed; the dedup key does the rest.

/// Default: a day either way, in seconds.
pub const DEFAULT_WINDOW: i64 = 24 * 60 * 60;

/// The push is outside the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the timestamp is {ahead} s ahead of this host's clock")]
pub struct OutsideWindow {
    /// Seconds ahead of our clock; negative when the push is old.
    pub ahead: i64,
}

/// `timestamp` and `window` in seconds, `now` in milliseconds.
pub fn within(timestamp: i64, now: i64, window: i64) -> Result<(), OutsideWindow> {
    let ahead = timestamp.saturating_sub(now.div_euclid(1000));
    if ahead.unsigned_abs() <= window.unsigned_abs() { Ok(()) } else { Err(OutsideWindow { ahead }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_either_way_and_no_overflow() {
        let now = 1_714_112_445_999;
        for (ahead, fits) in [(0, true), (86_400, true), (-86_400, true), (86_401, false), (-86_401, false)] {
            assert_eq!(within(1_714_112_445 + ahead, now, DEFAULT_WINDOW).is_ok(), fits, "{ahead}");
        }
        assert!(within(i64::MAX, i64::MIN, DEFAULT_WINDOW).is_err());
        assert!(within(0, i64::MAX, DEFAULT_WINDOW).is_err());
    }
}
