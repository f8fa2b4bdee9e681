//! The one form of every error of the admin API: a status and `{code, message, hint}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// An error as the caller sees it. The cause for the operator goes to the log, not in here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    hint: String,
    /// Seconds until it may be sent again.
    wait: Option<u64>,
}

/// The body of every answer that is not a success.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct RefusalBody {
    /// A stable word for programs, such as `grant-missing`.
    pub code: String,
    /// What is wrong, in a sentence.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Refusal {
    /// An error with its three parts. `code` is stable, the texts are not.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Refusal { status, code, message: message.into(), hint: hint.into(), wait: None }
    }

    /// With the seconds after which it may be sent again, in `Retry-After`.
    #[must_use]
    pub fn after(self, seconds: u64) -> Self {
        Refusal { wait: Some(seconds), ..self }
    }

    /// 400: the request can't be read.
    pub fn malformed(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Refusal::new(StatusCode::BAD_REQUEST, code, message, hint)
    }

    /// 422: read, and refused for what it says.
    pub fn invalid(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, code, message, hint)
    }

    /// 404: the thing named in the address does not exist, or belongs to another tenant.
    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        let hint = "list what exists with GET on the address without the last part";
        Refusal::new(StatusCode::NOT_FOUND, code, message, hint)
    }

    /// 409: another thing stands in the way.
    pub fn conflict(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Refusal::new(StatusCode::CONFLICT, code, message, hint)
    }

    /// 500: our own fault. The cause is logged for the operator, the caller learns that it happened.
    pub fn fault(what: &'static str, cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(what, %cause, "admin API request failed");
        Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "host-fault",
            format!("{what} failed inside the host"),
            "look into the host's log at this time; /readyz tells whether the database answers",
        )
    }

    /// What is wrong, in a sentence.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable word of this error.
    pub fn code(&self) -> &'static str {
        self.code
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = RefusalBody { code: self.code.to_owned(), message: self.message, hint: self.hint };
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        if let Some(seconds) = self.wait {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
