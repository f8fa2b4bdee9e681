//! Connections whose callers do not read: an answer that nobody takes holds its connection, what it was made of, and its place
//! among the requests. Whoever takes too little for too long is let go.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// What is to be taken in each span of the patience, or all that waits if that is less: a byte now and then would else hold a
/// connection for ever.
const LEAST: usize = 16 << 10;

/// A stream that ends with an error (`TimedOut`) once what is written to it was not taken for too long.
pub struct Unread<S> {
    stream: S,
    patience: Duration,
    owed: Owed,
    /// Made at the first write that had to wait: most connections never have one.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> Unread<S> {
    pub fn new(stream: S, patience: Duration) -> Unread<S> {
        Unread { stream, patience, owed: Owed::default(), timer: None }
    }

    /// What came of a write.
    fn written(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => self.wait(context),
            Poll::Ready(Ok(bytes)) => {
                self.owed.taken(bytes);
                written
            }
            Poll::Ready(Err(_)) => written,
        }
    }

    /// What came of writing all that was left.
    fn flushed(&mut self, context: &mut Context<'_>, flushed: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        match flushed {
            Poll::Pending => self.wait(context),
            Poll::Ready(_) => {
                self.owed = Owed::default();
                flushed
            }
        }
    }

    fn wait<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        let until = self.owed.waits(Instant::now(), self.patience);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.deadline() != until {
            timer.as_mut().reset(until);
        }
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "what was sent was not read")))
    }
}

/// What a caller owes: a decision over values, without a clock.
#[derive(Debug, Default, PartialEq, Eq)]
struct Owed {
    /// Until when [`LEAST`] must be taken; none while nothing waits.
    until: Option<Instant>,
    /// What was, since somebody had to wait.
    taken: usize,
}

impl Owed {
    /// Something has to wait. Gives until when it may.
    fn waits(&mut self, now: Instant, patience: Duration) -> Instant {
        *self.until.get_or_insert(now + patience)
    }

    /// So many bytes were taken.
    fn taken(&mut self, bytes: usize) {
        if self.until.is_none() {
            return;
        }
        self.taken += bytes;
        if self.taken >= LEAST {
            *self = Owed::default();
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unread<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.flushed(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.stream).poll_shutdown(context);
        self.flushed(context, ended)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unread<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn what_is_not_read_ends_the_stream() {
        let (ours, theirs) = duplex(10);
        let mut ours = Unread::new(ours, Duration::ZERO);
        ours.write_all(b"0123456789").await.unwrap();
        ours.flush().await.unwrap();
        let error = ours.write_all(b"more").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // It was not the other side that ended it.
        drop(theirs);
    }

    #[tokio::test]
    async fn what_is_read_goes_through() {
        let (ours, mut theirs) = duplex(10);
        let vectored = ours.is_write_vectored();
        let mut ours = Unread::new(ours, HOUR);
        assert_eq!(ours.is_write_vectored(), vectored);
        let sent: Vec<u8> = (0..100_000_u32).map(|at| at as u8).collect();
        let expected = sent.clone();
        let sending = tokio::spawn(async move {
            ours.write_all(&sent).await.unwrap();
            ours.shutdown().await.unwrap();
            ours.read_u8().await.unwrap()
        });
        let mut got = Vec::new();
        theirs.read_to_end(&mut got).await.unwrap();
        assert!(got == expected);
        theirs.write_u8(7).await.unwrap();
        assert_eq!(sending.await.unwrap(), 7);
    }

    #[test]
    fn time_begins_anew_with_enough_and_not_with_a_byte() {
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        let mut owed = Owed::default();
        owed.taken(LEAST - 1);
        assert_eq!(owed.waits(begin, HOUR), begin + HOUR);
        assert_eq!(owed.waits(begin + second, HOUR), begin + HOUR);
        owed.taken(LEAST - 1);
        assert_eq!(owed.waits(begin + second, HOUR), begin + HOUR, "a little is not enough");
        owed.taken(1);
        assert_eq!(owed.waits(begin + second, HOUR), begin + second + HOUR);
    }
}
