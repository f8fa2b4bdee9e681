//! The decisions of custody: functions without I/O and without a clock.

use crate::custody::TokenKind;
use crate::tenant::TenantKind;

/// What a row says, without its secrets. Times in unix ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing<'a> {
    pub(crate) has_access: bool,
    pub(crate) refresh_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) lease_owner: Option<&'a str>,
    pub(crate) lease_until: i64,
    pub(crate) refused: bool,
}

/// What to do about a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The token works and nobody need refresh it, or somebody already does.
    Use,
    /// Take the lease, then refresh.
    Lease,
    /// No working token, and somebody else refreshes.
    Wait,
    /// The platform wants a new authorization.
    Refused,
}

pub(crate) fn next(row: Standing<'_>, now: i64, me: &str) -> Step {
    let works = row.has_access && now < row.expires_at;
    let due = now >= row.refresh_at;
    let leased_elsewhere = is_leased(row.lease_until, now) && row.lease_owner.is_some_and(|owner| owner != me);
    match (works, due) {
        (true, false) => Step::Use,
        // A token that still works is used to its end, whatever becomes of the next one.
        (true, true) if leased_elsewhere || row.refused => Step::Use,
        (false, _) if row.refused => Step::Refused,
        (false, _) if leased_elsewhere => Step::Wait,
        _ => Step::Lease,
    }
}

/// Longer than any call of the platform may take: while a lease lasts, nobody else calls.
pub(crate) const LEASE_MS: i64 = 30_000;

/// Whether a lease holds. One that ends later than any lease can was taken by a clock that has been set back since: it would
/// hold everybody up for as long as the clock jumped. Clocks of two machines may differ by the length of a lease.
pub(crate) fn is_leased(until: i64, now: i64) -> bool {
    until > now && until <= now.saturating_add(2 * LEASE_MS)
}

/// When a token shall be refreshed ahead: at 80 % of its life, ± 5 % so that the shops of one day do not all come at
/// once. `stable_token` gives a new token only shortly before the end, so a self-built shop asks at 97 %. The component's
/// token is asked for after about 1 h 50 min (platform page 2.1): how often it may be is limited.
pub(crate) fn refresh_at(kind: TokenKind, tenant: Option<TenantKind>, issued_at: i64, life_ms: i64, luck: u32) -> i64 {
    let life = i128::from(life_ms.max(0));
    // −5 % to +5 % in steps of 0.01 %.
    let jitter = i128::from(luck % 1001) - 500;
    let share = match (kind, tenant) {
        (TokenKind::Access, Some(TenantKind::SelfBuilt)) => 9_700 + jitter / 5,
        (TokenKind::Component, _) => 9_150 + jitter / 5,
        _ => 8_000 + jitter,
    };
    issued_at.saturating_add(i64::try_from(life * share / 10_000).unwrap_or(i64::MAX))
}

/// How long to leave the platform alone after that many failures in a row: 1 s, doubled up to 60 s.
pub(crate) fn rest_ms(failures: u32) -> i64 {
    1000_i64.saturating_mul(1 << failures.saturating_sub(1).min(6)).min(LONGEST_REST_MS)
}

/// How long the platform is not asked ahead of time for a token that it refused to give.
pub(crate) const NO_AHEAD_MS: i64 = 3_600_000;

/// The longest rest.
pub(crate) const LONGEST_REST_MS: i64 = 60_000;

/// The longest time that a quota is used up: a day of the platform.
pub(crate) const LONGEST_LIMIT_MS: i64 = 86_400_000;

/// The platform no longer takes the component's token (platform page 6.1); a new one may help.
pub(crate) fn is_stale_token(code: i64) -> bool {
    matches!(code, 40001 | 40014 | 42001)
}

/// The platform does not take the ticket (platform page 6): only another one helps.
pub(crate) fn is_bad_ticket(code: i64) -> bool {
    matches!(code, 61005 | 61006)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Standing<'static> {
        Standing {
            has_access: true,
            refresh_at: 800,
            expires_at: 1000,
            lease_owner: None,
            lease_until: 0,
            refused: false,
        }
    }

    #[test]
    fn a_token_is_used_until_due_then_refreshed_by_one() {
        assert_eq!(next(row(), 799, "me"), Step::Use);
        assert_eq!(next(row(), 800, "me"), Step::Lease);
        assert_eq!(next(row(), 1000, "me"), Step::Lease);
        let leased = Standing { lease_owner: Some("other"), lease_until: 1100, ..row() };
        assert_eq!(next(leased, 900, "me"), Step::Use, "still works, and the other refreshes it");
        assert_eq!(next(leased, 1000, "me"), Step::Wait);
        assert_eq!(next(leased, 1099, "me"), Step::Wait);
        assert_eq!(next(leased, 1100, "me"), Step::Lease, "the other's lease is over");
        assert_eq!(next(Standing { lease_owner: Some("me"), ..leased }, 1000, "me"), Step::Lease);
        assert_eq!(next(Standing { has_access: false, ..row() }, 0, "me"), Step::Lease);
    }

    #[test]
    fn a_refused_refresh_token_ends_with_its_last_access_token() {
        let refused = Standing { refused: true, ..row() };
        assert_eq!(next(refused, 900, "me"), Step::Use);
        assert_eq!(next(refused, 1000, "me"), Step::Refused);
    }

    #[test]
    fn refreshes_are_spread_around_80_percent() {
        let at = |luck| refresh_at(TokenKind::Access, Some(TenantKind::Authorized), 0, 7_200_000, luck);
        let times: Vec<i64> = (0..1001).map(at).collect();
        assert_eq!(times.iter().min(), Some(&5_400_000));
        assert_eq!(times.iter().max(), Some(&6_120_000));
        let own = |luck| refresh_at(TokenKind::Access, Some(TenantKind::SelfBuilt), 0, 7_200_000, luck);
        assert!((0..1001).all(|luck| own(luck) > 6_900_000 && own(luck) < 7_100_000));
        assert_eq!(refresh_at(TokenKind::Component, None, 5, -1, 0), 5);
    }

    #[test]
    fn the_component_s_token_is_renewed_after_about_110_minutes() {
        let minutes = |luck| refresh_at(TokenKind::Component, None, 0, 7_200_000, luck) / 60_000;
        assert!((0..1001).all(|luck| (108..=111).contains(&minutes(luck))));
    }

    #[test]
    fn rests_grow_to_a_minute() {
        assert_eq!([1, 2, 3, 6, 7, 60].map(rest_ms), [1000, 2000, 4000, 32_000, 60_000, 60_000]);
    }
}
