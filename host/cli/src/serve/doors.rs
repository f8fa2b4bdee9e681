//! What a request meets: callbacks go straight to their room, everything else through the console's router.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use fangshi_callback::Door;
use tower::Service;

/// The two ways in.
#[derive(Clone)]
pub struct Doors {
    /// Of the platform.
    pub callback: Door,
    /// Of operators, merchants and whoever watches.
    pub console: Router,
}

impl Doors {
    /// Answers a request of `peer`.
    pub fn answer(
        &self,
        mut request: Request,
        peer: SocketAddr,
    ) -> impl Future<Output = Result<Response, Infallible>> + use<> {
        let mut doors = self.clone();
        async move {
            if <Door>::leads_to(request.uri().path()) {
                return Ok(doors.callback.answer(request).await);
            }
            // Failed logins are counted by address.
            request.extensions_mut().insert(ConnectInfo(peer));
            // Apart, or every callback would carry the room that the router's future takes.
            Box::pin(doors.console.call(request)).await
        }
    }
}
