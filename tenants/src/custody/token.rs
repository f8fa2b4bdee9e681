//! A token in hand.

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

/// An access token, for one call. Its text never appears in a log or an error.
#[derive(Clone)]
pub struct AccessToken {
    /// Which token it is: [`Custody::invalidate`](crate::Custody::invalidate) takes back this one only.
    pub version: i64,
    held: Arc<Held>,
}

impl AccessToken {
    /// The text. For `operations` alone, which puts it into the call's query.
    pub fn expose(&self) -> &str {
        self.held.access.expose_secret()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessToken(version {})", self.version)
    }
}

/// A token in memory, with what decides about its use. Times in unix ms.
pub(crate) struct Held {
    pub(crate) version: i64,
    pub(crate) access: SecretString,
    pub(crate) refresh_at: i64,
    pub(crate) expires_at: i64,
}

impl Held {
    pub(crate) fn works(&self, now: i64) -> bool {
        now < self.expires_at
    }

    pub(crate) fn is_due(&self, now: i64) -> bool {
        now >= self.refresh_at
    }
}

impl From<Arc<Held>> for AccessToken {
    fn from(held: Arc<Held>) -> Self {
        AccessToken { version: held.version, held }
    }
}
