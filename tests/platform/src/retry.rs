//! When a push that was not answered comes again (platform page 1.5).

/// Seconds to wait after the first, second, … unanswered push of a store event: ten pushes over 3.6 h.
pub const STORE_WAITS_S: [i64; 9] = [0, 0, 10, 60, 300, 1800, 3600, 3600, 3600];

/// Seconds between the pushes of an authorization change. Its rule is unconfirmed (page 8.10); three pushes are
/// the general rule of older pages.
const AUTHORIZATION_WAITS_S: [i64; 2] = [5, 5];

/// Which schedule a push follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Store events: ten pushes.
    Store,
    /// Authorization changes: three.
    Authorization,
    /// The ticket: one, since the next ticket comes in ten minutes.
    Once,
}

impl Rule {
    /// Seconds to wait after so many unanswered pushes; none: given up.
    pub(crate) fn wait_s(self, unanswered: usize) -> Option<i64> {
        let waits: &[i64] = match self {
            Rule::Store => &STORE_WAITS_S,
            Rule::Authorization => &AUTHORIZATION_WAITS_S,
            Rule::Once => &[],
        };
        waits.get(unanswered.checked_sub(1)?).copied()
    }
}

/// Whether an answer ends the retries: 200 with `success` or nothing.
pub(crate) fn accepts(status: u16, body: &[u8]) -> bool {
    status == 200 && (body.is_empty() || body == b"success")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_pushes_over_3_6_hours() {
        assert_eq!(1 + STORE_WAITS_S.len(), 10);
        assert_eq!(STORE_WAITS_S.iter().sum::<i64>(), 12_970);
        assert_eq!(Rule::Store.wait_s(1), Some(0));
        assert_eq!(Rule::Store.wait_s(3), Some(10));
        assert_eq!(Rule::Store.wait_s(9), Some(3600));
        assert_eq!(Rule::Store.wait_s(10), None);
        assert_eq!(Rule::Once.wait_s(1), None);
    }

    #[test]
    fn only_success_or_nothing_with_200_is_an_answer() {
        assert!(accepts(200, b"success"));
        assert!(accepts(200, b""));
        for (status, body) in
            [(200, b"SUCCESS".as_slice()), (200, b"\"success\""), (200, b"success\n"), (204, b""), (500, b"success")]
        {
            assert!(!accepts(status, body), "{status} {body:?}");
        }
    }
}
