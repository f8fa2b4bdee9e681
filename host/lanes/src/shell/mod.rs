//! The shell: does what the decisions say, with the journal, the plugins and the platform.

mod attempt;
mod deadlines;
mod drain;
mod effects;
mod host;
pub(crate) mod input;
pub(crate) mod order;
mod outside;
mod room;
pub(crate) mod told;
mod traces;

use std::sync::{Arc, Mutex, PoisonError};

use fangshi_journal::{Clock, InstallationId, Journal, OpenRun, Restore, TenantId};
use fangshi_tenants::Stop;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::config::LanesConfig;
use crate::decide::choose::Standing;
use crate::decide::kept::Kept;
use crate::decide::pace::Pace;
use crate::finished::Finished;
use crate::seams::{Directory, Guests, Seat, Shop};

pub(crate) use deadlines::watch_deadlines;
pub(crate) use drain::{Drained, drain, plan_alone};
pub(crate) use outside::Waiting;

/// Everything a drain works with.
pub(crate) struct Core {
    pub journal: Journal,
    pub directory: Arc<dyn Directory>,
    pub guests: Arc<dyn Guests>,
    pub shop: Arc<dyn Shop>,
    pub clock: Clock,
    pub config: LanesConfig,
    pub finished: broadcast::Sender<Finished>,
    /// The last restore of the store, if it came from a backup.
    pub restored: Option<Restore>,
    /// No new attempts.
    pub stopping: CancellationToken,
    /// Attempts under way are dropped.
    pub cut_off: CancellationToken,
    /// How many attempts of each tenant begin within a second.
    pub pace: Mutex<Pace>,
    /// What their attempts made the journal keep lately.
    pub kept: Mutex<Kept>,
    /// Runs that wait for outside hosts.
    pub waiting: Waiting,
}

impl Core {
    /// How many lanes of a tenant may be drained at one time.
    pub(crate) fn at_once(&self, tenant: TenantId) -> usize {
        self.directory.throughput(tenant).map_or(self.config.per_tenant, |throughput| throughput.runs_at_once)
    }

    /// Whether the tenant's attempts have room in the journal, or when they have (unix milliseconds). One that was cut off needs
    /// none: its effects want to be settled.
    pub(crate) fn room(&self, tenant: TenantId, run: &OpenRun) -> Result<(), i64> {
        match run.cut_off {
            Some(_) => Ok(()),
            None => self.room_of(tenant).inspect_err(|_| metrics::counter!("fangshi_journal_waits_total").increment(1)),
        }
    }

    fn room_of(&self, tenant: TenantId) -> Result<(), i64> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.begin(tenant, self.clock.now())
    }

    /// Counts an attempt that is about to begin, or says when it may (unix milliseconds).
    pub(crate) fn begin(&self, tenant: TenantId) -> Result<(), i64> {
        let Some(throughput) = self.directory.throughput(tenant) else { return Ok(()) };
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.begin(tenant, throughput.runs_per_second, self.clock.now())
    }

    /// Counts what an attempt that ended made the journal keep.
    pub(crate) fn kept(&self, tenant: TenantId, bytes: u64) {
        let Some(throughput) = self.directory.throughput(tenant) else { return };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.ended(tenant, bytes, throughput.journal_bytes_per_hour, self.clock.now());
    }

    /// Whether a run that is due can't run now. In doubt it may: the drain looks again.
    pub(crate) async fn is_held(&self, tenant: TenantId, installation: InstallationId) -> bool {
        if self.room_of(tenant).is_err() {
            return true;
        }
        match self.directory.seats(tenant).await {
            Ok(seats) => standing(&seats, installation) == Standing::Held,
            Err(_) => false,
        }
    }
}

/// How an installation stands; one that is not listed is gone.
pub(crate) fn standing(seats: &[Seat], installation: InstallationId) -> Standing {
    seat(seats, installation).map_or(Standing::Gone, |seat| seat.subscriber.standing)
}

/// Why a run does not go on, whatever version its installation has now.
pub(crate) fn stop(seats: &[Seat], run: &OpenRun) -> Option<Stop> {
    seat(seats, run.installation)?.stopped.get(&run.version).copied()
}

pub(crate) fn seat(seats: &[Seat], installation: InstallationId) -> Option<&Seat> {
    seats.iter().find(|seat| seat.subscriber.installation == installation)
}
