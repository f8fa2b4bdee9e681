//! A host's clock that is ahead of the platform's.
//!
//! An incremental pass lists up to a moment by the host's clock. If that lies ahead of the platform's present, orders are updated
//! within the range after it was listed, and the next pass would begin behind them. So a pass has looked at no more than what it
//! is sure of: an order that shows an update of a minute ago proves that the host is ahead by a minute at most.

use fangshi_journal::Walk;

/// How far ahead a host's clock may be before an incremental pass leaves out what changes, seconds: an hour. The full pass finds
/// that. Where no order proves more, so much is listed once more.
pub const AHEAD_S: i64 = 3_600;

/// Takes in an order that was read so long after its update, seconds.
pub fn seen(walk: &mut Walk, age_s: i64) {
    walk.youngest_s = Some(walk.youngest_s.map_or(age_s, |youngest| youngest.min(age_s)));
}

/// Until when all updates were listed for sure, unix seconds; `done_until_s`: by the passes before this one, which was walked to
/// its end.
pub fn looked_until(walk: &Walk, done_until_s: i64) -> i64 {
    let begun_s = walk.begun_at.div_euclid(1_000);
    let ahead_s = walk.youngest_s.unwrap_or(AHEAD_S).clamp(0, AHEAD_S);
    let sure = walk.until_s.min(begun_s - ahead_s);
    match done_until_s <= begun_s {
        // What they were sure of stays so.
        true => sure.max(done_until_s.min(walk.until_s)),
        // Their clock was wrong.
        false => sure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_764_642_403;

    fn looked(ages: &[i64], done_until_s: i64) -> i64 {
        let mut walk = Walk { begun_at: NOW * 1_000, until_s: NOW - 120, ..Walk::default() };
        ages.iter().for_each(|age_s| seen(&mut walk, *age_s));
        looked_until(&walk, done_until_s)
    }

    #[test]
    fn a_pass_has_looked_at_what_the_youngest_order_proves() {
        let long_ago = NOW - 90_000;
        assert_eq!(looked(&[5_000, 300, 70_000], long_ago), NOW - 300);
        assert_eq!(looked(&[60, 300], long_ago), NOW - 120, "no more than was listed");
        assert_eq!(looked(&[-900], long_ago), NOW - 120, "a clock that is behind leaves out nothing");
        assert_eq!((looked(&[], long_ago), looked(&[9_000], long_ago)), (NOW - AHEAD_S, NOW - AHEAD_S));
    }

    #[test]
    fn what_was_looked_at_stays_so_unless_it_lies_ahead() {
        assert_eq!(looked(&[], NOW - 1_000), NOW - 1_000);
        assert_eq!(looked(&[300], NOW - 1_000), NOW - 300);
        assert_eq!(looked(&[], NOW), NOW - 120, "the first visit is told from what came before it");
        assert_eq!(looked(&[], NOW + 86_400), NOW - AHEAD_S);
    }
}
