//! Times as the shops and their merchants have them.

/// A time (unix ms) in China, as `format` says it (strftime); empty for one that no calendar has.
pub(crate) fn time(unix_ms: i64, format: &str) -> String {
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
    match jiff::Timestamp::from_millisecond(unix_ms) {
        Ok(at) => at.to_zoned(zone).strftime(format).to_string(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_chinas() {
        assert_eq!(time(1_767_225_600_000, "%Y-%m-%d %H:%M:%S"), "2026-01-01 08:00:00");
        // 2025-12-02 10:26:43 +08:00, the paying time of the real order.
        assert_eq!(time(1_764_642_403_000, "%H:%M"), "10:26");
        assert_eq!(time(0, "%H:%M"), "08:00");
    }
}
