//! A load generator that costs little beside the server it loads: keep-alive connections, requests rendered beforehand, one
//! thread. The same generator measures the host and the bare handler that it is compared with.
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What came of one request: its status, or nothing when the connection broke.
pub type Answer = Option<u16>;

/// What a load gave.
pub struct Report {
    /// One entry a request, in the order of the requests.
    pub answers: Vec<Answer>,
    pub elapsed: Duration,
    /// Sorted.
    pub latencies: Vec<Duration>,
}

impl Report {
    /// How many were answered with 200.
    pub fn accepted(&self) -> usize {
        self.answers.iter().filter(|answer| **answer == Some(200)).count()
    }

    /// Answers with 200 per second.
    pub fn rate(&self) -> f64 {
        self.accepted() as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency below which `share` (0 to 1) of the requests stayed.
    pub fn percentile(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get((last as f64 * share) as usize).copied().unwrap_or_default()
    }
}

/// Keep-alive connections to one server, open before a load begins: no load pays for opening them.
pub struct Connections {
    runtime: tokio::runtime::Runtime,
    address: SocketAddr,
    open: Vec<Option<TcpStream>>,
}

impl Connections {
    /// Opens `count` connections, one after the other. One that is refused now is tried again when it is needed: the server
    /// may be dying.
    ///
    /// # Errors
    /// No runtime could be made.
    pub fn open(address: SocketAddr, count: usize) -> Result<Connections> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let open = runtime.block_on(async {
            let mut open = Vec::with_capacity(count);
            for _ in 0..count {
                open.push(connect(address).await.ok());
            }
            open
        });
        Ok(Connections { runtime, address, open })
    }

    /// Sends every request once and waits for all answers. A broken connection counts for its request alone and is opened
    /// again, unless `stop_when_broken`.
    ///
    /// # Errors
    /// A worker died.
    pub fn send_all(&mut self, requests: &Arc<Vec<Vec<u8>>>, stop_when_broken: bool) -> Result<Report> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut answers = vec![None; requests.len()];
        let mut latencies = Vec::with_capacity(requests.len());
        let begun = Instant::now();
        let address = self.address;
        let connections = std::mem::take(&mut self.open);
        let ended = self.runtime.block_on(async {
            let workers: Vec<_> = connections
                .into_iter()
                .map(|open| tokio::spawn(worker(address, open, requests.clone(), next.clone(), stop_when_broken)))
                .collect();
            let mut ended = Vec::with_capacity(workers.len());
            for worker in workers {
                ended.push(worker.await?);
            }
            anyhow::Ok(ended)
        })?;
        let elapsed = begun.elapsed();
        for (connection, mine) in ended {
            self.open.push(connection);
            for (number, answer, latency) in mine {
                answers[number] = answer;
                latencies.push(latency);
            }
        }
        latencies.sort_unstable();
        Ok(Report { answers, elapsed, latencies })
    }
}

/// Sends every request once over `connections` new connections ([`Connections::send_all`]).
///
/// # Errors
/// As [`Connections::open`] and [`Connections::send_all`].
pub fn send_all(
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    connections: usize,
    stop_when_broken: bool,
) -> Result<Report> {
    Connections::open(address, connections)?.send_all(&requests, stop_when_broken)
}

async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn worker(
    address: SocketAddr,
    mut connection: Option<TcpStream>,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
    stop_when_broken: bool,
) -> (Option<TcpStream>, Vec<(usize, Answer, Duration)>) {
    let mut mine = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = requests.get(number) else { break };
        if connection.is_none() {
            connection = connect(address).await.ok();
        }
        let begun = Instant::now();
        let answer = match &mut connection {
            Some(stream) => exchange(stream, request, &mut buffer).await,
            None => None,
        };
        mine.push((number, answer, begun.elapsed()));
        if answer.is_none() {
            connection = None;
            if stop_when_broken {
                break;
            }
        }
    }
    (connection, mine)
}

/// Writes one request and reads its answer whole.
async fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut [u8]) -> Answer {
    stream.write_all(request).await.ok()?;
    let mut filled = 0;
    loop {
        let read = stream.read(buffer.get_mut(filled..)?).await.ok()?;
        if read == 0 {
            return None;
        }
        filled += read;
        let seen = &buffer[..filled];
        let Some(head) = seen.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let length = content_length(&seen[..head]).unwrap_or(0);
        if filled >= head + 4 + length {
            return std::str::from_utf8(seen.get(9..12)?).ok()?.parse().ok();
        }
    }
}

fn content_length(head: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(head).ok()?;
    let line = text.lines().find(|line| line.len() > 15 && line[..15].eq_ignore_ascii_case("content-length:"))?;
    line[15..].trim().parse().ok()
}

/// One HTTP/1.1 request, rendered.
pub fn render(method: &str, path_and_query: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "{method} {path_and_query} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}
