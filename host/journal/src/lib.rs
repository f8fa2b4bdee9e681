//! The journal: what happened, and nothing that merely might.
//!
//! A callback becomes an event with [`Journal::record_event`], which returns after the commit: only then may the answer
//! `success` leave. If no installation hears it, that is all; else its lane is poked. A lane (one order of one tenant) is
//! worked on between [`Journal::enter`], which raises the lane's epoch and creates the runs of new events in one transaction, and the end of each attempt. In between every effect is
//! written twice: its intent before it is sent, its outcome before the plugin sees it. All three carry the epoch, and a
//! stale one is refused with nothing written ([`JournalError::Stale`]): a paused process can't interleave.
//!
//! Reads, logs and the attempt's own start wait in a [`Buffer`] and are durable no later than the next intent or the
//! attempt's end. A run's kv changes are kept with the attempt that ends ok, or not at all.
//!
//! All SQL about events, lanes, runs, attempts, calls, effects, snapshots, logs, kv, alerts, restores and reconciliation is
//! here; the tables are in `host/database/migrations/sqlite` (`0002_journal.sql`, `0009_reconcile.sql`,
//! `0010_repair.sql`, `0019_schedules.sql`, `0028_kv_totals.sql`). Every column that can carry platform or merchant data is sealed with the tenant's key before it reaches the writer. This room decides nothing: `lanes` does.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod alerts;
mod attempt;
mod buffer;
mod deadline;
mod due;
mod echo;
mod effect;
mod ending;
mod enter;
mod erase;
mod error;
mod event;
mod export;
mod flush;
mod hook;
mod intake;
mod journal;
mod kept;
mod kv;
mod kv_room;
mod lane;
mod places;
mod reconcile;
mod recorded;
mod repair;
mod restore;
mod run;
mod salt;
mod seal;
mod snapshot;
mod state;
mod step;
mod subscription;
mod tick;
mod views;

pub use alerts::{ALERT_WAIT_MS, Alert, AlertKind, Condition};
pub use attempt::{AttemptStart, Inputs, OpenAttempt, RecordedCall};
pub use buffer::Buffer;
pub use deadline::{NearDeadline, UnknownDeadline};
pub use due::DueLane;
pub use echo::{Allowance, ECHO_REACH_S, EffectTrace, GIFT_NOTE, Traces};
pub use effect::{BUSY, Effect, EffectKey, EffectState, Intent, Outcome};
pub use ending::{Ended, Ending, KvChange, Next, Usage};
pub use enter::{Entered, NewRun, PlannedEvent};
pub use error::JournalError;
pub use event::{NewEvent, Recorded, Source, StoredEvent};
pub use export::ExportCursor;
pub use fangshi_database::{AttemptId, Clock, Digest, EventSeq, InstallationId, PluginId, RunId, TenantId};
pub use flush::{CallKind, CallOrigin, CallRow};
pub use hook::hook_of;
pub use journal::Journal;
pub use kv_room::KvAllowed;
pub use lane::{Executor, Fence, LaneKey};
pub use reconcile::{
    Found, KnownOrder, Noted, Pass, PassReport, Reading, Reconciled, Standing, Transition, TransitionView, Walk,
};
pub use recorded::{EndedAs, RecordedAttempt};
pub use repair::{Repair, Repaired};
pub use restore::{Restore, SentPerhaps, last_restore};
pub use run::RunState;
pub use snapshot::SnapshotRow;
pub use state::{LaneState, OpenRun, UnplannedEvent};
pub use subscription::Subscription;
pub use tick::{DueSchedule, Tick, Ticked};
pub use views::{
    AttemptView, Backlog, CallView, EffectView, EventFilter, EventView, LogView, Page, RunDetail, RunFilter, RunView,
};
