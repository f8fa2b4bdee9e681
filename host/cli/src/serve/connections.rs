//! Connections that can be cut off: the stop then ends what still runs on them, before the store is closed under it.
//!
//! A server that is told to stop waits for its connections, for ever if one of them sends no end of its request or takes
//! no end of its answer. To stop waiting would leave their tasks running beside the closing of the rooms. Cut off, a
//! connection reads and writes nothing but an error, and its task drops the request that it worked on.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A listener whose connections end when `cut_off` is cancelled.
pub struct Connections {
    /// Where they come in.
    pub listener: TcpListener,
    /// Ends them all.
    pub cut_off: CancellationToken,
}

impl Listener for Connections {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        // A child of its own: asked at every step, and shared with no other connection.
        let is_cut_off = self.cut_off.child_token();
        let wakes = [(); 2].map(|()| Box::pin(is_cut_off.clone().cancelled_owned()));
        (Connection { stream, is_cut_off, wakes }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

type Wake = Pin<Box<WaitForCancellationFutureOwned>>;

/// One of them.
pub struct Connection {
    stream: TcpStream,
    is_cut_off: CancellationToken,
    /// For the reader and for the writer: each is woken by its own.
    wakes: [Wake; 2],
}

impl Connection {
    /// What the stream says, unless the connection is cut off, or is while the stream says nothing yet.
    fn unless_cut_off<T>(
        &mut self,
        side: usize,
        context: &mut Context<'_>,
        step: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.is_cut_off.is_cancelled() {
            return Poll::Ready(Err(cut()));
        }
        match step(Pin::new(&mut self.stream), context) {
            Poll::Pending => self.wakes[side].as_mut().poll(context).map(|()| Err(cut())),
            ready => ready,
        }
    }
}

const READS: usize = 0;
const WRITES: usize = 1;

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "cut off at the stop")
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.unless_cut_off(READS, context, |stream, context| stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.unless_cut_off(WRITES, context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.unless_cut_off(WRITES, context, |stream, context| stream.poll_write_vectored(context, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
