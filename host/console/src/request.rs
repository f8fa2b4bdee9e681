//! Reading requests: JSON bodies, queries and ids of the path, with every refusal in the one form.

use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::{Stream, TryStreamExt};
use serde::de::DeserializeOwned;

use crate::patience::TooSlow;
use crate::refusal::Refusal;

/// Largest JSON body, bytes.
const MAX_JSON: usize = 1 << 20;

/// A JSON body. Unknown members are refused with the list of the known ones (by `deny_unknown_fields` of the body's
/// type), a wrong member is named.
pub(crate) struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        require_type(request.headers(), "application/json")?;
        let bytes = read_body(
            request.into_body(),
            MAX_JSON,
            "a JSON body",
            "this bound is fixed: settings that large belong elsewhere",
        )
        .await?;
        parse(&bytes).map(JsonBody)
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    // Syntax first, over the whole body: else a wrong member hides a broken end.
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
        return Err(Refusal::malformed(
            "malformed-json",
            format!("the body is not JSON: {error}"),
            "send one JSON object in UTF-8",
        ));
    }
    // A derived reader would take a list for the members in order, and quote a text that may be a secret.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::invalid(
            "invalid-body",
            "expected a JSON object",
            "the members of each body are in /api/v1/openapi.json",
        ));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        let message = match path.as_str() {
            "." | "?" => format!("the body is not as expected: {cause}"),
            path => format!("member `{path}`: {cause}"),
        };
        Refusal::invalid("invalid-body", message, "the members of each body are in /api/v1/openapi.json")
    })
}

/// The query. Unknown parameters are refused with the list of the known ones.
pub(crate) struct QueryOf<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryOf<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(query) => Ok(QueryOf(query.0)),
            Err(rejection) => Err(Refusal::malformed(
                "invalid-query",
                rejection.body_text(),
                "the parameters of each address are in /api/v1/openapi.json",
            )),
        }
    }
}

/// The ids of the path. A text that is no id names nothing: 404.
pub(crate) struct Ids<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Ids<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(ids) => Ok(Ids(ids.0)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "no-such-id",
                format!("no such id: {}", error.body_text()),
                "ids are a letter and a number: tenants t1, installations i1, events e1, runs r1",
            )),
            Err(other) => Err(Refusal::fault("reading the address", &other)),
        }
    }
}

/// Refuses a body that is not of this media type.
pub(crate) fn require_type(headers: &HeaderMap, expected: &str) -> Result<(), Refusal> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = given.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let found = if essence.is_empty() { "none" } else { essence };
    Err(Refusal::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        format!("the body must be {expected}, its Content-Type is {found}"),
        format!("send the header `Content-Type: {expected}`"),
    ))
}

/// Reads a body up to a limit; `hint` says what to do about a larger one.
pub(crate) async fn read_body(body: Body, limit: usize, what: &str, hint: &str) -> Result<Vec<u8>, Refusal> {
    gather(body.into_data_stream().map_err(|error| broken_off(&error)), limit, what, hint).await
}

/// Reads a body that nobody wants and keeps nothing of it, so that the caller, who may still be sending, gets to see the answer.
pub(crate) async fn spill(body: Body) {
    let _ = gather(body.into_data_stream().map_err(|error| broken_off(&error)), 0, "", "").await;
}

/// Why a body did not come whole.
pub(crate) fn broken_off(error: &(dyn std::error::Error + 'static)) -> Refusal {
    match TooSlow::behind(error) {
        Some(slow) => Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "body-too-slow",
            format!("the body did not come whole: {slow}"),
            "send it over a faster line, or let the operator raise body_seconds in [limits] of the host's config",
        ),
        None => Refusal::malformed("body-cut", format!("the body broke off: {error}"), "send it again"),
    }
}

/// The most that a body can have: what its head announces, or else `limit`. What is longer than it announces never comes.
pub(crate) fn most(headers: &HeaderMap, limit: usize) -> usize {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    length.map_or(limit, |length| length.min(limit))
}

/// What comes in chunks, up to a limit. What comes beyond is read and dropped for a while, so that the caller, who may
/// still be sending, gets to see the answer.
pub(crate) async fn gather(
    mut chunks: impl Stream<Item = Result<Bytes, Refusal>> + Unpin,
    limit: usize,
    what: &str,
    hint: &str,
) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let mut received = 0_usize;
    while let Some(chunk) = chunks.try_next().await? {
        received = received.saturating_add(chunk.len());
        if received <= limit {
            bytes.extend_from_slice(&chunk);
        } else {
            bytes = Vec::new();
            if received > limit.saturating_mul(4).max(64 << 20) {
                break;
            }
        }
    }
    if received <= limit {
        // It grew by doubling.
        bytes.shrink_to_fit();
        return Ok(bytes);
    }
    Err(Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too-large",
        format!("{what} may have {limit} bytes at most, this one has {received} or more"),
        hint,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Thing {
        name: String,
        inner: Option<Inner>,
    }

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        size: u32,
    }

    fn refusal(text: &str) -> String {
        format!("{:?}", parse::<Thing>(text.as_bytes()).unwrap_err())
    }

    #[test]
    fn wrong_members_are_named() {
        assert!(refusal("{").contains("malformed-json"));
        assert!(refusal("{\"name\":1,").contains("malformed-json"));
        assert!(refusal("[]").contains("invalid-body"));
        let unknown = refusal(r#"{"name":"a","nam":1}"#);
        assert!(unknown.contains("unknown field `nam`, expected `name` or `inner`"), "{unknown}");
        let inner = refusal(r#"{"name":"a","inner":{"size":"big"}}"#);
        assert!(inner.contains("member `inner.size`"), "{inner}");
        assert!(refusal("{}").contains("missing field `name`"));
    }

    #[test]
    fn a_body_has_what_its_head_announces_at_most() {
        let announcing = |length: &str| HeaderMap::from_iter([(header::CONTENT_LENGTH, length.parse().unwrap())]);
        assert_eq!(most(&announcing("7"), 100), 7);
        assert_eq!(most(&announcing("700"), 100), 100);
        for nothing in [announcing("-1"), announcing("99999999999999999999999"), HeaderMap::new()] {
            assert_eq!(most(&nothing, 100), 100);
        }
    }

    #[tokio::test]
    async fn a_body_ends_at_its_limit() {
        assert_eq!(read_body(Body::from("12345"), 5, "it", "less").await.unwrap(), b"12345");
        let refusal = read_body(Body::from("123456"), 5, "it", "less").await.unwrap_err();
        assert_eq!(refusal.code(), "too-large");
    }
}
