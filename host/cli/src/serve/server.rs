//! The HTTP server: it runs until it is told to stop, and has ended in every part when the stop returns.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};

/// For the whole head of a request, an idle connection's next one included: proxies keep theirs for a minute at most.
const HEAD_TIME: Duration = Duration::from_secs(65);
/// Connections at once, where the system allows that many open files; those beyond wait in the listener's queue.
const CONNECTIONS: u64 = 16_384;
/// Open files that are left for the store, the platform's connections and the rest.
const OTHER_FILES: u64 = 256;
/// After an accept that failed for want of something (file descriptors): what lacks may come back.
const PAUSE: Duration = Duration::from_secs(1);

/// A running server.
pub struct Server {
    stopping: oneshot::Sender<Duration>,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves from now on, so many connections at a time; `answer` is given each request and the address it came from.
    pub fn start<A, F>(listener: TcpListener, places: usize, answer: A) -> Server
    where
        A: Fn(Request, SocketAddr) -> F + Clone + Send + 'static,
        F: Future<Output = Result<Response, Infallible>> + Send + 'static,
    {
        let (stopping, stop) = oneshot::channel();
        Server { stopping, task: tokio::spawn(serve(listener, places, answer, stop)) }
    }

    /// Stops: no new connections; requests under way may end within `patience` and are cut off after it. When this
    /// returns nothing of the server runs any more, so what it worked with may be closed.
    pub async fn stop(self, patience: Duration) {
        let _ = self.stopping.send(patience);
        let _ = self.task.await;
    }
}

async fn serve<A, F>(listener: TcpListener, places: usize, answer: A, mut stop: oneshot::Receiver<Duration>)
where
    A: Fn(Request, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response, Infallible>> + Send + 'static,
{
    let mut http = http1::Builder::new();
    // A sender that closes its half still gets its answer, and nothing is read for while it waits.
    http.half_close(true);
    // Who sends nothing holds no place for ever.
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    let places = Arc::new(Semaphore::new(places));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let patience = loop {
        let accepted = tokio::select! {
            patience = &mut stop => break patience.unwrap_or_default(),
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        let (place, (stream, peer)) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                refused(&error).await;
                continue;
            }
        };
        let answer = answer.clone();
        let service = service_fn(move |request: Request<Incoming>| answer(request.map(Body::new), peer));
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        connections.spawn(async move {
            let _place = place;
            connection.await
        });
    };
    drop(listener);
    if tokio::time::timeout(patience, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests that did not end in time were cut off at the stop");
    }
    connections.shutdown().await;
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(OwnedSemaphorePermit, (TcpStream, SocketAddr))> {
    let place = Arc::clone(places).acquire_owned().await.map_err(std::io::Error::other)?;
    Ok((place, listener.accept().await?))
}

/// How many connections there may be: open files are raised to what the system allows, and some are left for the rest.
pub fn places() -> usize {
    let mut files = getrlimit(Resource::Nofile);
    let wanted = (CONNECTIONS + OTHER_FILES).min(files.maximum.unwrap_or(u64::MAX));
    if files.current.is_some_and(|current| current < wanted) {
        files.current = Some(wanted);
        if let Err(error) = setrlimit(Resource::Nofile, files) {
            tracing::warn!(%error, wanted, "the limit of open files could not be raised");
        }
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let places = files.saturating_sub(OTHER_FILES).clamp(64, CONNECTIONS);
    usize::try_from(places).unwrap_or(usize::MAX)
}

/// The caller may have gone away before it was taken; anything else needs time.
async fn refused(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::error!(%error, "a connection could not be accepted");
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::body::{Body, Bytes};
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::Notify;
    use tower::Service;

    use super::*;

    /// Counts itself out, however it ends.
    struct Inside(Arc<AtomicUsize>);

    impl Inside {
        fn new(count: &Arc<AtomicUsize>, entered: &Notify) -> Inside {
            count.fetch_add(1, Ordering::SeqCst);
            entered.notify_one();
            Inside(count.clone())
        }
    }

    impl Drop for Inside {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// A server with a request that never ends, a body that is never read, and an answer that has no end.
    async fn endless() -> (Server, SocketAddr, Arc<AtomicUsize>, Arc<Notify>) {
        let (inside, entered): (Arc<AtomicUsize>, Arc<Notify>) = (Arc::default(), Arc::default());
        let (one, told) = (inside.clone(), entered.clone());
        let hangs = move || {
            let inside = Inside::new(&one, &told);
            async move {
                let _inside = inside;
                std::future::pending::<&'static str>().await
            }
        };
        let (one, told) = (inside.clone(), entered.clone());
        let reads = move |body: Body| {
            let inside = Inside::new(&one, &told);
            async move {
                let _inside = inside;
                axum::body::to_bytes(body, usize::MAX).await.map(|_| "read").unwrap_or("cut")
            }
        };
        let (one, told) = (inside.clone(), entered.clone());
        let pours = move || {
            let inside = Inside::new(&one, &told);
            async move {
                Body::from_stream(futures_util::stream::repeat_with(move || {
                    let _ = &inside;
                    Ok::<_, std::convert::Infallible>(Bytes::from_static(&[0; 1 << 16]))
                }))
            }
        };
        let router = Router::new()
            .route("/quick", get(|| async { "quick" }))
            .route("/hangs", get(hangs))
            .route("/reads", post(reads))
            .route("/pours", get(pours));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = move |request, _| {
            let mut router = router.clone();
            async move { router.call(request).await }
        };
        (Server::start(listener, 64, answer), address, inside, entered)
    }

    async fn send(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    #[tokio::test]
    async fn nothing_of_the_server_runs_after_the_stop() {
        let (server, address, inside, entered) = endless().await;
        let mut open = Vec::new();
        for request in [
            "GET /hangs HTTP/1.1\r\nhost: h\r\n\r\n",
            "POST /reads HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\nhalf",
            "GET /pours HTTP/1.1\r\nhost: h\r\n\r\n",
        ] {
            open.push(send(address, request).await);
            entered.notified().await;
        }
        assert_eq!(inside.load(Ordering::SeqCst), 3);
        server.stop(Duration::ZERO).await;
        assert_eq!(inside.load(Ordering::SeqCst), 0, "a request still runs, and its rooms are about to be closed");
        assert!(TcpStream::connect(address).await.is_err(), "still listening");
    }

    #[tokio::test]
    async fn what_ends_in_time_is_answered() {
        let (server, address, _, _) = endless().await;
        let mut stream = send(address, "GET /quick HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("quick"), "{answer}");
        // An idle connection does not hold the stop up.
        let idle = TcpStream::connect(address).await.unwrap();
        server.stop(Duration::from_secs(3_600)).await;
        drop(idle);
    }
}
