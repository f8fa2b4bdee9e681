//! Standard output and standard error, by lines, on their way into the log.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError, StreamResult};

/// The most that a guest may write at once.
pub(super) const CHUNK: usize = 64 << 10;

/// Which of the two, and the log's level that it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Standard output: info.
    Output = 1,
    /// Standard error: warn.
    Error = 2,
}

impl Level {
    /// Its place among the two.
    fn stream(self) -> usize {
        match self {
            Level::Output => 0,
            Level::Error => 1,
        }
    }
}

/// What was written and is not in the log yet. Clones are the same. Each write was counted when it crossed the border.
#[derive(Clone)]
pub(crate) struct Console(Arc<Mutex<Written>>);

struct Written {
    lines: Vec<(Level, Vec<u8>)>,
    /// Where in `lines` each stream has a started one.
    started: [Option<usize>; 2],
    /// Bytes and lines that are still held, of the whole run: what came after them would not fit into the log, whoever took
    /// what meanwhile. So a run is never made to look at more lines than the log keeps.
    bytes_left: usize,
    lines_left: u32,
}

impl Console {
    pub fn new(log_bytes: u64, log_lines: u32) -> Console {
        Console(Arc::new(Mutex::new(Written {
            lines: Vec::new(),
            started: [None; 2],
            // More than the log keeps, so that the log says that it was cut: a line's end may have two bytes, and counts one.
            bytes_left: usize::try_from(log_bytes).unwrap_or(usize::MAX).saturating_add(CHUNK),
            lines_left: log_lines,
        })))
    }

    pub fn output(&self, level: Level) -> Output {
        Output { level, console: self.clone() }
    }

    /// The whole lines, in their order, and the started ones too at the `end` of a run. Text that is no UTF-8 is shown as
    /// such.
    pub fn take(&self, end: bool) -> Vec<(u32, String)> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = std::mem::take(&mut written.lines);
        let started = std::mem::take(&mut written.started);
        let mut whole = Vec::with_capacity(lines.len());
        for (at, (level, line)) in lines.into_iter().enumerate() {
            if !end && started.contains(&Some(at)) {
                written.started[level.stream()] = Some(written.lines.len());
                written.lines.push((level, line));
            } else {
                whole.push((level as u32, text(&line)));
            }
        }
        whole
    }
}

fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}

impl Written {
    fn write(&mut self, level: Level, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.bytes_left == 0 {
                return;
            }
            // A started line of the same stream goes on, whatever the other one wrote in between.
            let at = match self.started[level.stream()] {
                Some(at) => at,
                None if self.lines_left == 0 => return,
                None => {
                    self.lines_left -= 1;
                    self.lines.push((level, Vec::new()));
                    self.lines.len() - 1
                }
            };
            let piece = &piece[..piece.len().min(self.bytes_left)];
            self.bytes_left -= piece.len();
            self.lines[at].1.extend_from_slice(piece);
            self.started[level.stream()] = (!piece.ends_with(b"\n")).then_some(at);
        }
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
        self.console.0.lock().unwrap_or_else(PoisonError::into_inner).write(self.level, &bytes);
        Ok(())
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

    fn written(parts: &[(Level, &str)], log_bytes: u64, log_lines: u32) -> Console {
        let console = Console::new(log_bytes, log_lines);
        for (level, part) in parts {
            console.output(*level).write(Bytes::copy_from_slice(part.as_bytes())).unwrap();
        }
        console
    }

    #[test]
    fn lines_keep_their_order_and_a_started_one_waits_for_its_end() {
        use Level::{Error, Output};
        let console =
            written(&[(Output, "one\ntw"), (Error, "bad\r\n"), (Output, "o\n"), (Output, "started")], 1 << 16, 100);
        assert_eq!(console.take(false), [(1, "one".into()), (1, "two".into()), (2, "bad".into())]);
        assert_eq!(console.take(false), []);
        console.output(Error).write(Bytes::from_static(b"in")).unwrap();
        console.output(Output).write(Bytes::from_static(b" well\nnext")).unwrap();
        assert_eq!(console.take(false), [(1, "started well".into())]);
        console.output(Error).write(Bytes::from_static(b" between")).unwrap();
        assert_eq!(console.take(true), [(2, "in between".into()), (1, "next".into())]);
    }

    #[test]
    fn a_flood_is_held_to_the_bytes_that_the_log_keeps_and_one_write_more() {
        let line = "x".repeat(CHUNK - 1) + "\n";
        let console = written(&vec![(Level::Output, line.as_str()); 16], 10, 100);
        let held: usize = console.take(true).iter().map(|(_, line)| line.len() + 1).sum();
        assert_eq!(held, 10 + CHUNK + 1);
        // Taking them opens no room: the log has none.
        console.output(Level::Output).write(Bytes::from(line)).unwrap();
        assert_eq!(console.take(true), []);
    }

    #[test]
    fn lines_are_held_to_what_the_log_keeps_however_short_and_whoever_took_them() {
        use Level::{Error, Output};
        let newlines = "\n".repeat(500);
        let console = written(&[(Output, "started"), (Error, &newlines), (Output, " and on")], 1 << 16, 1_000);
        assert_eq!(console.take(false).len(), 500);
        console.output(Error).write(Bytes::from(newlines)).unwrap();
        let lines = console.take(true);
        assert_eq!((lines.len(), &lines[0]), (500, &(1, "started and on".to_owned())));
        console.output(Error).write(Bytes::from_static(b"\n")).unwrap();
        assert_eq!(console.take(true), []);
    }
}
