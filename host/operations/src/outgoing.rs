//! The one way out besides the platform: an alert, posted to an address of the operator's.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::client::OperationsError;

/// How long a post may take, connecting included.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Posts JSON to one address. The address may carry a key, so it is a secret.
pub struct Outgoing {
    http: reqwest::Client,
    url: SecretString,
    secret: Option<SecretString>,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").finish_non_exhaustive()
    }
}

impl Outgoing {
    /// The header with the time and the signature: `t=UNIX_SECONDS,v1=HEX`, where HEX is the HMAC-SHA256 of
    /// `UNIX_SECONDS.BODY` under the secret.
    const SIGNATURE: &'static str = "fangshi-signature";

    /// A way to `url`.
    ///
    /// # Errors
    /// No TLS, or no certificates of this machine.
    pub fn new(url: SecretString, secret: Option<SecretString>) -> Result<Outgoing, OperationsError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("fangshi/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .build()
            .map_err(OperationsError::Client)?;
        Ok(Outgoing { http, url, secret })
    }

    /// Posts a body. `now_s`: unix seconds, signed with it.
    ///
    /// # Errors
    /// What went wrong, without the address: no connection, or another answer than 2xx.
    pub async fn post(&self, body: &serde_json::Value, now_s: i64) -> Result<(), String> {
        let body = body.to_string();
        let mut request = self.http.post(self.url.expose_secret()).header("content-type", "application/json");
        if let Some(secret) = &self.secret {
            request = request.header(Self::SIGNATURE, signature(secret, now_s, &body)?);
        }
        let answer = request.body(body).send().await.map_err(|error| error.without_url().to_string())?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("HTTP status {}", status.as_u16())),
        }
    }
}

fn signature(secret: &SecretString, now_s: i64, body: &str) -> Result<String, String> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).map_err(|error| error.to_string())?;
    mac.update(format!("{now_s}.{body}").as_bytes());
    Ok(format!("t={now_s},v1={}", hex::encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_covers_time_and_body() {
        let secret = SecretString::from("key");
        // printf '7.{"a":1}' | openssl dgst -sha256 -hmac key
        let known = "ad368b5d28884a4e90ca5d5d9c7ac043bebf143c241daa6764403e9fa356551e";
        assert_eq!(signature(&secret, 7, r#"{"a":1}"#).unwrap(), format!("t=7,v1={known}"));
        assert_ne!(signature(&secret, 8, r#"{"a":1}"#), signature(&secret, 7, r#"{"a":1}"#));
        let outgoing = Outgoing::new(SecretString::from("https://x/?key=CANARY"), Some(secret)).unwrap();
        assert!(!format!("{outgoing:?}").contains("CANARY"));
    }
}
