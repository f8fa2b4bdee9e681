//! The platform's error codes, sorted into classes (platform page, sections 4 and 6).
//!
//! Business errors come in the body: the HTTP status says nothing about them. A missing `errcode` means 0.

use crate::fault::Class;

/// One code that is known.
#[derive(Debug, Clone, Copy)]
pub struct Errcode {
    /// The platform's `errcode`.
    pub code: i64,
    /// How the host treats it.
    pub class: Class,
    /// What it means, in a few words.
    pub meaning: &'static str,
}

const fn row(code: i64, class: Class, meaning: &'static str) -> Errcode {
    Errcode { code, class, meaning }
}

/// Every known code, in ascending order.
pub const ERRCODES: &[Errcode] = &[
    row(-1, Class::Busy, "system busy"),
    row(40001, Class::Token, "credential invalid or not the latest"),
    row(40013, Class::Config, "wrong appid"),
    row(40014, Class::Token, "invalid access token"),
    row(40097, Class::Invalid, "invalid argument"),
    row(40125, Class::Config, "wrong appsecret"),
    row(40132, Class::Invalid, "wrong WeChat id"),
    row(40164, Class::Config, "caller's IP is not on the white list"),
    row(41001, Class::Bug, "token missing"),
    row(41002, Class::Config, "appid missing"),
    row(41004, Class::Config, "appsecret missing"),
    row(41018, Class::Config, "component appid missing"),
    row(42001, Class::Token, "token expired"),
    row(42007, Class::Reauthorize, "tokens void since a password change"),
    row(43002, Class::Bug, "not a POST"),
    row(44002, Class::Bug, "empty body"),
    row(45002, Class::Invalid, "body too large"),
    row(45009, Class::DayQuota, "daily quota used up"),
    row(45011, Class::MinuteQuota, "quota of the minute used up"),
    row(45035, Class::Config, "caller's IP is not on the white list"),
    row(47001, Class::Bug, "body malformed"),
    row(48001, Class::Permission, "api not authorized"),
    row(48004, Class::Permission, "api banned"),
    row(50001, Class::Permission, "user unauthorized"),
    row(50002, Class::Permission, "account limited"),
    row(61003, Class::Revoked, "component not authorized by this account"),
    row(61004, Class::Config, "caller's IP is not on the white list"),
    row(61005, Class::Ticket, "component ticket expired"),
    row(61006, Class::Ticket, "component ticket invalid"),
    row(61007, Class::Permission, "api not authorized to the component"),
    row(61009, Class::Reauthorize, "authorization code invalid"),
    row(61011, Class::Config, "wrong component"),
    row(61014, Class::Bug, "must use the component's token"),
    row(61016, Class::Config, "permission set to be confirmed"),
    row(61023, Class::Reauthorize, "refresh token invalid"),
    row(61024, Class::Bug, "must use the component's api"),
    row(100002, Class::NotFound, "order not found"),
    row(100003, Class::TooOften, "order updated too often"),
    row(100004, Class::Conflict, "data version mismatch"),
    row(101100, Class::Conflict, "order state forbids this"),
    row(108021, Class::Invalid, "price above the original"),
    row(108022, Class::Invalid, "price changed too many times"),
    row(108023, Class::Invalid, "price would be 0"),
    row(606004, Class::Invalid, "wrong delivery_id"),
    row(606005, Class::Invalid, "wrong waybill_id"),
    // The SKU may have been changed since the order was read, and counts shipped since: both want a fresh read.
    row(606031, Class::Conflict, "product or SKU is not of this order"),
    // Bound to another provider, a dropshipper say: no reading makes it ours, nor gives back changes that are used up.
    row(606034, Class::Invalid, "the caller may not ship this order"),
    row(606040, Class::Conflict, "delivery info can't be changed so"),
    row(606041, Class::Invalid, "delivery info changed too many times"),
    row(606042, Class::Conflict, "product or count does not fit the order"),
    row(10020116, Class::Conflict, "operation not possible now"),
    row(10020277, Class::Bug, "body of a SKU decision malformed"),
    row(10021203, Class::TooOften, "too often for this phone"),
    row(10021204, Class::Invalid, "the shop has as many phones as it may"),
    row(10021207, Class::NotFound, "unknown phone"),
    row(10021210, Class::Other, "the phone could not be registered or asked"),
    row(10025000, Class::NotFound, "order not found (virtual number)"),
];

/// The row of a code, if it is known.
pub fn find(code: i64) -> Option<&'static Errcode> {
    ERRCODES.binary_search_by_key(&code, |row| row.code).ok().map(|index| &ERRCODES[index])
}

/// The class of a code other than 0.
pub fn class_of(code: i64) -> Class {
    find(code).map_or(Class::Other, |row| row.class)
}

/// What may be done about a refusal or a failure, by its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same again, after a wait that grows.
    After,
    /// The same again, and not before the quota opens ([`retry_after`]).
    Limited,
    /// Only after the order was read afresh: a new attempt does that.
    Reread,
    /// Never by itself: the request, the plugin or a person must change something.
    Never,
}

/// What may be done about a class (platform page, section 6). What ends a shop's authorization is no reason to give up:
/// the tenant is stopped, its runs wait, and they go on when the merchant has authorized again.
pub fn retry_of(class: Class) -> Retry {
    match class {
        Class::MinuteQuota | Class::DayQuota => Retry::Limited,
        Class::Conflict => Retry::Reread,
        Class::Invalid | Class::Permission => Retry::Never,
        Class::Busy
        | Class::Token
        | Class::Ticket
        | Class::Config
        | Class::Bug
        | Class::Revoked
        | Class::Reauthorize
        | Class::Suspended
        | Class::Host
        // An order may be told of before it can be read.
        | Class::NotFound
        | Class::TooOften
        | Class::Other
        | Class::Unreachable
        | Class::Unanswered
        | Class::Unreadable => Retry::After,
    }
}

/// Seconds to wait for a class, where that is known. `now`: unix seconds.
pub fn retry_after(class: Class, now: i64) -> Option<u32> {
    const DAY: i64 = 86_400;
    const BEIJING: i64 = 8 * 3_600;
    match class {
        Class::MinuteQuota => Some(60),
        // Quotas of a day are the platform's days: midnight in Beijing.
        Class::DayQuota => u32::try_from(DAY - (now + BEIJING).rem_euclid(DAY)).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_so_that_they_are_found() {
        assert!(ERRCODES.windows(2).all(|pair| pair[0].code < pair[1].code));
        for row in ERRCODES {
            assert_eq!(find(row.code).map(|found| found.code), Some(row.code));
        }
    }

    /// The platform page, section 6: every code of its table with the word of its column "class".
    const PAGE: &[(&str, &[i64])] = &[
        ("retry with backoff", &[-1]),
        ("refresh token once, retry once", &[40001, 40014, 42001]),
        ("bug", &[41001, 47001, 44002, 43002, 10020277]),
        ("config", &[40013, 41002, 41018, 40125, 41004, 45035, 61004, 40164]),
        ("re-authorize", &[42007]),
        ("permanent", &[40097, 45002, 100002, 10025000]),
        ("stop till next day or clear_quota", &[45009]),
        ("wait a minute", &[45011]),
        ("permission", &[48001, 48004, 50001, 50002, 61007]),
        ("mark tenant revoked", &[61003]),
        ("wait for next ticket", &[61005, 61006]),
        ("redo authorization", &[61009]),
        ("bug or config", &[61011, 61014, 61016, 61024]),
        ("list, retry once, re-authorize", &[61023]),
        ("retry after seconds to minutes", &[100003]),
        ("re-read, retry", &[100004]),
        ("re-read order", &[101100, 10020116]),
    ];

    /// Codes that section 4 of the page names beside its operations. It sorts them into no classes.
    const OF_OPERATIONS: &[i64] = &[
        40132, 108021, 108022, 108023, 606004, 606005, 606031, 606034, 606040, 606041, 606042, 10021203, 10021204,
        10021207, 10021210,
    ];

    #[test]
    fn classes_are_those_of_the_platform_page() {
        for (word, codes) in PAGE {
            for code in *codes {
                let class = find(*code).map(|row| row.class);
                let fits = match *word {
                    "retry with backoff" => class == Some(Class::Busy),
                    "refresh token once, retry once" => class == Some(Class::Token),
                    "bug" => class == Some(Class::Bug),
                    "config" => class == Some(Class::Config),
                    "re-authorize" | "redo authorization" | "list, retry once, re-authorize" => {
                        class == Some(Class::Reauthorize)
                    }
                    // Of an order that is not there the host waits once more for itself: see ARCHITECTURE.
                    "permanent" => matches!(class, Some(Class::Invalid | Class::NotFound)),
                    "stop till next day or clear_quota" => class == Some(Class::DayQuota),
                    "wait a minute" => class == Some(Class::MinuteQuota),
                    "permission" => class == Some(Class::Permission),
                    "mark tenant revoked" => class == Some(Class::Revoked),
                    "wait for next ticket" => class == Some(Class::Ticket),
                    "bug or config" => matches!(class, Some(Class::Bug | Class::Config)),
                    "retry after seconds to minutes" => class == Some(Class::TooOften),
                    "re-read, retry" | "re-read order" => class == Some(Class::Conflict),
                    other => panic!("{other}"),
                };
                assert!(fits, "{code} is {word:?} on the page and {class:?} here");
            }
        }
        let named = |code: &i64| PAGE.iter().any(|(_, codes)| codes.contains(code)) || OF_OPERATIONS.contains(code);
        for row in ERRCODES {
            assert!(named(&row.code), "{} is on no page", row.code);
        }
        for code in OF_OPERATIONS {
            assert!(find(*code).is_some(), "{code} has no row");
        }
        assert_eq!(class_of(12345), Class::Other);
    }

    #[test]
    fn what_no_reading_cures_is_not_read_for() {
        for code in [606034, 606041, 108022, 10021204] {
            assert_eq!(retry_of(class_of(code)), Retry::Never, "{code}");
        }
    }

    #[test]
    fn what_may_be_done_follows_the_class() {
        for (code, retry) in [
            (-1, Retry::After),
            (100003, Retry::After),
            (45009, Retry::Limited),
            (45011, Retry::Limited),
            (101100, Retry::Reread),
            (100004, Retry::Reread),
            (48001, Retry::Never),
            (40097, Retry::Never),
            (61023, Retry::After),
        ] {
            assert_eq!(retry_of(class_of(code)), retry, "{code}");
        }
        for class in [Class::MinuteQuota, Class::DayQuota] {
            assert!(retry_after(class, 0).is_some(), "a limited class says until when");
        }
    }

    #[test]
    fn a_daily_quota_waits_for_midnight_in_beijing() {
        // 2025-12-02 10:26:43 +08:00, the paying time of the real order.
        assert_eq!(retry_after(Class::DayQuota, 1_764_642_403), Some(86_400 - (10 * 3600 + 26 * 60 + 43)));
        assert_eq!(retry_after(Class::MinuteQuota, 0), Some(60));
        assert_eq!(retry_after(Class::TooOften, 0), None);
    }
}
