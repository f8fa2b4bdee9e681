//! Every way to say no, and what the platform and the operator read.
//!
//! | status | code | when |
//! | --- | --- | --- |
//! | 400 | `bad_query` | a parameter is missing, double, not decodable; `encrypt_type` is not `aes` |
//! | 400 | `bad_body` | the body broke off, or is no envelope with an `Encrypt` |
//! | 401 | `bad_signature` | `msg_signature` (POST) or `signature` (GET) is another |
//! | 403 | `outside_window` | authentic, but its timestamp is more than the window away from our clock |
//! | 400 | `bad_ciphertext` | authentic, but base64, length, padding or layout are wrong: another EncodingAESKey |
//! | 403 | `wrong_appid` | opened, but closes with another appid than this address has |
//! | 403 | `wrong_shop` | opened, but `ToUserName` is another shop's |
//! | 400 | `bad_message` | opened, but no event can be read from it |
//! | 400 | `wrong_address` | a shop's message at the component's address |
//! | 404 | `unknown_tenant` | no shop of this platform has this address, or the host has no component |
//! | 405 | `method_not_allowed` | anything but POST, and GET for a self-built shop |
//! | 408 | `body_too_slow` | the body was not complete in time |
//! | 413 | `body_too_large` | the body is over the limit |
//! | 503 | `keys_unusable` | the address has no usable token and EncodingAESKey |
//! | 503 | `not_recorded` | the event could not be made durable in time |
//!
//! The platform pushes again after every one of these (platform page 1.5), so a refusal that a person can cure loses
//! nothing for 3.6 hours.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::cipher::CipherError;
use crate::message::MessageError;
use crate::node::Malformed;
use crate::query::QueryError;
use crate::window::OutsideWindow;

/// Why a callback is not answered `success`. Holds nothing that came with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// See [`QueryError`].
    #[error("bad query: {0}")]
    Query(#[from] QueryError),
    /// Not a method of this address.
    #[error("this method is not answered here")]
    Method,
    /// No tenant with this appid on this platform, or no component is configured.
    #[error("nobody here has this address")]
    UnknownTenant,
    /// The connection broke before the body was complete.
    #[error("the body broke off")]
    BodyCut,
    /// Over the limit, in bytes.
    #[error("the body is over {limit} bytes")]
    BodyTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body did not come in time.
    #[error("the body did not come in time")]
    BodyTooSlow,
    /// The outer XML or JSON can't be read.
    #[error("the body can't be read: {0}")]
    Envelope(Malformed),
    /// The envelope has no text `Encrypt`.
    #[error("the body has no Encrypt")]
    NoEncrypt,
    /// Another signature.
    #[error("the signature is wrong")]
    Signature,
    /// Authentic, but too far from our clock.
    #[error("outside the window: {0}")]
    Window(#[from] OutsideWindow),
    /// Authentic, but it does not open, or closes with another appid.
    #[error("can't be opened: {0}")]
    Cipher(#[from] CipherError),
    /// Opened, but it is another shop's (or another component's).
    #[error("the message is addressed to another shop")]
    WrongShop,
    /// Opened, but no event.
    #[error("{0}")]
    Message(#[from] MessageError),
    /// A shop's message at the component's address.
    #[error("the message is no authorization event")]
    WrongAddress,
    /// Token or EncodingAESKey of this address are absent or malformed.
    #[error("this address has no usable token and EncodingAESKey")]
    KeysUnusable,
    /// The event is not durable.
    #[error("the event could not be recorded in time")]
    NotRecorded,
}

#[derive(Serialize)]
struct Body {
    code: &'static str,
    message: String,
    hint: &'static str,
}

impl Refusal {
    /// The HTTP status, see the table above.
    pub fn status(&self) -> StatusCode {
        self.row().0
    }

    /// The stable code: of the answer, of the metric, and of the count per tenant.
    pub fn code(&self) -> &'static str {
        self.row().1
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        self.row().2
    }

    /// Only the platform, or who holds the shop's token, can cause this one: worth a person's attention, and no
    /// stranger can fill the log with it.
    pub fn is_authentic(&self) -> bool {
        matches!(
            self,
            Self::Window(_)
                | Self::Cipher(_)
                | Self::WrongShop
                | Self::Message(_)
                | Self::WrongAddress
                | Self::NotRecorded
        )
    }

    fn row(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Query(_) => (
                StatusCode::BAD_REQUEST,
                "bad_query",
                "The query needs timestamp, nonce and msg_signature (a GET check: timestamp, nonce, signature and echostr), each once.",
            ),
            Self::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "Messages come by POST; the check of the address by GET is for self-built shops only.",
            ),
            Self::UnknownTenant => (
                StatusCode::NOT_FOUND,
                "unknown_tenant",
                "The address is /callback/weixin/$APPID$ (of the component's own events: /callback/weixin/component), without a slash at its end. Create the tenant with this appid, or correct the address in the platform's console.",
            ),
            Self::BodyCut | Self::Envelope(_) | Self::NoEncrypt => (
                StatusCode::BAD_REQUEST,
                "bad_body",
                "The body is XML or JSON with the member Encrypt: set the push mode to safe mode.",
            ),
            Self::BodyTooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "A real push is a few kilobytes at most.")
            }
            Self::BodyTooSlow => (StatusCode::REQUEST_TIMEOUT, "body_too_slow", "Send the body at once."),
            Self::Signature => (
                StatusCode::UNAUTHORIZED,
                "bad_signature",
                "The token configured here must be the token of the platform's console.",
            ),
            Self::Window(_) => (
                StatusCode::FORBIDDEN,
                "outside_window",
                "Check the clock of this host: pushes older or newer than [weixin] timestamp_window_hours are refused.",
            ),
            Self::Cipher(CipherError::Appid) => (
                StatusCode::FORBIDDEN,
                "wrong_appid",
                "Pushes of an authorized shop close with the component's appid, those of a self-built shop with its own: check the tenant's kind and appid.",
            ),
            Self::Cipher(_) => (
                StatusCode::BAD_REQUEST,
                "bad_ciphertext",
                "The EncodingAESKey configured here must be the current or the previous one of the platform's console.",
            ),
            Self::WrongShop => (
                StatusCode::FORBIDDEN,
                "wrong_shop",
                "The message is another's: check the user_name (gh_…) of this tenant, and the appid in the address.",
            ),
            Self::Message(_) => (
                StatusCode::BAD_REQUEST,
                "bad_message",
                "The decrypted message is not an event as the platform documents it.",
            ),
            Self::WrongAddress => (
                StatusCode::BAD_REQUEST,
                "wrong_address",
                "Shops' messages belong to /callback/weixin/$APPID$; only authorization events come here.",
            ),
            Self::KeysUnusable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "keys_unusable",
                "Set token and encoding_aes_key: of the component for authorized shops, of the tenant for a self-built one.",
            ),
            Self::NotRecorded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "not_recorded",
                "The store refused or was too slow; the platform will push again.",
            ),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, hint) = self.row();
        let mut response = (status, Json(Body { code, message: self.to_string(), hint })).into_response();
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
        }
        response
    }
}
