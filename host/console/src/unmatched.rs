//! Requests that no route takes: the same form of error as everywhere.

use axum::extract::Request;
use axum::http::StatusCode;

use crate::refusal::Refusal;

/// 404: no such address.
pub(crate) async fn address(request: Request) -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "no-such-address",
        format!("there is no {} here", shown(&request)),
        "the addresses are in /api/v1/openapi.json",
    )
}

/// 405: the address exists, the method does not.
pub(crate) async fn method(request: Request) -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        format!("{} is not possible with {}", shown(&request), request.method()),
        "the header `Allow` of this answer names the methods",
    )
}

/// The path, cut: it comes from outside.
fn shown(request: &Request) -> String {
    let original = request.extensions().get::<axum::extract::OriginalUri>();
    let path = original.map_or(request.uri().path(), |uri| uri.path());
    path.chars().take(200).collect()
}
