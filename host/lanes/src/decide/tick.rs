//! Which tick of a schedule is run when several were due: the latest, and none twice.

use fangshi_journal::Tick;

/// Ticks that are counted one by one; of more only this many are told.
const COUNTED: i64 = 1_000;

/// What becomes of a schedule whose next tick was worked out as `next_at`. `next_after` gives the first tick after a time;
/// all times are unix seconds. Of several ticks that were missed the latest is run, the others are skipped; if the
/// schedule is not `working`, all are. A next tick that lies in the future (the clock was set back) is worked out anew.
pub fn tick(next_after: impl Fn(i64) -> Option<i64>, next_at: i64, now: i64, working: bool) -> Tick {
    let next = next_after(now).unwrap_or(i64::MAX);
    if next_at > now {
        return Tick { due_at: None, next_at: next, skipped: 0 };
    }
    let latest = latest(&next_after, next_at, now);
    let mut missed = 0;
    let mut at = next_at;
    while at < latest && missed < COUNTED {
        missed += 1;
        at = next_after(at).unwrap_or(latest);
    }
    match working {
        true => Tick { due_at: Some(latest), next_at: next, skipped: missed },
        false => Tick { due_at: None, next_at: next, skipped: missed + 1 },
    }
}

/// The last tick until now; `due` is one of them. Found by halving: a host may come back after years.
fn latest(next_after: &impl Fn(i64) -> Option<i64>, due: i64, now: i64) -> i64 {
    let (mut before, mut past) = (due - 1, now);
    let mut latest = due;
    while past - before > 1 {
        let middle = before + (past - before) / 2;
        match next_after(middle).filter(|next| *next <= now) {
            Some(next) => (before, latest) = (middle, next),
            None => past = middle,
        }
    }
    latest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tick each hundred seconds.
    fn hundreds(after: i64) -> Option<i64> {
        Some((after.div_euclid(100) + 1) * 100)
    }

    #[test]
    fn the_latest_of_what_was_missed_is_run_and_the_rest_is_counted() {
        assert_eq!(tick(hundreds, 500, 500, true), Tick { due_at: Some(500), next_at: 600, skipped: 0 });
        assert_eq!(tick(hundreds, 500, 599, true), Tick { due_at: Some(500), next_at: 600, skipped: 0 });
        assert_eq!(tick(hundreds, 500, 600, true), Tick { due_at: Some(600), next_at: 700, skipped: 1 });
        assert_eq!(tick(hundreds, 500, 1_234, true), Tick { due_at: Some(1_200), next_at: 1_300, skipped: 7 });
    }

    #[test]
    fn what_does_not_work_is_given_no_tick_and_piles_none_up() {
        assert_eq!(tick(hundreds, 500, 1_234, false), Tick { due_at: None, next_at: 1_300, skipped: 8 });
    }

    #[test]
    fn a_leap_of_the_clock_makes_one_tick_in_few_steps() {
        let asked = std::cell::Cell::new(0_u32);
        let counting = |after| {
            asked.set(asked.get() + 1);
            hundreds(after)
        };
        let leap = tick(counting, 500, 4_000_000_050, true);
        assert_eq!((leap.due_at, leap.skipped), (Some(4_000_000_000), COUNTED));
        assert!(asked.get() < 1_100, "{}", asked.get());
    }

    #[test]
    fn a_clock_set_back_is_followed_and_the_end_of_time_is_no_tick() {
        assert_eq!(tick(hundreds, 9_000, 1_234, true), Tick { due_at: None, next_at: 1_300, skipped: 0 });
        let once = |after| (after < 500).then_some(500);
        assert_eq!(tick(once, 500, 900, true), Tick { due_at: Some(500), next_at: i64::MAX, skipped: 0 });
    }
}
