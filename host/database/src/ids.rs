//! Ids: numbers in SQL, a letter and the number everywhere else (`t1`, `p1`, …), so that one cannot pass for another.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {kind} id: expected `{prefix}` and a number, such as `{prefix}1`")]
pub struct ParseIdError {
    text: String,
    kind: &'static str,
    prefix: char,
}

fn parse(text: &str, kind: &'static str, prefix: char) -> Result<i64, ParseIdError> {
    let number = text.strip_prefix(prefix).filter(|digits| {
        // One spelling per id: no sign, no leading zero.
        digits.bytes().all(|b| b.is_ascii_digit()) && (*digits == "0" || !digits.starts_with('0'))
    });
    number.and_then(|digits| digits.parse().ok()).ok_or_else(|| ParseIdError {
        text: text.chars().take(64).collect(),
        kind,
        prefix,
    })
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse(text, $kind, $prefix).map($name)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    };
}

id!(/// One merchant's shop on one platform: `t1`. `t0` is the host itself (the component's own state).
    TenantId, "tenant", 't');
id!(/// A named plugin of a tenant: `p1`.
    PluginId, "plugin", 'p');
id!(/// A version active for a tenant: `i1`.
    InstallationId, "installation", 'i');
id!(/// An event; its number is its place in the sequence of the whole store: `e1`.
    EventSeq, "event", 'e');
id!(/// One event × one installation: `r1`.
    RunId, "run", 'r');
id!(/// One execution of a run: `a1`.
    AttemptId, "attempt", 'a');
id!(/// One authorization link: `z1`.
    AuthorizationId, "authorization", 'z');
id!(/// A token of the admin API, or a session of the merchant page: `k1`. Not the secret.
    TokenId, "token", 'k');
id!(/// A link to the merchant page: `l1`. Not the secret.
    LinkId, "link", 'l');

impl TenantId {
    /// The host itself, which owns the component's ticket and token.
    pub const HOST: TenantId = TenantId(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_its_letter_and_number() {
        assert_eq!(TenantId(17).to_string(), "t17");
        assert_eq!("i9223372036854775807".parse(), Ok(InstallationId(i64::MAX)));
        assert_eq!(serde_json::to_string(&RunId(3)).unwrap(), "\"r3\"");
        assert_eq!(serde_json::from_str::<EventSeq>("\"e5\"").unwrap(), EventSeq(5));
    }

    #[test]
    fn every_other_spelling_is_refused() {
        for text in ["", "t", "1", "p1", "t-1", "t+1", "t01", "t 1", "t1 ", "T1", "t9223372036854775808", "t1.0", "t０"]
        {
            assert!(text.parse::<TenantId>().is_err(), "{text:?}");
        }
    }
}
