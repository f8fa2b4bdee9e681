//! The decisions of onboarding: functions without I/O and without a clock.

/// What the platform says of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Granted,
    Revoked,
}

/// What is to be done about an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Ask the platform how it stands, and follow the answer.
    Ask,
    /// Stop working for it.
    Revoke,
}

/// What a word of the platform comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Older than what is known, or the same again.
    Nothing,
    /// It counts.
    Take(Standing, Work),
}

/// An event of the platform about an account. `known`: the standing and its time by the platform's clock, unix seconds, none
/// if it has another one's; `at`: CreateTime.
///
/// Events arrive in any order. Where their times do not tell which came last, or where nothing is known of the account
/// to hold them against, the platform itself is asked.
pub(crate) fn hear(known: Option<(Standing, i64)>, word: Standing, at: i64) -> Heard {
    match (known, word) {
        (None, word) => Heard::Take(word, Work::Ask),
        (Some((_, since)), _) if at < since => Heard::Nothing,
        (Some((Standing::Revoked, since)), Standing::Revoked) if at == since => Heard::Nothing,
        (Some((Standing::Granted, since)), Standing::Revoked) if at == since => Heard::Take(word, Work::Ask),
        (Some(_), Standing::Revoked) => Heard::Take(word, Work::Revoke),
        (Some(_), Standing::Granted) => Heard::Take(word, Work::Ask),
    }
}

/// An account met in the list. `known`: as for [`hear`]. `settled`: whether it was looked at before, and its tenant not stopped since by what may be a
/// wrong answer.
pub(crate) fn meet(known: Option<(Standing, i64)>, settled: bool, auth_time: i64) -> Heard {
    match known {
        Some((Standing::Granted, since)) if auth_time <= since && settled => Heard::Nothing,
        // Listed although revoked: authorized anew without an event, or the list lags behind. Only the account's own
        // answer tells.
        _ => Heard::Take(Standing::Granted, Work::Ask),
    }
}

/// How long to wait after that many tries: 2 s, doubled up to 10 minutes.
pub(crate) fn pause_ms(tries: u32) -> i64 {
    1000_i64.saturating_mul(1 << tries.min(10)).min(600_000)
}

impl Standing {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Standing::Granted => "granted",
            Standing::Revoked => "revoked",
        }
    }

    pub(crate) fn from_code(code: &str) -> Option<Standing> {
        [Standing::Granted, Standing::Revoked].into_iter().find(|standing| standing.code() == code)
    }
}

impl Work {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Work::Ask => "ask",
            Work::Revoke => "revoke",
        }
    }

    pub(crate) fn from_code(code: &str) -> Option<Work> {
        [Work::Ask, Work::Revoke].into_iter().find(|work| work.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Standing::{Granted, Revoked};

    #[test]
    fn the_newest_word_counts_whatever_order_they_come_in() {
        assert_eq!(hear(Some((Granted, 10)), Revoked, 11), Heard::Take(Revoked, Work::Revoke));
        assert_eq!(hear(Some((Revoked, 11)), Granted, 10), Heard::Nothing, "an old authorization after a newer end");
        assert_eq!(hear(Some((Granted, 10)), Revoked, 9), Heard::Nothing, "an old end after a newer authorization");
        assert_eq!(hear(Some((Revoked, 11)), Revoked, 11), Heard::Nothing, "a replay");
        assert_eq!(hear(Some((Revoked, 11)), Granted, 12), Heard::Take(Granted, Work::Ask));
    }

    #[test]
    fn what_times_do_not_tell_the_platform_is_asked() {
        assert_eq!(hear(Some((Granted, 10)), Revoked, 10), Heard::Take(Revoked, Work::Ask));
        assert_eq!(hear(Some((Revoked, 10)), Granted, 10), Heard::Take(Granted, Work::Ask));
        assert_eq!(hear(None, Revoked, 10), Heard::Take(Revoked, Work::Ask), "moved in: nothing to hold it against");
    }

    #[test]
    fn the_list_is_a_hint_and_no_verdict() {
        assert_eq!(meet(None, false, 10), Heard::Take(Granted, Work::Ask));
        assert_eq!(meet(Some((Granted, 10)), true, 10), Heard::Nothing);
        assert_eq!(meet(Some((Granted, 10)), true, 11), Heard::Take(Granted, Work::Ask), "authorized again, silently");
        assert_eq!(meet(Some((Granted, 10)), false, 10), Heard::Take(Granted, Work::Ask), "never settled");
        assert_eq!(meet(Some((Revoked, 20)), true, 10), Heard::Take(Granted, Work::Ask));
    }

    #[test]
    fn tries_are_spread_up_to_ten_minutes() {
        assert_eq!([1, 2, 9, 10, 99].map(pause_ms), [2000, 4000, 512_000, 600_000, 600_000]);
    }
}
