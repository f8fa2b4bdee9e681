//! The border towards `lanes`: what a run asks of the world, and how the world may refuse.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::input::Snapshot;

/// What a run needs from outside its sandbox; implemented by `lanes`, which journals every call, checks grants and
/// passes operations on.
///
/// The future of a call is dropped, wherever it waits, when the run's deadline passes: an effect cut off so is an
/// intent without an outcome, as after a crash. A panic in here is caught and ends the run as
/// [`Outcome::HostFault`](crate::Outcome::HostFault).
#[async_trait]
pub trait RunHost: Send {
    /// Calls an approved operation: `notes`, `set-merchant-notes`, `{"order_id": "…", "merchant_notes": "…"}`.
    ///
    /// `request` is an object of the parameters; names are in snake_case, options that are none are absent. The answer
    /// is the JSON of the function's ok type (an object for a record, an array for a list; ignored for `_`) and may be
    /// as lax as the platform is: numbers as text, ids as numbers, members left out.
    async fn operation(&mut self, interface: &str, function: &str, request: Value) -> Result<Value, CallError>;

    /// Reads an order afresh (`orders.get`).
    async fn read_order(&mut self, order_id: &str) -> Result<Arc<Snapshot>, CallError>;

    /// The value under a key of the installation's own store, as this attempt sees it.
    async fn kv_get(&mut self, key: &str) -> Result<Option<Vec<u8>>, CallError>;

    /// Sets a key, or removes it with `None`. Kept only if the attempt ends ok.
    async fn kv_set(&mut self, key: &str, value: Option<Vec<u8>>) -> Result<(), CallError>;

    /// One line of the plugin's log. Levels: 0 debug, 1 info, 2 warning, 3 error. Already cut to the limit.
    fn log(&mut self, level: u8, text: &str);
}

/// The refusals of the WIT variant `error` of `fangshi:host/errors`, and [`CallError::Abort`], which no guest sees.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "kind", content = "detail", rename_all = "kebab-case")]
pub enum CallError {
    /// The installation has no grant for this; the text names the grant.
    #[error("denied: {0}")]
    Denied(String),
    /// The request is wrong and would be wrong again; the text names the member.
    #[error("invalid: {0}")]
    Invalid(String),
    /// What the call names does not exist. The text is for the journal: the contract's case carries none.
    #[error("not found: {0}")]
    NotFound(String),
    /// The order's state forbids it.
    #[error("conflict: {0}")]
    Conflict(String),
    /// Too often, or a quota is used up.
    #[error("limited")]
    Limited {
        /// Seconds to wait, where known.
        retry_after: Option<u32>,
    },
    /// The platform can't be reached or is busy. Nothing was changed, or the same call, made again, finds out first whether this or
    /// an earlier try was applied.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// Sent without an answer: applied or not.
    #[error("outcome unknown: {0}")]
    OutcomeUnknown(String),
    /// Any other refusal of the platform.
    #[error("platform {code}: {message}")]
    Platform {
        /// The platform's code; one outside 32 bits reaches the guest as the nearest that fits.
        code: i64,
        /// The platform's text, without token or buyer data.
        message: String,
    },
    /// Ends the run at once, instead of an answer.
    #[error("{0}")]
    Abort(#[from] Abort),
}

/// Why the host ends a run from outside. The guest never sees it.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "kind", content = "detail", rename_all = "kebab-case")]
pub enum Abort {
    /// Another executor has raised the lane's epoch: this one must not go on.
    #[error("the lane's epoch is stale")]
    StaleEpoch,
    /// A resumed attempt made another call than its journal holds.
    #[error("divergence from the journal: {0}")]
    Divergence(String),
    /// The host can't go on (its store refuses writes, say). For the operator.
    #[error("host fault: {0}")]
    HostFault(String),
}
