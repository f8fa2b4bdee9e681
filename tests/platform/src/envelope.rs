//! From a message to the HTTP request of a push: encryption, signature, outer body (platform page 1.2).
//! Free functions, so that a bench can encrypt many callbacks ahead.

use crate::crypto::{AesKey, sign};
use crate::message::{Body, cdata};

/// What the console of the receiver holds: the secrets of one callback URL.
#[derive(Clone)]
pub struct CallbackSecrets {
    /// The token of the signature.
    pub token: String,
    /// 43 characters.
    pub encoding_aes_key: String,
    /// Ends the plaintext: the component's appid for authorized shops, else the shop's own.
    pub appid: String,
}

impl std::fmt::Debug for CallbackSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallbackSecrets").field("appid", &self.appid).finish_non_exhaustive()
    }
}

/// What changes from push to push outside the message.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Unix seconds, for the query.
    pub timestamp: i64,
    /// Decimal text.
    pub nonce: String,
    /// Starts the plaintext.
    pub random16: [u8; 16],
    /// The sender's openid, on pushes that a user caused.
    pub openid: Option<String>,
}

/// The member that names the receiver in the outer body.
#[derive(Clone, Copy, Debug)]
pub enum Outer<'a> {
    /// `ToUserName`, for messages.
    ToUserName(&'a str),
    /// `AppId`, for authorization events.
    AppId(&'a str),
}

/// A push ready to be sent with POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedPush {
    /// Query without the question mark.
    pub query: String,
    /// The outer body.
    pub body: String,
    /// `text/xml` or `application/json`.
    pub content_type: &'static str,
}

/// Encrypts and signs one message.
///
/// Fails only if the EncodingAESKey is malformed. Parse the key once ([`AesKey::parse`]) and use
/// [`encrypt_push_with`] where many are made.
pub fn encrypt_push(
    secrets: &CallbackSecrets,
    message: &str,
    body: Body,
    outer: Outer<'_>,
    envelope: &Envelope,
) -> Result<EncryptedPush, crate::crypto::CryptoError> {
    Ok(encrypt_push_with(&AesKey::parse(&secrets.encoding_aes_key)?, secrets, message, body, outer, envelope))
}

/// As [`encrypt_push`], with a key that is parsed already.
pub fn encrypt_push_with(
    key: &AesKey,
    secrets: &CallbackSecrets,
    message: &str,
    body: Body,
    outer: Outer<'_>,
    envelope: &Envelope,
) -> EncryptedPush {
    let encrypt = key.encrypt(&envelope.random16, message.as_bytes(), &secrets.appid);
    let timestamp = envelope.timestamp.to_string();
    let signature = sign(&[&secrets.token, &timestamp, &envelope.nonce]);
    let msg_signature = sign(&[&secrets.token, &timestamp, &envelope.nonce, &encrypt]);
    let nonce = &envelope.nonce;
    let openid = envelope.openid.as_deref().map(|id| format!("&openid={id}")).unwrap_or_default();
    let (name, value) = match outer {
        Outer::ToUserName(value) => ("ToUserName", value),
        Outer::AppId(value) => ("AppId", value),
    };
    let (content_type, body) = match body {
        Body::Json => {
            let value = serde_json::Value::from(value);
            ("application/json", format!("{{\"{name}\":{value},\"Encrypt\":\"{encrypt}\"}}"))
        }
        Body::Xml => (
            "text/xml",
            format!(
                "<xml>\n    <{name}>{}</{name}>\n    <Encrypt>{}</Encrypt>\n</xml>\n",
                cdata(value),
                cdata(&encrypt)
            ),
        ),
    };
    EncryptedPush {
        query: format!(
            "signature={signature}&timestamp={timestamp}&nonce={nonce}{openid}&encrypt_type=aes&msg_signature={msg_signature}"
        ),
        body,
        content_type,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn the_official_json_push_is_remade_with_its_query() {
        let file: Value = serde_json::from_str(include_str!("../fixtures/crypto-vectors.json")).unwrap();
        let vector = file["vectors"].as_array().unwrap().iter().find(|v| v["id"] == "official-json-push").unwrap();
        let text = |name: &str| vector[name].as_str().unwrap().to_owned();
        let secrets =
            CallbackSecrets { token: text("token"), encoding_aes_key: text("encoding_aes_key"), appid: text("appid") };
        let envelope = Envelope {
            timestamp: text("timestamp").parse().unwrap(),
            nonce: text("nonce"),
            random16: text("expect_random16").as_bytes().try_into().unwrap(),
            openid: Some("o9AgO5Kd5ggOC-bXrbNODIiE3bGY".to_owned()),
        };
        let to = text("body_to_user_name");
        let push =
            encrypt_push(&secrets, &text("expect_plaintext"), Body::Json, Outer::ToUserName(&to), &envelope).unwrap();
        assert_eq!(push.query, text("url_query"));
        let body: Value = serde_json::from_str(&push.body).unwrap();
        assert_eq!(body["Encrypt"], vector["encrypt"]);
        assert_eq!(body["ToUserName"], vector["body_to_user_name"]);
        assert!(!format!("{secrets:?}").contains("AAAAA"));
    }
}
