//! `wasi:io`: the library's streams and pollables, each call counted as one of the contract is. A list of pollables makes
//! the host look at each of them, and where one is ready nobody ever waits: so lists have an end, what is looked at is
//! counted, and who looks long gives way.

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi_io::IoView;
use wasmtime_wasi_io::bindings::wasi::io::{error, poll, streams};
use wasmtime_wasi_io::poll::DynPollable;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream, Error, StreamError, StreamResult};

use super::console::CHUNK;
use crate::limits::Met;
use crate::state::{CALL_BYTES, RunState, Stop};

/// Pollables of one `poll`. A timer is one: who starts more at once is not waiting for them.
const POLLABLES: u64 = 256;

/// The run, as `wasi:io` sees it.
struct Io<'a>(&'a mut RunState);

/// Says which type [`Io`] is for a store.
struct OfRun;

impl HasData for OfRun {
    type Data<'a> = Io<'a>;
}

pub(super) fn link(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    error::add_to_linker::<RunState, OfRun>(linker, |state| Io(state))?;
    poll::add_to_linker::<RunState, OfRun>(linker, |state| Io(state))?;
    streams::add_to_linker::<RunState, OfRun>(linker, |state| Io(state))
}

impl Io<'_> {
    /// The streams and pollables, once the call is counted with the bytes that it carries, and the guest has given way if that
    /// was much.
    async fn cross(&mut self, bytes: u64) -> Result<&mut ResourceTable, Stop> {
        self.0.cross(bytes).await?;
        Ok(self.0.table())
    }

    /// The same where the library can't wait: what such a call costs is a copy of what it carries.
    fn count(&mut self, bytes: u64) -> Result<&mut ResourceTable, Stop> {
        self.0.count(bytes)?;
        Ok(self.0.table())
    }

    /// What is dropped was counted when it was made.
    fn table(&mut self) -> &mut ResourceTable {
        self.0.table()
    }
}

impl From<Stop> for StreamError {
    fn from(stop: Stop) -> StreamError {
        StreamError::Trap(stop.into())
    }
}

impl poll::Host for Io<'_> {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        let count = pollables.len() as u64;
        if count > POLLABLES {
            return Err(Stop::Met(Met { limit: "pollables", allowed: POLLABLES }).into());
        }
        self.0.wasi.passed.wait_anew();
        poll::Host::poll(self.cross(count.saturating_mul(CALL_BYTES)).await?, pollables).await
    }
}

impl poll::HostPollable for Io<'_> {
    async fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        self.0.wasi.passed.wait_anew();
        poll::HostPollable::ready(self.cross(0).await?, pollable).await
    }

    async fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.0.wasi.passed.wait_anew();
        poll::HostPollable::block(self.cross(0).await?, pollable).await
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(self.table(), pollable)
    }
}

impl error::Host for Io<'_> {}

impl error::HostError for Io<'_> {
    fn to_debug_string(&mut self, error: Resource<Error>) -> wasmtime::Result<String> {
        error::HostError::to_debug_string(self.count(0)?, error)
    }

    fn drop(&mut self, error: Resource<Error>) -> wasmtime::Result<()> {
        error::HostError::drop(self.table(), error)
    }
}

impl streams::Host for Io<'_> {
    fn convert_stream_error(&mut self, error: StreamError) -> wasmtime::Result<streams::StreamError> {
        streams::Host::convert_stream_error(self.table(), error)
    }
}

impl streams::HostInputStream for Io<'_> {
    fn read(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<Vec<u8>> {
        streams::HostInputStream::read(self.count(0)?, stream, len)
    }

    async fn blocking_read(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<Vec<u8>> {
        streams::HostInputStream::blocking_read(self.cross(0).await?, stream, len).await
    }

    fn skip(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<u64> {
        streams::HostInputStream::skip(self.count(0)?, stream, len)
    }

    async fn blocking_skip(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<u64> {
        streams::HostInputStream::blocking_skip(self.cross(0).await?, stream, len).await
    }

    fn subscribe(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        streams::HostInputStream::subscribe(self.count(0)?, stream)
    }

    async fn drop(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<()> {
        streams::HostInputStream::drop(self.table(), stream).await
    }
}

impl streams::HostOutputStream for Io<'_> {
    fn check_write(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<u64> {
        streams::HostOutputStream::check_write(self.count(0)?, stream)
    }

    fn write(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        streams::HostOutputStream::write(self.count(bytes.len() as u64)?, stream, bytes)
    }

    async fn blocking_write_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        bytes: Vec<u8>,
    ) -> StreamResult<()> {
        let table = self.cross(bytes.len() as u64).await?;
        streams::HostOutputStream::blocking_write_and_flush(table, stream, bytes).await
    }

    fn flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        streams::HostOutputStream::flush(self.count(0)?, stream)
    }

    async fn blocking_flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        streams::HostOutputStream::blocking_flush(self.cross(0).await?, stream).await
    }

    fn subscribe(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        streams::HostOutputStream::subscribe(self.count(0)?, stream)
    }

    fn write_zeroes(&mut self, stream: Resource<DynOutputStream>, len: u64) -> StreamResult<()> {
        // More than that traps, as a write without a permit.
        streams::HostOutputStream::write_zeroes(self.count(len.min(CHUNK as u64))?, stream, len)
    }

    async fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        len: u64,
    ) -> StreamResult<()> {
        let table = self.cross(len.min(CHUNK as u64)).await?;
        streams::HostOutputStream::blocking_write_zeroes_and_flush(table, stream, len).await
    }

    // There is nothing to read, so neither of these two writes anything.
    fn splice(
        &mut self,
        stream: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        len: u64,
    ) -> StreamResult<u64> {
        streams::HostOutputStream::splice(self.count(0)?, stream, from, len)
    }

    async fn blocking_splice(
        &mut self,
        stream: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        len: u64,
    ) -> StreamResult<u64> {
        streams::HostOutputStream::blocking_splice(self.cross(0).await?, stream, from, len).await
    }

    async fn drop(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<()> {
        streams::HostOutputStream::drop(self.table(), stream).await
    }
}
