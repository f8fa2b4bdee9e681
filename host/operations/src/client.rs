//! One request to the platform and its answer. The only place where a token meets a URL.
//!
//! The token travels in the query, so no URL may reach an error or a log: errors of reqwest lose theirs here, and no
//! redirect is followed. What is kept here of a body or an answer is wiped after use; what the HTTP library copies is not.

use std::time::Duration;

use bytes::Bytes;
use fangshi_tenants::Clock;
use reqwest::{StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::base::{base, is_here};
use crate::breaker::BreakerConfig;
use crate::errcode;
use crate::exact;
use crate::fault::{Class, Fault, Sent};
use crate::outside::OutsideConfig;
use crate::redact::scrub;

/// The longest that connecting may take: whoever finds an effect without an outcome reckons with it.
pub const MOST_CONNECTING: Duration = Duration::from_secs(5);

/// How the platform is reached.
#[derive(Debug, Clone)]
pub struct OperationsConfig {
    /// Scheme and host of the platform: `https://api.weixin.qq.com`. Plain http is for this machine alone.
    pub api_base: String,
    /// How long connecting may take, [`MOST_CONNECTING`] at most.
    pub connect_timeout: Duration,
    /// How long a whole call may take, connecting and reading the answer included.
    pub timeout: Duration,
    /// The largest answer that is read, bytes.
    pub answer_limit: usize,
    /// Tells how long it is until a daily quota begins anew.
    pub clock: Clock,
    /// When a shop's calls are held back because the platform fails for it.
    pub breaker: BreakerConfig,
    /// How hosts are reached that merchants approved.
    pub outside: OutsideConfig,
}

impl Default for OperationsConfig {
    fn default() -> Self {
        OperationsConfig {
            api_base: "https://api.weixin.qq.com".to_owned(),
            connect_timeout: MOST_CONNECTING,
            // Above the platform's slowest answers, below the wall deadline of a run.
            timeout: Duration::from_secs(15),
            // An order is some 3 KiB, a page of 100 ids some 2 KiB.
            answer_limit: 4 << 20,
            clock: Clock::system(),
            breaker: BreakerConfig::default(),
            outside: OutsideConfig::default(),
        }
    }
}

/// Why the client could not be made; for the operator.
#[derive(Debug, Error)]
pub enum OperationsError {
    /// The address of the platform is unusable.
    #[error("api_base: expected https://HOST (or http://HOST:PORT on this machine), without path and query")]
    ApiBase,
    /// No TLS, no certificates of this machine, or no sockets.
    #[error("the HTTP client can't be made")]
    Client(#[source] reqwest::Error),
}

/// The platform's client: knows its host, how long to wait, and how much to read.
#[derive(Debug, Clone)]
pub(crate) struct Weixin {
    http: reqwest::Client,
    base: Url,
    answer_limit: usize,
    pub(crate) clock: Clock,
}

/// Bodies and answers that hold tokens are shorter: a vector that grows leaves its old bytes behind.
const ROOM: usize = 8 << 10;

impl Weixin {
    pub(crate) fn new(config: &OperationsConfig) -> Result<Weixin, OperationsError> {
        let base = base(&config.api_base).ok_or(OperationsError::ApiBase)?;
        // Whoever comes first installs it; a second installation is refused and does no harm.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("fangshi/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(config.connect_timeout.min(MOST_CONNECTING))
            .timeout(config.timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            .redirect(redirect::Policy::none())
            .referer(false);
        if is_here(&base) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(OperationsError::Client)?;
        Ok(Weixin { http, base, answer_limit: config.answer_limit, clock: config.clock.clone() })
    }

    /// Posts a body, and gives back the platform's answer if its `errcode` is 0 or absent.
    ///
    /// # Errors
    /// A [`Fault`] that says whether the call may have been applied. Its text is free of the token and of `secrets`.
    pub(crate) async fn post(
        &self,
        path: &'static str,
        token: Option<&SecretString>,
        body: &(impl Serialize + Sync),
        mut secrets: Vec<SecretString>,
    ) -> Result<Value, Fault> {
        let mut url = self.base.clone();
        url.set_path(path);
        if let Some(token) = token {
            url.query_pairs_mut().append_pair("access_token", token.expose_secret());
            secrets.push(token.clone());
        }
        let mut text = Zeroizing::new(Vec::with_capacity(ROOM));
        if serde_json::to_writer(&mut *text, body).is_err() {
            return Err(Fault::new(Class::Bug, Sent::NotSent, "the request could not be built"));
        }
        let sent = self
            .http
            .post(url)
            .header(reqwest::header::CONTENT_TYPE, "application/json; charset=utf-8")
            .body(Bytes::from_owner(text))
            .send()
            .await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) => return Err(lost(error, path)),
        };
        let status = answer.status();
        let bytes = self.read(answer, path).await?;
        judge(status, &bytes, &secrets)
    }

    async fn read(&self, mut answer: reqwest::Response, path: &'static str) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let too_large = || {
            let text = format!("the platform's answer is larger than {} bytes", self.answer_limit);
            Fault::new(Class::Unanswered, Sent::Unknown, text)
        };
        if answer.content_length().is_some_and(|length| length > self.answer_limit as u64) {
            return Err(too_large());
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(ROOM));
        while let Some(chunk) = answer.chunk().await.map_err(|error| lost(error, path))? {
            if bytes.len() + chunk.len() > self.answer_limit {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// A call that ended without an answer.
fn lost(error: reqwest::Error, path: &'static str) -> Fault {
    let error = error.without_url();
    tracing::debug!(path, error = %error, "no answer from the platform");
    if error.is_connect() {
        return Fault::new(Class::Unreachable, Sent::NotSent, "no connection to the platform");
    }
    if error.is_builder() {
        return Fault::new(Class::Bug, Sent::NotSent, "the request could not be built");
    }
    let text =
        if error.is_timeout() { "the platform did not answer in time" } else { "the connection to the platform broke" };
    Fault::new(Class::Unanswered, Sent::Unknown, text)
}

/// What an answer says: by its `errcode` first, by its HTTP status only if it has none.
fn judge(status: StatusCode, bytes: &[u8], secrets: &[SecretString]) -> Result<Value, Fault> {
    let answer = exact::parse(bytes).ok().filter(Value::is_object);
    let code = answer.as_ref().and_then(|answer| answer.get("errcode")).map(|code| match code {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    });
    match (answer, code) {
        (Some(answer), None | Some(Some(0))) if status == StatusCode::OK => Ok(answer),
        (Some(answer), Some(Some(code))) if code != 0 => Err(refusal(code, &answer, secrets)),
        (Some(_), Some(None)) => {
            Err(Fault::new(Class::Unanswered, Sent::Unknown, "the platform's answer has an errcode that is no number"))
        }
        (_, _) if status == StatusCode::OK => {
            Err(Fault::new(Class::Unanswered, Sent::Unknown, "the platform's answer is no JSON object"))
        }
        (_, _) => Err(by_status(status)),
    }
}

fn refusal(code: i64, answer: &Value, secrets: &[SecretString]) -> Fault {
    let class = errcode::class_of(code);
    let (text, rid) = split_rid(answer.get("errmsg").and_then(Value::as_str).unwrap_or_default());
    let meaning = errcode::find(code).map_or("", |row| row.meaning);
    let message = match (meaning, scrub(text, secrets)) {
        ("", text) => text,
        (meaning, text) if text.is_empty() => meaning.to_owned(),
        (meaning, text) => format!("{meaning} ({text})"),
    };
    let rid = rid.map(str::to_owned);
    Fault { class, code, message, rid, sent: Sent::Answered, retry_after: None }
}

/// The text of an `errmsg`, and the request id behind it (` rid: xxxxxxxx-xxxxxxxx-xxxxxxxx`).
fn split_rid(errmsg: &str) -> (&str, Option<&str>) {
    match errmsg.rsplit_once("rid:") {
        Some((text, rid)) => {
            let rid = rid.trim();
            let plain =
                !rid.is_empty() && rid.len() <= 64 && rid.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
            if plain { (text.trim(), Some(rid)) } else { (errmsg.trim(), None) }
        }
        None => (errmsg.trim(), None),
    }
}

/// An answer that is not the platform's own: of something on the way.
fn by_status(status: StatusCode) -> Fault {
    let text = format!("HTTP status {} instead of an answer", status.as_u16());
    match status {
        StatusCode::TOO_MANY_REQUESTS => Fault::new(Class::TooOften, Sent::Answered, text),
        // What refuses or redirects a request has not passed it on.
        status if status.is_redirection() || (status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT) => {
            Fault::new(Class::Config, Sent::Answered, text)
        }
        _ => Fault::new(Class::Unanswered, Sent::Unknown, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(status: u16, body: &str) -> Fault {
        judge(StatusCode::from_u16(status).unwrap(), body.as_bytes(), &[SecretString::from("CANARY")]).unwrap_err()
    }

    #[test]
    fn an_answer_without_errcode_is_a_success() {
        let ok = judge(StatusCode::OK, br#"{"expires_in":7200}"#, &[]).unwrap();
        assert_eq!(ok, json!({"expires_in": 7200}));
        assert!(judge(StatusCode::OK, br#"{"errcode":0,"errmsg":"ok"}"#, &[]).is_ok());
        assert!(judge(StatusCode::OK, br#"{"errcode":"0"}"#, &[]).is_ok());
    }

    #[test]
    fn a_refusal_keeps_code_and_rid_and_loses_the_token() {
        let fault =
            refused(200, r#"{"errcode":40001,"errmsg":"invalid credential CANARY rid: 62f1a2b3-00000001-5c2d9e77"}"#);
        assert_eq!((fault.class, fault.code, fault.sent), (Class::Token, 40001, Sent::Answered));
        assert_eq!(fault.rid.as_deref(), Some("62f1a2b3-00000001-5c2d9e77"));
        assert_eq!(fault.message, "credential invalid or not the latest (invalid credential [masked])");
    }

    #[test]
    fn errcode_counts_and_not_the_status() {
        assert_eq!(refused(500, r#"{"errcode":-1,"errmsg":"system error"}"#).class, Class::Busy);
        assert_eq!(refused(200, r#"{"errcode":"100003"}"#).class, Class::TooOften);
        let other = refused(200, r#"{"errcode":777,"errmsg":"novelty"}"#);
        assert_eq!((other.class, other.code, other.message.as_str()), (Class::Other, 777, "novelty"));
    }

    #[test]
    fn what_is_no_answer_may_have_been_applied_or_not() {
        for (status, body) in [
            (200, ""),
            (200, "{\"errcode\":0"),
            (200, "[]"),
            (200, "<html>"),
            (502, "<html>"),
            (503, ""),
            (500, "{\"errcode\":0}"),
            (408, ""),
            (200, r#"{"errcode":{}}"#),
        ] {
            let fault = refused(status, body);
            assert_eq!((fault.class, fault.sent), (Class::Unanswered, Sent::Unknown), "{status} {body}");
        }
        for (status, class) in [(404, Class::Config), (302, Class::Config), (429, Class::TooOften)] {
            let fault = refused(status, "no");
            assert_eq!((fault.class, fault.sent), (class, Sent::Answered), "{status}");
        }
    }

    #[test]
    fn only_the_platform_itself_is_a_base() {
        let made = |api_base: &str| Weixin::new(&OperationsConfig { api_base: api_base.into(), ..Default::default() });
        for good in ["https://api.weixin.qq.com/", "http://127.0.0.2:8080"] {
            assert!(made(good).is_ok(), "{good}");
        }
        for bad in ["http://api.weixin.qq.com", "https://x/path", "https://user:CANARY@x"] {
            let error = made(bad).unwrap_err();
            assert!(matches!(error, OperationsError::ApiBase) && !error.to_string().contains("CANARY"), "{bad}");
        }
    }
}
