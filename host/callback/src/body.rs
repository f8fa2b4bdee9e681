//! Reading a request's body: bounded in bytes and in time.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use futures_util::StreamExt as _;

use crate::refusal::Refusal;

/// Reads a body whole, `limit` bytes of it at most.
pub async fn read_body(body: Body, limit: usize, within: Duration) -> Result<Bytes, Refusal> {
    // A body that announces too much is refused before a byte of it is kept.
    if body.size_hint().lower() > limit as u64 {
        return Err(Refusal::BodyTooLarge { limit });
    }
    tokio::time::timeout(within, collect(body, limit)).await.unwrap_or(Err(Refusal::BodyTooSlow))
}

/// A push usually arrives in one piece, which is handed on without a copy.
async fn collect(body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let mut stream = body.into_data_stream();
    let mut whole: Option<Vec<u8>> = None;
    let mut first = Bytes::new();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|_| Refusal::BodyCut)?;
        let so_far = whole.as_ref().map_or(first.len(), Vec::len);
        if piece.len() > limit.saturating_sub(so_far) {
            return Err(Refusal::BodyTooLarge { limit });
        }
        match &mut whole {
            Some(bytes) => bytes.extend_from_slice(&piece),
            None if first.is_empty() => first = piece,
            None => {
                let mut bytes = Vec::with_capacity(limit.min(first.len() + piece.len() * 2));
                bytes.extend_from_slice(&first);
                bytes.extend_from_slice(&piece);
                whole = Some(bytes);
            }
        }
    }
    Ok(whole.map_or(first, Bytes::from))
}
