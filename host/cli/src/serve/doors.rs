//! What a request meets: callbacks go straight to their room, everything else through the console's router.
//!
//! The console has a part of the server's connections and no more: whoever fills it with requests that stall, or with answers
//! that nobody reads (until the server lets those go), leaves the rest to the platform, which is answered within 5 s or pushes
//! again.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use fangshi_callback::Door;
use fangshi_console::{Refusal, hold};
use tokio::sync::Semaphore;
use tower::Service;

/// Requests of the console at a time, where there are connections for four times as many.
const CONSOLE: usize = 1_024;
/// Seconds after which another try is worth it.
const AGAIN: u64 = 5;

/// The two ways in.
#[derive(Clone)]
pub struct Doors {
    /// Of the platform.
    callback: Door,
    /// Of operators, merchants and whoever watches.
    console: Router,
    /// What the console may still take.
    room: Arc<Semaphore>,
}

impl Doors {
    /// To these rooms, from a server of so many connections.
    pub fn new(callback: Door, console: Router, places: usize) -> Doors {
        Doors { callback, console, room: Arc::new(Semaphore::new(CONSOLE.min(places / 4))) }
    }

    /// Answers a request of `peer`.
    pub fn answer(
        &self,
        mut request: Request,
        peer: SocketAddr,
    ) -> impl Future<Output = Result<Response, Infallible>> + use<> {
        let doors = self.clone();
        async move {
            if <Door>::leads_to(request.uri().path()) {
                return Ok(doors.callback.answer(request).await);
            }
            // Failed logins are counted by address.
            request.extensions_mut().insert(ConnectInfo(peer));
            // Apart, or every callback would carry the room that the router's future takes.
            Ok(Box::pin(through(doors.console, doors.room, request)).await)
        }
    }
}

/// Through the console's router, if it has room.
async fn through(mut console: Router, room: Arc<Semaphore>, request: Request) -> Response {
    // Whoever watches the host is told how it is, whatever others do; nothing that they send is waited for.
    if matches!(request.uri().path(), "/healthz" | "/readyz" | "/metrics") {
        let Ok(response) = console.call(request).await;
        return response;
    }
    let Ok(place) = room.try_acquire_owned() else { return full() };
    let Ok(response) = console.call(request).await;
    hold(response, place)
}

fn full() -> Response {
    let refusal = Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "host-busy",
        "as many requests are under way as this host takes besides callbacks",
        format!("send it again in {AGAIN} s"),
    );
    refusal.after(AGAIN).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, Bytes};
    use axum::routing::{get, post};
    use tokio::sync::Notify;

    use super::*;

    /// A console with an answer, and with a body that is waited for.
    fn console(entered: Arc<Notify>) -> Router {
        let reads = move |body: Body| {
            entered.notify_one();
            async move { axum::body::to_bytes(body, 100).await.map(|_| "read").unwrap_or("cut") }
        };
        Router::new()
            .route("/readyz", get(|| async { "ready" }))
            .route("/quick", get(|| async { "quick" }))
            .route("/reads", post(reads))
    }

    fn ask(method: &str, path: &str, body: Body) -> Request {
        Request::builder().method(method).uri(path).body(body).unwrap()
    }

    #[tokio::test]
    async fn stalled_requests_and_answers_that_nobody_reads_take_the_consoles_part_and_no_more() {
        let entered = Arc::new(Notify::new());
        let (router, room) = (console(entered.clone()), Arc::new(Semaphore::new(2)));
        let answer = |request| through(router.clone(), Arc::clone(&room), request);
        let quick = || answer(ask("GET", "/quick", Body::empty()));
        let stalled = Body::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>());
        let stalled = tokio::spawn(answer(ask("POST", "/reads", stalled)));
        entered.notified().await;
        let unread = quick().await;
        assert_eq!(unread.headers()["content-length"], "5", "the answer is as it was");
        let refused = quick().await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers()["retry-after"], "5");
        assert_eq!(answer(ask("GET", "/readyz", Body::empty())).await.status(), StatusCode::OK);
        drop(unread);
        assert_eq!(quick().await.status(), StatusCode::OK);
        stalled.abort();
        let _ = stalled.await;
        assert_eq!(room.available_permits(), 2);
    }
}
