//! How long a request's body may take. Each request holds one of the host's connections, and what has come of its body is held
//! in memory; who stops sending must not hold them for ever.

use std::error::Error;
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, HttpBody as _};
use futures_util::{StreamExt as _, stream};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

/// The body did not come whole in its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it took longer than {seconds} s")]
pub(crate) struct TooSlow {
    /// What it had.
    pub seconds: u64,
}

impl TooSlow {
    /// Whether this is why a body broke off: whoever reads it wraps the error in its own.
    pub(crate) fn behind(error: &(dyn Error + 'static)) -> Option<TooSlow> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(slow) = error.downcast_ref::<TooSlow>() {
                return Some(*slow);
            }
            next = error.source();
        }
        None
    }
}

/// The same body, which ends with [`TooSlow`] if it is not whole in this time from now.
pub(crate) fn bounded(body: Body, time: Duration) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let until = Instant::now() + time;
    let slow = TooSlow { seconds: time.as_secs() };
    let chunks = stream::unfold(Some(body.into_data_stream()), move |chunks| async move {
        let mut chunks = chunks?;
        match timeout_at(until, chunks.next()).await {
            Ok(Some(Ok(chunk))) => Some((Ok(chunk), Some(chunks))),
            Ok(Some(Err(error))) => Some((Err(BoxError::from(error)), None)),
            Ok(None) => None,
            Err(_) => Some((Err(BoxError::from(slow)), None)),
        }
    });
    Body::from_stream(chunks)
}

#[cfg(test)]
mod tests {
    use axum::body::{Bytes, to_bytes};

    use super::*;

    fn stalled() -> Body {
        let first = stream::once(async { Ok::<_, BoxError>(Bytes::from_static(b"half")) });
        Body::from_stream(first.chain(stream::pending()))
    }

    #[tokio::test]
    async fn a_body_that_stops_coming_ends_with_the_reason() {
        let body = bounded(stalled(), Duration::from_millis(1));
        let error = to_bytes(body, 100).await.unwrap_err();
        assert!(TooSlow::behind(&error).is_some(), "{error:?}");
        let cut = Body::from_stream(stream::once(async { Err::<Bytes, _>(BoxError::from("cut")) }));
        let error = to_bytes(bounded(cut, Duration::from_secs(1)), 100).await.unwrap_err();
        assert!(TooSlow::behind(&error).is_none(), "{error:?}");
    }

    #[tokio::test]
    async fn what_comes_in_time_is_as_it_was() {
        let body = bounded(Body::from("whole"), Duration::from_secs(3_600));
        assert_eq!(to_bytes(body, 100).await.unwrap(), "whole");
        assert!(bounded(Body::empty(), Duration::ZERO).is_end_stream());
    }
}
