//! The HTTP server: takes connections until the stop, then lets them end their requests, then cuts off what is left, so
//! that nothing still runs when the store is closed.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::doors::Doors;

/// How long open connections may finish their requests at the stop; the platform's own patience is 5 s.
const LAST_REQUESTS: Duration = Duration::from_secs(5);
/// After an accept that failed for want of something (file descriptors): what lacks may come back.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves until `stop` comes, and returns after the last connection.
pub async fn serve(listener: TcpListener, doors: Doors, stop: impl Future<Output = ()>) {
    let mut http = http1::Builder::new();
    // A sender that closes its half still gets its answer, and none is read for while it waits.
    http.half_close(true);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                refused(&error).await;
                continue;
            }
        };
        let doors = doors.clone();
        let answer = service_fn(move |request: Request<Incoming>| doors.answer(request.map(Body::new), peer));
        connections.spawn(graceful.watch(http.serve_connection(TokioIo::new(stream), answer)));
    }
    drop(listener);
    if tokio::time::timeout(LAST_REQUESTS, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were cut off at the stop: they sent no whole request in time");
    }
    connections.shutdown().await;
}

/// The caller may have gone away before it was taken; anything else needs time.
async fn refused(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::error!(%error, "a connection could not be accepted");
        tokio::time::sleep(PAUSE).await;
    }
}
