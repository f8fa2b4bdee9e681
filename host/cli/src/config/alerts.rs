//! `[alerts]`: whom to tell of what.

use std::time::Duration;

use fangshi_operations::is_base;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::keys;
use super::reader::Reader;

/// Alerts to the operator.
#[derive(Debug)]
pub struct Alerts {
    /// Where they are posted; `None`: nowhere. It may carry a key.
    pub webhook_url: Option<SecretString>,
    /// Signs them.
    pub webhook_secret: Option<SecretString>,
    /// For how long an event or a run may be overdue.
    pub backlog_old: Duration,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Alerts {
    let url = reader.secret(&keys::WEBHOOK_URL);
    let webhook_url = url.and_then(|found| {
        let text = found.value.expose_secret();
        let right = Url::parse(text).is_ok_and(|url| is_base(&url.origin().ascii_serialization()));
        if !right {
            reader.wrong(&keys::WEBHOOK_URL, found.line, "another form of address");
        }
        right.then_some(found.value)
    });
    let webhook_secret = reader.secret(&keys::WEBHOOK_SECRET).map(|found| found.value);
    let minutes = reader.number(&keys::BACKLOG_MINUTES).unwrap_or(30);
    Alerts { webhook_url, webhook_secret, backlog_old: Duration::from_secs(minutes * 60) }
}
