//! What was, executed again: one attempt exactly as it was ([`Replays::replay`]), or a new version over recorded events
//! ([`Replays::backtest`]).
//!
//! Nothing can be sent from here: calls are answered from the journal, and there is no shop to call. Nothing is
//! written either. What a report shows of requests is redacted by the table of operations.
//!
//! - `exact`: an attempt by the positions of its journal
//! - `backtest`: a version over events, answered by what the runs of those events recorded
//! - `world`: what such a version meets
//! - `compare`: effects then and now, pure
//! - `report`: what is told of it, and its table

mod backtest;
mod compare;
mod exact;
mod report;
mod world;

use std::sync::Arc;
use std::time::Duration;

use fangshi_journal::{Digest, InstallationId, Journal, JournalError, RunId};
use fangshi_tenants::RegistryError;
use thiserror::Error;

pub use backtest::Backtest;
pub use compare::{Changed, Difference, EffectSeen};
pub use exact::{ReplayVerdict, Replayed};
pub use report::{BacktestReport, EventTried, Totals, Untried};

use crate::seams::Guests;

/// Wall-clock limit of one run here: there is nothing to wait for.
const DEADLINE: Duration = Duration::from_secs(10);

/// The journal and the plugins, without a shop. Cheap to clone.
#[derive(Clone)]
pub struct Replays {
    journal: Journal,
    guests: Arc<dyn Guests>,
}

/// Why nothing was executed again.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The tenant has no such run, or the run no such attempt.
    #[error("run {run} has no recorded attempt {attempt}")]
    NoSuchAttempt {
        /// The run.
        run: RunId,
        /// The attempt.
        attempt: u32,
    },
    /// The attempt ended before a guest ran.
    #[error("attempt {attempt} of {run} ended as `{outcome}` before the plugin ran: there is nothing to replay")]
    NoGuestRan {
        /// The run.
        run: RunId,
        /// The attempt.
        attempt: u32,
        /// Its outcome.
        outcome: String,
    },
    /// The tenant has no such installation.
    #[error("there is no installation {0}")]
    NoSuchInstallation(InstallationId),
    /// The installation's plugin has no such version.
    #[error("the installation's plugin has no version {0}")]
    NoSuchVersion(Digest),
    /// The registry can't be read.
    #[error("the registry can't be read")]
    Registry(#[from] RegistryError),
    /// The version can't be loaded.
    #[error("the version can't be loaded: {0}")]
    NotLoaded(String),
    /// The version asks for more than the backtest was given.
    #[error("the version asks for {}, which it would not be granted", .0.join(", "))]
    GrantsMissing(Vec<String>),
    /// The journal can't be read.
    #[error("the journal can't be read")]
    Journal(#[from] JournalError),
}

impl Replays {
    /// Over a journal, with plugins to run.
    pub fn new(journal: Journal, guests: Arc<dyn Guests>) -> Replays {
        Replays { journal, guests }
    }
}
