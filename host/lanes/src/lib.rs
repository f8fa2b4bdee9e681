//! Lanes: one run at a time per order, in sequence, tried again until it is done, rejected or parked.
//!
//! The story of a poke: [`Lanes`] puts the lane (one order of one tenant) into a queue that is fair between tenants; a
//! drain takes it, enters it by raising its epoch, makes the runs of new events, and works through the runs that are
//! due, one after the other. An attempt is a fresh sandbox whose every call passes through the host here: the grant is
//! checked, the call is journaled, an effect's intent is durable before it is sent and its outcome before the plugin
//! sees it. What the end of an attempt means (done, a retry, parked) is decided by its schedule.
//!
//! Pokes carry no data and may be lost: whatever is due is found again by the sweeper, after a restart too. An attempt
//! that a crash cut off is resumed: executed again with the same clock, seed, settings and snapshot, its journal
//! answering by position until it ends.
//!
//! What was can be executed again without sending anything: one attempt exactly, or a new version over recorded events
//! ([`Replays`]).
//!
//! Everything that decides is in [`decide`], as functions without I/O and without time.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod config;
pub mod decide;
mod error;
mod finished;
mod hook;
mod lanes;
mod loading;
mod plans;
mod replay;
mod seams;
mod shell;
mod ticker;

pub use config::{LanesConfig, LimitRange, RunLimits};
pub use decide::choose::Standing;
pub use decide::plan::Subscriber;
pub use decide::retry::Schedule;
pub use error::LanesError;
pub use fangshi_journal::{Executor, LaneKey, hook_of};
pub use finished::Finished;
pub use hook::detail_of;
pub use lanes::{Lanes, LanesStats, Parts};
pub use plans::{
    COMPONENT_BYTES, Figures, HOOKS_PER_EVENT, Plans, QUARANTINE_AFTER, RUNS_AT_ONCE, RUNS_PER_SECOND, TenantLimits,
};
pub use replay::{
    Backtest, BacktestReport, Changed, Difference, EffectSeen, EventTried, ReplayError, ReplayVerdict, Replayed,
    Replays, Totals, Untried,
};
pub use seams::{Directory, Guest, Guests, Installed, Seat, Shop, Throughput, WasmGuests};
pub use ticker::Ticker;
