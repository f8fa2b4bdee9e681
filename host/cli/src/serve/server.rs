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

use super::unread::Unread;

/// Connections at once, where the system allows that many open files; those beyond wait in the listener's queue.
const CONNECTIONS: u64 = 16_384;
/// Open files that are left for the store, the platform's connections and the rest.
const OTHER_FILES: u64 = 256;
/// After an accept that failed for want of something (file descriptors): what lacks may come back.
const PAUSE: Duration = Duration::from_secs(1);

/// How long those on the other side are waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the whole head of a request, an idle connection's next one included.
    pub head: Duration,
    /// The same of connections that came when places were short: whoever only holds one gives it to others sooner.
    pub short_head: Duration,
    /// For what was sent to be read ([`Unread`]).
    pub unread: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            // Proxies keep idle connections for a minute at most.
            head: Duration::from_secs(65),
            short_head: Duration::from_secs(5),
            unread: Duration::from_secs(30),
        }
    }
}

/// A running server.
pub struct Server {
    stopping: oneshot::Sender<Duration>,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves from now on, so many connections at a time; `answer` is given each request and the address it came from.
    pub fn start<A, F>(listener: TcpListener, places: usize, patience: Patience, answer: A) -> Server
    where
        A: Fn(Request, SocketAddr) -> F + Clone + Send + 'static,
        F: Future<Output = Result<Response, Infallible>> + Send + 'static,
    {
        let (stopping, stop) = oneshot::channel();
        Server { stopping, task: tokio::spawn(serve(listener, places, patience, answer, stop)) }
    }

    /// Stops: no new connections; requests under way may end within `grace` and are cut off after it. When this
    /// returns nothing of the server runs any more, so what it worked with may be closed.
    pub async fn stop(self, grace: Duration) {
        let _ = self.stopping.send(grace);
        let _ = self.task.await;
    }
}

async fn serve<A, F>(
    listener: TcpListener,
    places: usize,
    patience: Patience,
    answer: A,
    mut stop: oneshot::Receiver<Duration>,
) where
    A: Fn(Request, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response, Infallible>> + Send + 'static,
{
    let mut http = http1::Builder::new();
    // A sender that closes its half still gets its answer, and nothing is read for while it waits.
    http.half_close(true);
    http.timer(TokioTimer::new());
    let few = places / 4;
    let places = Arc::new(Semaphore::new(places));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let grace = loop {
        let accepted = tokio::select! {
            grace = &mut stop => break grace.unwrap_or_default(),
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
        // Who sends nothing holds no place for ever, nor does who reads nothing.
        let are_short = places.available_permits() < few;
        http.header_read_timeout(if are_short { patience.short_head } else { patience.head });
        let stream = TokioIo::new(Unread::new(stream, patience.unread));
        let connection = graceful.watch(http.serve_connection(stream, service));
        connections.spawn(async move {
            let _place = place;
            connection.await
        });
    };
    drop(listener);
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
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

    /// Requests under way, their answers included.
    #[derive(Default)]
    struct Watch {
        inside: AtomicUsize,
        entered: Notify,
        left: Notify,
    }

    /// Counts itself out, however it ends.
    struct Inside(Arc<Watch>);

    impl Inside {
        fn new(watch: &Arc<Watch>) -> Inside {
            watch.inside.fetch_add(1, Ordering::SeqCst);
            watch.entered.notify_one();
            Inside(watch.clone())
        }
    }

    impl Drop for Inside {
        fn drop(&mut self) {
            self.0.inside.fetch_sub(1, Ordering::SeqCst);
            self.0.left.notify_one();
        }
    }

    /// A server with a request that never ends, a body that is never read, and an answer that has no end.
    async fn endless(places: usize, patience: Patience) -> (Server, SocketAddr, Arc<Watch>) {
        let watch: Arc<Watch> = Arc::default();
        let one = watch.clone();
        let hangs = move || {
            let inside = Inside::new(&one);
            async move {
                let _inside = inside;
                std::future::pending::<&'static str>().await
            }
        };
        let one = watch.clone();
        let reads = move |body: Body| {
            let inside = Inside::new(&one);
            async move {
                let _inside = inside;
                axum::body::to_bytes(body, usize::MAX).await.map(|_| "read").unwrap_or("cut")
            }
        };
        let one = watch.clone();
        let pours = move || {
            let inside = Inside::new(&one);
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
        (Server::start(listener, places, patience, answer), address, watch)
    }

    async fn send(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    #[tokio::test]
    async fn nothing_of_the_server_runs_after_the_stop() {
        let (server, address, watch) = endless(64, Patience::default()).await;
        let mut open = Vec::new();
        for request in [
            "GET /hangs HTTP/1.1\r\nhost: h\r\n\r\n",
            "POST /reads HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\nhalf",
            "GET /pours HTTP/1.1\r\nhost: h\r\n\r\n",
        ] {
            open.push(send(address, request).await);
            watch.entered.notified().await;
        }
        assert_eq!(watch.inside.load(Ordering::SeqCst), 3);
        server.stop(Duration::ZERO).await;
        let inside = watch.inside.load(Ordering::SeqCst);
        assert_eq!(inside, 0, "a request still runs, and its rooms are about to be closed");
        assert!(TcpStream::connect(address).await.is_err(), "still listening");
    }

    #[tokio::test]
    async fn what_ends_in_time_is_answered() {
        let (server, address, _) = endless(64, Patience::default()).await;
        let mut stream = send(address, "GET /quick HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("quick"), "{answer}");
        // An idle connection does not hold the stop up.
        let idle = TcpStream::connect(address).await.unwrap();
        server.stop(Duration::from_secs(3_600)).await;
        drop(idle);
    }

    #[tokio::test]
    async fn whoever_reads_nothing_is_let_go_and_so_is_the_answer() {
        let patience = Patience { unread: Duration::ZERO, ..Patience::default() };
        let (server, address, watch) = endless(64, patience).await;
        let unread = send(address, "GET /pours HTTP/1.1\r\nhost: h\r\n\r\n").await;
        watch.left.notified().await;
        assert_eq!(watch.inside.load(Ordering::SeqCst), 0);
        assert_eq!(ask(&mut TcpStream::connect(address).await.unwrap()).await, "quick", "others are answered");
        drop(unread);
        server.stop(Duration::ZERO).await;
    }

    /// Asks for something short, over a connection that is kept.
    async fn ask(stream: &mut TcpStream) -> String {
        stream.write_all(b"GET /quick HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"quick") {
            answer.push(stream.read_u8().await.unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
        String::from_utf8(answer[answer.len() - 5..].to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_last_places_are_kept_idle_for_a_moment_only() {
        let hour = Duration::from_secs(3_600);
        let patience = Patience { head: hour, short_head: Duration::ZERO, unread: hour };
        let (server, address, _) = endless(4, patience).await;
        let mut kept = Vec::new();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            assert_eq!(ask(&mut stream).await, "quick");
            kept.push(stream);
        }
        // Each of these has the last place; the next one has it after them.
        for _ in 0..3 {
            let mut silent = TcpStream::connect(address).await.unwrap();
            assert_eq!(silent.read(&mut [0]).await.unwrap(), 0, "it is closed");
        }
        for stream in &mut kept {
            assert_eq!(ask(stream).await, "quick", "those that came before are kept");
        }
        server.stop(Duration::ZERO).await;
    }
}
