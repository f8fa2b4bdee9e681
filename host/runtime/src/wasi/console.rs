//! Standard output and standard error, by lines, on their way into the log.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError, StreamResult};

use crate::limits::Met;
use crate::state::Stop;

/// The most that a guest may write at once.
const CHUNK: usize = 64 << 10;

/// Which of the two, and the log's level that it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Standard output: info.
    Output = 1,
    /// Standard error: warn.
    Error = 2,
}

/// What was written and is not in the log yet. Clones are the same.
#[derive(Clone)]
pub(crate) struct Console(Arc<Mutex<Written>>);

struct Written {
    lines: Vec<(Level, Vec<u8>)>,
    /// Bytes held in `lines`, one counted for each.
    held: u64,
    /// Of these at most: what is beyond them would not fit into the log.
    held_at_most: u64,
    /// Bytes that came, kept or not.
    came: u64,
    came_at_most: u64,
}

impl Console {
    pub fn new(log_bytes: u64, border_bytes: u64) -> Console {
        Console(Arc::new(Mutex::new(Written {
            lines: Vec::new(),
            held: 0,
            // One more than the log keeps, so that the log says that it was cut.
            held_at_most: log_bytes.saturating_add(CHUNK as u64),
            came: 0,
            came_at_most: border_bytes,
        })))
    }

    pub fn output(&self, level: Level) -> Output {
        Output { level, console: self.clone() }
    }

    /// Bytes that crossed the border, kept or not.
    pub fn came(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).came
    }

    /// The whole lines, in their order, and the started ones too at the `end` of a run. Text that is no UTF-8 is shown as
    /// such.
    pub fn take(&self, end: bool) -> Vec<(u32, String)> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let started = |line: &[u8]| !line.ends_with(b"\n");
        let (kept, lines): (Vec<_>, Vec<_>) =
            std::mem::take(&mut written.lines).into_iter().partition(|(_, line)| !end && started(line));
        written.held = kept.iter().map(|(_, line)| line.len() as u64 + 1).sum();
        written.lines = kept;
        let text = |line: Vec<u8>| {
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
        };
        lines.into_iter().map(|(level, line)| (level as u32, text(line))).collect()
    }
}

impl Written {
    fn write(&mut self, level: Level, bytes: &[u8]) -> Result<(), Stop> {
        self.came = self.came.saturating_add(bytes.len() as u64);
        if self.came > self.came_at_most {
            return Err(Stop::Met(Met { limit: "border_bytes", allowed: self.came_at_most }));
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.held >= self.held_at_most {
                break;
            }
            // A started line of the same stream goes on, whatever the other one wrote in between.
            let started = self.lines.iter_mut().rev().find(|(of, _)| *of == level);
            match started.filter(|(_, line)| !line.ends_with(b"\n")) {
                Some((_, line)) => line.extend_from_slice(piece),
                None => {
                    self.lines.push((level, piece.to_vec()));
                    self.held += 1;
                }
            }
            self.held += piece.len() as u64;
        }
        Ok(())
    }
}

/// One of the two streams.
pub(crate) struct Output {
    level: Level,
    console: Console,
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut written = self.console.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.write(self.level, &bytes).map_err(|stop| StreamError::Trap(stop.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK)
    }
}

/// Standard input: at its end from the start.
pub(crate) struct NoInput;

#[async_trait]
impl Pollable for NoInput {
    async fn ready(&mut self) {}
}

#[async_trait]
impl InputStream for NoInput {
    fn read(&mut self, _: usize) -> StreamResult<Bytes> {
        Err(StreamError::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(parts: &[(Level, &str)], log_bytes: u64) -> (Console, Result<(), StreamError>) {
        let console = Console::new(log_bytes, 1 << 20);
        let mut end = Ok(());
        for (level, part) in parts {
            end = end.and(console.output(*level).write(Bytes::copy_from_slice(part.as_bytes())));
        }
        (console, end)
    }

    #[test]
    fn lines_keep_their_order_and_a_started_one_waits_for_its_end() {
        use Level::{Error, Output};
        let (console, end) =
            written(&[(Output, "one\ntw"), (Error, "bad\r\n"), (Output, "o\n"), (Output, "started")], 1 << 16);
        end.unwrap();
        assert_eq!(console.take(false), [(1, "one".into()), (1, "two".into()), (2, "bad".into())]);
        assert_eq!(console.take(false), []);
        assert_eq!(console.take(true), [(1, "started".into())]);
    }

    #[test]
    fn a_flood_is_held_to_what_the_log_keeps_and_ends_the_run_at_the_border() {
        let line = "x".repeat(CHUNK - 1) + "\n";
        let (console, end) = written(&vec![(Level::Output, line.as_str()); 16], 10);
        end.unwrap();
        let held: usize = console.take(true).iter().map(|(_, line)| line.len()).sum();
        assert!(held <= 2 * CHUNK, "{held} bytes held");
        let end = console.output(Level::Output).write(Bytes::from_static(b"one more"));
        let Err(StreamError::Trap(error)) = end else { panic!("written beyond the border") };
        let met = Met { limit: "border_bytes", allowed: 1 << 20 };
        assert_eq!(error.downcast_ref::<Stop>(), Some(&Stop::Met(met)));
    }
}
