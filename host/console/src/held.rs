//! An answer that holds a place until it was written: what nobody has read yet is in memory, and what makes the rest is at work.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use http_body::{Frame, SizeHint};

/// The same answer, which holds this until its last byte was written, or until it is dropped.
pub fn hold(answer: Response, place: impl Send + Sync + 'static) -> Response {
    answer.map(|body| Body::new(Held { body, place: Arc::new(place) }))
}

struct Held<P> {
    body: Body,
    place: Arc<P>,
}

/// A part of the answer. The server keeps it until it was written, and drops a body as soon as it has the last one.
struct Part<P> {
    bytes: Bytes,
    _place: Arc<P>,
}

impl<P> AsRef<[u8]> for Part<P> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<P: Send + Sync + 'static> HttpBody for Held<P> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let place = Arc::clone(&self.place);
        let part = move |bytes| Bytes::from_owner(Part { bytes, _place: place });
        Pin::new(&mut self.body).poll_frame(context).map_ok(|frame| frame.map_data(part))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::response::IntoResponse;
    use futures_util::{StreamExt, stream};

    use super::*;

    /// An answer, and what tells whether its place is held.
    fn answer(body: Body) -> (Body, impl Fn() -> bool) {
        let place = Arc::new(());
        let watch = Arc::downgrade(&place);
        (hold(body.into_response(), place).into_body(), move || watch.strong_count() > 0)
    }

    #[tokio::test]
    async fn the_last_part_holds_the_place_after_the_body_is_gone() {
        let (mut body, is_held) = answer(Body::from("an answer"));
        assert_eq!(body.size_hint().exact(), Some(9), "its length is as it was");
        let part = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        assert!(body.is_end_stream());
        drop(body);
        let part = part.unwrap().unwrap().into_data().unwrap();
        assert!(part == "an answer" && is_held(), "it waits to be written");
        drop(part);
        assert!(!is_held());
    }

    #[tokio::test]
    async fn a_streaming_answer_holds_its_place_until_it_ends_or_is_dropped() {
        let two = || Body::from_stream(stream::iter(["one", "two"]).map(|part| Ok::<_, Infallible>(Bytes::from(part))));
        let (body, is_held) = answer(two());
        let mut parts = body.into_data_stream();
        while let Some(part) = parts.next().await {
            drop(part.unwrap());
            assert!(is_held());
        }
        drop(parts);
        assert!(!is_held());
        let (body, is_held) = answer(two());
        assert!(is_held());
        drop(body);
        assert!(!is_held());
    }
}
