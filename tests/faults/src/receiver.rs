//! Where the operator's alerts go: takes them, or refuses them, as the test says.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use serde_json::Value;

/// Alerts, and whether each was taken.
#[derive(Default)]
struct Seen {
    refuses: bool,
    alerts: Vec<(Value, bool)>,
}

pub struct Receiver {
    pub url: String,
    seen: Arc<Mutex<Seen>>,
}

impl Receiver {
    /// Takes alerts, in a thread of its own, for as long as the process lives.
    pub fn start() -> Result<Receiver> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}/alerts", listener.local_addr()?);
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A host that was killed leaves half a request behind.
                drop(answer(stream, &shared));
            }
        });
        Ok(Receiver { url, seen })
    }

    /// Answers 500 from now on, or 200 again.
    pub fn refuse(&self, refuses: bool) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).refuses = refuses;
    }

    /// How many of these were refused.
    pub fn refused(&self, which: impl Fn(&Value) -> bool) -> usize {
        self.count(which, false)
    }

    /// How many of these were taken.
    pub fn taken(&self, which: impl Fn(&Value) -> bool) -> usize {
        self.count(which, true)
    }

    fn count(&self, which: impl Fn(&Value) -> bool, taken: bool) -> usize {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.alerts.iter().filter(|(alert, was_taken)| *was_taken == taken && which(alert)).count()
    }
}

fn answer(mut stream: TcpStream, seen: &Mutex<Seen>) -> Result<()> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    let alert: Value = loop {
        let read = stream.read(&mut chunk)?;
        anyhow::ensure!(read > 0, "half a request");
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some(alert) = text.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok()) {
            break alert;
        }
    };
    let status = {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = !seen.refuses;
        seen.alerts.push((alert, taken));
        if taken { 200 } else { 500 }
    };
    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    Ok(stream.write_all(answer.as_bytes())?)
}
