//! Reconciliation: the net below the callbacks, as the order guide's FAQ asks (events, and a full pass daily).
//!
//! A [`Reconciler`] walks the orders of every active tenant: what was updated lately, often, and everything once a day,
//! by getorderlist and getorder and within a budget of calls. Each reading of an order is compared with the snapshot of
//! the one before ([`compare`]): a net change that no callback announced becomes an event with the source `reconciled`,
//! written in one transaction with the new snapshot; the lanes then call hooks as if the callback had come. A callback
//! that comes later is absorbed in its lane (`fangshi_lanes::decide::absorb`).
//!
//! [`compare`], [`bucket`] and [`walk`] decide, as functions without I/O and without time; [`Reconciler`] does what they
//! say through two seams, the journal and a [`Shop`]. No word of an order reaches a log: ids, codes and times do.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod ahead;
pub mod bucket;
pub mod compare;
mod config;
mod error;
mod reading;
mod reconciler;
mod seams;
mod visit;
pub mod walk;

pub use config::{FullPassAt, ReconcileConfig};
pub use error::ReconcileError;
pub use reconciler::{Reconciler, Running};
pub use seams::{Listed, Shop, Span};
