//! `wasi:clocks`: time stands still during a run, except that it moves on by what the guest sleeps. Sleeping takes no time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Linker, Lower, Resource};
use wasmtime_wasi_io::IoView;
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};

use super::VERSION;
use crate::state::RunState;

/// Nanoseconds slept since the run's start. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Passed(Arc<Time>);

struct Time {
    now: AtomicU64,
    /// The earliest end of what is waited for at once.
    next: AtomicU64,
}

impl Default for Time {
    fn default() -> Time {
        Time { now: AtomicU64::new(0), next: AtomicU64::new(u64::MAX) }
    }
}

impl Passed {
    fn now(&self) -> u64 {
        self.0.now.load(Ordering::Relaxed)
    }

    /// A call begins to wait: what another one waited for is not its next.
    pub fn wait_anew(&self) {
        self.0.next.store(u64::MAX, Ordering::Relaxed);
    }
}

/// Ready at its end. If nothing that is waited for with it is ready, the time moves on to the earliest end of them.
struct Sleep {
    until: u64,
    passed: Passed,
}

#[async_trait]
impl Pollable for Sleep {
    async fn ready(&mut self) {
        while self.until > self.passed.now() {
            self.passed.0.next.fetch_min(self.until, Ordering::Relaxed);
            // Until all that are waited for have told their ends. And a guest that only waits gives way to its neighbours.
            tokio::task::yield_now().await;
            self.passed.0.now.fetch_max(self.passed.0.next.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

/// The finest step that is told: what the contract's clock tells.
const MILLISECOND: u32 = 1_000_000;

pub(super) fn link(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    let mut wall = linker.instance(&format!("wasi:clocks/wall-clock@{VERSION}"))?;
    wall.func_wrap("now", |mut store: StoreContextMut<'_, RunState>, (): ()| {
        let state = store.data_mut();
        state.count(0)?;
        let since_start = state.wasi.passed.now();
        let start = u64::try_from(state.input.clock_ms).unwrap_or_default();
        let now = start.saturating_add(since_start / u64::from(MILLISECOND));
        let nanoseconds = (now % 1000) as u32 * MILLISECOND + (since_start % u64::from(MILLISECOND)) as u32;
        Ok((Datetime { seconds: now / 1000, nanoseconds },))
    })?;
    wall.func_wrap("resolution", |mut store: StoreContextMut<'_, RunState>, (): ()| {
        store.data_mut().count(0)?;
        Ok((Datetime { seconds: 0, nanoseconds: MILLISECOND },))
    })?;

    let mut monotonic = linker.instance(&format!("wasi:clocks/monotonic-clock@{VERSION}"))?;
    monotonic.func_wrap("now", |mut store: StoreContextMut<'_, RunState>, (): ()| {
        let state = store.data_mut();
        state.count(0)?;
        Ok((state.wasi.passed.now(),))
    })?;
    monotonic.func_wrap("resolution", |mut store: StoreContextMut<'_, RunState>, (): ()| {
        store.data_mut().count(0)?;
        Ok((1u64,))
    })?;
    monotonic.func_wrap("subscribe-instant", |mut store: StoreContextMut<'_, RunState>, (when,): (u64,)| {
        Ok((sleep(store.data_mut(), when)?,))
    })?;
    monotonic.func_wrap("subscribe-duration", |mut store: StoreContextMut<'_, RunState>, (length,): (u64,)| {
        let state = store.data_mut();
        let until = state.wasi.passed.now().saturating_add(length);
        Ok((sleep(state, until)?,))
    })
}

fn sleep(state: &mut RunState, until: u64) -> wasmtime::Result<Resource<DynPollable>> {
    state.count(0)?;
    let sleep = Sleep { until, passed: state.wasi.passed.clone() };
    let sleep = state.table().push(sleep)?;
    subscribe(state.table(), sleep)
}
