//! An answer on its way out: whole, or as a fault wants it.

use std::time::Duration;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use crate::faults::Fault;

/// Sends an answer, as the fault wants it.
pub(crate) async fn play(fault: Option<Fault>, answer: String) -> Response {
    let whole = |answer: String| ([(header::CONTENT_TYPE, "application/json; encoding=utf-8")], answer).into_response();
    let streamed = |parts: Vec<Result<Vec<u8>, Broken>>, every: Duration| {
        let parts = stream::unfold(parts.into_iter(), move |mut parts| async move {
            let part = parts.next()?;
            tokio::time::sleep(every).await;
            Some((part, parts))
        });
        ([(header::CONTENT_TYPE, "application/json; encoding=utf-8")], Body::from_stream(parts)).into_response()
    };
    match fault {
        None | Some(Fault::Errcode { .. } | Fault::ErrcodeApplied { .. }) => whole(answer),
        Some(Fault::Slow { for_ms }) => {
            tokio::time::sleep(Duration::from_millis(for_ms)).await;
            whole(answer)
        }
        Some(Fault::Hang { for_ms, .. }) => {
            tokio::time::sleep(Duration::from_millis(for_ms)).await;
            broken()
        }
        Some(Fault::Reset { .. }) => broken(),
        Some(Fault::ResetInBody) => {
            let half = answer.as_bytes()[..answer.len() / 2].to_vec();
            streamed(vec![Ok(half), Err(Broken)], Duration::from_millis(5))
        }
        Some(Fault::Trickle { every_ms }) => {
            let bytes = answer.into_bytes().into_iter().map(|b| Ok(vec![b])).collect();
            streamed(bytes, Duration::from_millis(every_ms))
        }
        Some(Fault::Status { status }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, "<html><body>unavailable</body></html>").into_response()
        }
        Some(Fault::BrokenJson) => {
            let cut = answer.char_indices().nth(answer.chars().count() / 2).map_or(0, |(at, _)| at);
            whole(answer[..cut].to_owned())
        }
        Some(Fault::Huge { bytes }) => {
            let inside = answer.strip_suffix('}').unwrap_or(&answer).to_owned();
            whole(format!("{inside},\"padding\":\"{}\"}}", "x".repeat(bytes)))
        }
    }
}

/// A body that fails before its first byte: the connection closes without an answer.
fn broken() -> Response {
    Body::from_stream(stream::iter([Err::<Vec<u8>, Broken>(Broken)])).into_response()
}

#[derive(Debug, thiserror::Error)]
#[error("broken by a fault")]
struct Broken;
