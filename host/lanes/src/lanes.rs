//! The handle, and the task that hands lanes to drains.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use fangshi_journal::{Clock, Executor, Journal, LaneKey, TenantId};
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::config::LanesConfig;
use crate::decide::choose::SET_BACK_MS;
use crate::decide::queue::Queue;
use crate::error::LanesError;
use crate::finished::Finished;
use crate::replay::Replays;
use crate::seams::{Directory, Guests, Shop};
use crate::shell::{Core, Drained, Waiting, drain, plan_alone, watch_deadlines};

/// What lanes are made of.
pub struct Parts {
    /// The journal.
    pub journal: Journal,
    /// Who is subscribed: [`Tenants`](fangshi_tenants::Tenants).
    pub directory: Arc<dyn Directory>,
    /// Plugins: [`WasmGuests`](crate::WasmGuests).
    pub guests: Arc<dyn Guests>,
    /// The platform: [`Operations`](fangshi_operations::Operations).
    pub shop: Arc<dyn Shop>,
    /// The host's clock.
    pub clock: Clock,
    /// Settings.
    pub config: LanesConfig,
}

/// The lanes of this process. Cheap to clone.
#[derive(Clone)]
pub struct Lanes {
    inner: Arc<Inner>,
    /// Stops the dispatcher when the last handle is gone.
    _alive: Arc<DropGuard>,
}

struct Inner {
    core: Arc<Core>,
    floor: Mutex<Floor>,
    wake: Notify,
    idle: Notify,
    /// The store was restored and not released yet: lanes are poked, and none is worked on.
    held: AtomicBool,
    /// When the sweeper looked last, unix milliseconds; at the start later than any time.
    swept_at: AtomicI64,
    stopping: CancellationToken,
    drains: TaskTracker,
    dispatcher: Mutex<Option<JoinHandle<()>>>,
}

/// What is under way.
struct Floor {
    queue: Queue,
    /// Pokes for later. A bound keeps them few: the sweeper finds what is not here.
    timers: BTreeSet<(i64, LaneKey)>,
}

/// Timers kept in memory at most.
const TIMERS: usize = 100_000;
/// Rows of one page of the sweeper.
const SWEEP_PAGE: u32 = 1_000;

/// What lanes are doing now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LanesStats {
    /// Lanes being worked on.
    pub running: usize,
    /// Lanes that wait for a place.
    pub waiting: usize,
    /// How long the one waits that waits longest, milliseconds; 0 if none does.
    pub oldest_ms: u64,
}

impl Lanes {
    /// Starts: attaches itself to the journal, so that recorded events poke their lanes, and picks up everything that an
    /// earlier process left.
    ///
    /// # Errors
    /// [`LanesError`]: the journal can't be read.
    pub async fn start(parts: Parts) -> Result<Lanes, LanesError> {
        let Parts { journal, directory, guests, shop, clock, config } = parts;
        let (finished, _) = broadcast::channel(4_096);
        let queue = Queue::new(config.max_concurrent_runs, config.weights.clone());
        let waiting = Waiting::of_runs(config.max_concurrent_runs);
        let restored = journal.restored().await?;
        let stopping = CancellationToken::new();
        let core = Core {
            journal,
            directory,
            guests,
            shop,
            clock,
            config,
            finished,
            restored,
            stopping: stopping.clone(),
            cut_off: CancellationToken::new(),
            pace: Mutex::default(),
            kept: Mutex::default(),
            waiting,
        };
        let inner = Arc::new(Inner {
            core: Arc::new(core),
            stopping: stopping.clone(),
            floor: Mutex::new(Floor { queue, timers: BTreeSet::new() }),
            wake: Notify::new(),
            idle: Notify::new(),
            held: AtomicBool::new(restored.is_some_and(|restored| restored.is_held())),
            swept_at: AtomicI64::new(i64::MAX),
            drains: TaskTracker::new(),
            dispatcher: Mutex::new(None),
        });
        let lanes = Lanes { inner, _alive: Arc::new(stopping.clone().drop_guard()) };
        lanes.inner.core.journal.attach_executor(Arc::new(Poker(Arc::downgrade(&lanes.inner))));
        lanes.sweep().await?;
        tokio::spawn(sweep(lanes.inner.clone(), stopping.clone()));
        let dispatcher = tokio::spawn(dispatch(lanes.inner.clone(), stopping));
        *lock(&lanes.inner.dispatcher) = Some(dispatcher);
        Ok(lanes)
    }

    /// Pokes every lane of a tenant that has unfinished runs: after a tenant or an installation was resumed or removed.
    pub async fn poke_tenant(&self, tenant: TenantId) -> Result<(), LanesError> {
        for lane in self.inner.core.journal.open_lanes(tenant).await? {
            self.poke(&lane);
        }
        Ok(())
    }

    /// Whether the store was restored and is held: no lane is worked on.
    pub fn is_held(&self) -> bool {
        self.inner.held.load(Ordering::SeqCst)
    }

    /// The hold is over, durably: lanes work.
    pub async fn release(&self) {
        self.inner.held.store(false, Ordering::SeqCst);
        if let Err(error) = self.sweep().await {
            tracing::warn!(%error, "lanes wait for the next sweep");
        }
        self.inner.wake.notify_one();
    }

    /// News of ended attempts. A receiver that falls behind loses the oldest.
    pub fn finished(&self) -> broadcast::Receiver<Finished> {
        self.inner.core.finished.subscribe()
    }

    /// What was, executed again with the same plugins and without the shop.
    pub fn replays(&self) -> Replays {
        Replays::new(self.inner.core.journal.clone(), Arc::clone(&self.inner.core.guests))
    }

    /// What is under way.
    pub fn stats(&self) -> LanesStats {
        let floor = self.inner.floor();
        let since = floor.queue.waiting_since();
        LanesStats {
            running: floor.queue.running(),
            waiting: floor.queue.waiting(),
            oldest_ms: since.map_or(0, |since| self.inner.core.clock.now().saturating_sub(since).max(0) as u64),
        }
    }

    /// Pokes every lane with something due that nobody poked.
    pub async fn sweep(&self) -> Result<(), LanesError> {
        self.inner.sweep().await
    }

    /// Looks at the clock again: for clocks that are moved by hand.
    pub fn nudge(&self) {
        self.inner.wake.notify_one();
    }

    /// Returns when no lane is worked on and none waits for a place (or the lanes were stopped); retries that are not due
    /// yet don't count.
    pub async fn settle(&self) {
        loop {
            let idle = self.inner.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            {
                let mut floor = self.inner.floor();
                floor.ring(self.inner.core.clock.now());
                if floor.queue.is_idle() || self.inner.stopping.is_cancelled() {
                    return;
                }
            }
            self.inner.wake.notify_one();
            idle.await;
        }
    }

    /// Stops: no new attempts; those under way may end within `patience`, and are cut off after it, to be resumed by the
    /// next process.
    pub async fn stop(&self, patience: Duration) {
        self.inner.stopping.cancel();
        self.inner.wake.notify_one();
        let dispatcher = lock(&self.inner.dispatcher).take();
        if let Some(dispatcher) = dispatcher {
            let _ = dispatcher.await;
        }
        self.inner.drains.close();
        if tokio::time::timeout(patience, self.inner.drains.wait()).await.is_err() {
            tracing::warn!("attempts were cut off at the stop; the next start resumes them");
            self.inner.core.cut_off.cancel();
            self.inner.drains.wait().await;
        }
    }
}

impl Executor for Lanes {
    fn poke(&self, lane: &LaneKey) {
        self.inner.poke(lane);
    }

    fn poke_at(&self, lane: &LaneKey, at_ms: i64) {
        self.inner.poke_at(lane, at_ms);
    }
}

/// The journal's handle on the lanes; it does not keep them alive.
struct Poker(Weak<Inner>);

impl Executor for Poker {
    fn poke(&self, lane: &LaneKey) {
        if let Some(inner) = self.0.upgrade() {
            inner.poke(lane);
        }
    }

    fn poke_at(&self, lane: &LaneKey, at_ms: i64) {
        if let Some(inner) = self.0.upgrade() {
            inner.poke_at(lane, at_ms);
        }
    }
}

impl Floor {
    /// Pokes the lanes whose time has come.
    fn ring(&mut self, now: i64) {
        while let Some((at, lane)) = self.timers.pop_first() {
            if at > now {
                self.timers.insert((at, lane));
                break;
            }
            self.queue.poke(&lane, now);
        }
    }
}

impl Inner {
    fn floor(&self) -> MutexGuard<'_, Floor> {
        lock(&self.floor)
    }

    fn poke(&self, lane: &LaneKey) {
        let now = self.core.clock.now();
        self.floor().queue.poke(lane, now);
        self.wake.notify_one();
    }

    fn poke_at(&self, lane: &LaneKey, at_ms: i64) {
        let mut floor = self.floor();
        if floor.timers.len() < TIMERS {
            floor.timers.insert((at_ms, lane.clone()));
        }
        drop(floor);
        self.wake.notify_one();
    }

    async fn sweep(&self) -> Result<(), LanesError> {
        let core = &self.core;
        let now = core.clock.now();
        // Times that were set by a clock that was ahead lie in the future: once every lane that waits is looked at.
        let set_back = self.swept_at.load(Ordering::SeqCst) > now.saturating_add(SET_BACK_MS);
        let until = if set_back { i64::MAX } else { now };
        let mut after: Option<LaneKey> = None;
        loop {
            let page = core.journal.unplanned_lanes(after.as_ref(), SWEEP_PAGE).await?;
            for lane in &page {
                if self.held.load(Ordering::SeqCst) {
                    plan_alone(core, lane).await;
                }
                self.poke(lane);
            }
            after = page.last().cloned();
            if after.is_none() {
                break;
            }
        }
        let mut after = (i64::MIN, i64::MIN);
        loop {
            let page = core.journal.due_runs(until, after, SWEEP_PAGE).await?;
            let Some(last) = page.last() else { break };
            after = (last.at_ms, last.id);
            for due in &page {
                // Held runs would only be looked at and left; a resume pokes them.
                if !core.is_held(due.lane.tenant, due.installation).await {
                    self.poke(&due.lane);
                }
            }
        }
        // Only now: a look that failed is made again.
        self.swept_at.store(now, Ordering::SeqCst);
        watch_deadlines(core).await;
        Ok(())
    }

    /// Starts as many drains as there are places.
    fn start_drains(self: &Arc<Self>) {
        if self.held.load(Ordering::SeqCst) {
            return;
        }
        loop {
            let lane = {
                let mut floor = self.floor();
                floor.ring(self.core.clock.now());
                floor.queue.start(|tenant| self.core.at_once(tenant))
            };
            let Some(lane) = lane else { break };
            let inner = self.clone();
            self.drains.spawn(async move {
                let held = Held { inner: &inner, lane: &lane, drained: Drained::Idle, cost: 0 };
                held.work().await;
            });
        }
        if self.floor().queue.is_idle() {
            self.idle.notify_waiters();
        }
    }

    /// How long the dispatcher may sleep.
    fn next_look(&self) -> Duration {
        let longest = self.core.config.sweep_every.unwrap_or(Duration::from_secs(3_600));
        match self.floor().timers.first() {
            Some((at, _)) => {
                let wait = at.saturating_sub(self.core.clock.now()).max(1);
                longest.min(Duration::from_millis(wait as u64))
            }
            None => longest,
        }
    }
}

/// A lane being drained: gives its place back however the drain ends.
struct Held<'a> {
    inner: &'a Arc<Inner>,
    lane: &'a LaneKey,
    drained: Drained,
    /// In fuel.
    cost: u64,
}

impl Held<'_> {
    async fn work(mut self) {
        self.drained = Drained::Failed;
        self.drained = drain(&self.inner.core, self.lane, &mut self.cost).await;
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let now = self.inner.core.clock.now();
        match self.drained {
            Drained::WaitUntil(at) => self.inner.poke_at(self.lane, at),
            Drained::Failed => {
                let wait = self.inner.core.config.store_wait.as_millis() as i64;
                self.inner.poke_at(self.lane, now + wait);
            }
            Drained::More | Drained::Idle => {}
        }
        self.inner.floor().queue.finished(self.lane, self.drained == Drained::More, self.cost, now);
        self.inner.wake.notify_one();
    }
}

/// Pokes what was left untouched, beside the dispatcher: with a long backlog a sweep takes its time.
async fn sweep(inner: Arc<Inner>, stopping: CancellationToken) {
    let Some(every) = inner.core.config.sweep_every else { return };
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = stopping.cancelled() => return,
        }
        if let Err(error) = inner.sweep().await {
            tracing::error!(%error, "the sweeper can't read the journal");
        }
    }
}

async fn dispatch(inner: Arc<Inner>, stopping: CancellationToken) {
    while !stopping.is_cancelled() {
        inner.start_drains();
        let look = inner.next_look();
        tokio::select! {
            () = inner.wake.notified() => {}
            () = tokio::time::sleep(look) => {}
            () = stopping.cancelled() => return,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
