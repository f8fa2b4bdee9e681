//! A load generator that costs little beside the server it loads: keep-alive connections, requests rendered beforehand, one
//! thread. The same generator measures the host and the bare handler that it is compared with.
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
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

/// Sends every request once over `connections` connections and waits for all answers. A broken connection counts for its
/// request alone and is opened again, unless `stop_when_broken`.
pub fn send_all(
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    connections: usize,
    stop_when_broken: bool,
) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let next = Arc::new(AtomicUsize::new(0));
    let answers = Arc::new(Mutex::new(vec![None; requests.len()]));
    let begun = Instant::now();
    let mut latencies: Vec<Duration> = runtime.block_on(async {
        let workers: Vec<_> = (0..connections)
            .map(|_| tokio::spawn(worker(address, requests.clone(), next.clone(), answers.clone(), stop_when_broken)))
            .collect();
        let mut all = Vec::with_capacity(requests.len());
        for worker in workers {
            all.extend(worker.await.unwrap_or_default());
        }
        all
    });
    let elapsed = begun.elapsed();
    latencies.sort_unstable();
    let answers = Arc::try_unwrap(answers).ok().context("a worker is left over")?.into_inner().unwrap_or_default();
    Ok(Report { answers, elapsed, latencies })
}

async fn worker(
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
    answers: Arc<Mutex<Vec<Answer>>>,
    stop_when_broken: bool,
) -> Vec<Duration> {
    let mut latencies = Vec::new();
    let mut mine: Vec<(usize, Answer)> = Vec::new();
    let mut connection: Option<TcpStream> = None;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = requests.get(number) else { break };
        if connection.is_none() {
            connection = TcpStream::connect(address).await.ok();
            if let Some(stream) = &connection {
                let _ = stream.set_nodelay(true);
            }
        }
        let begun = Instant::now();
        let answer = match &mut connection {
            Some(stream) => exchange(stream, request, &mut buffer).await,
            None => None,
        };
        latencies.push(begun.elapsed());
        mine.push((number, answer));
        if answer.is_none() {
            connection = None;
            if stop_when_broken {
                break;
            }
        }
    }
    if let Ok(mut all) = answers.lock() {
        for (number, answer) in mine {
            all[number] = answer;
        }
    }
    latencies
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
