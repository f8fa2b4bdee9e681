//! Which columns are sealed, and the row names that bind them.
//!
//! Rows are named by what is known before the insert (sealing happens before the writer), never by an autoincrement.

use fangshi_database::{InstallationId, RunId};
use fangshi_tenants::Place;

pub(crate) const SALT: Place = Place { table: "salts", column: "salt" };
pub(crate) const EVENT_BODY: Place = Place { table: "events", column: "body" };
pub(crate) const ATTEMPT_INPUTS: Place = Place { table: "attempts", column: "inputs" };
pub(crate) const ATTEMPT_REASON: Place = Place { table: "attempts", column: "reason" };
pub(crate) const CALL_REQUEST: Place = Place { table: "calls", column: "request" };
pub(crate) const CALL_ANSWER: Place = Place { table: "calls", column: "answer" };
pub(crate) const EFFECT_REQUEST: Place = Place { table: "effects", column: "request" };
pub(crate) const EFFECT_ANSWER: Place = Place { table: "effects", column: "answer" };
pub(crate) const SNAPSHOT_BODY: Place = Place { table: "snapshots", column: "body" };
pub(crate) const KNOWN_FACTS: Place = Place { table: "known_orders", column: "facts" };
pub(crate) const STANDING: Place = Place { table: "reconciliations", column: "standing" };
pub(crate) const LOG_TEXT: Place = Place { table: "logs", column: "text" };
pub(crate) const KV_KEY: Place = Place { table: "kv", column: "key" };
pub(crate) const KV_VALUE: Place = Place { table: "kv", column: "value" };

/// An attempt: (run, number).
pub(crate) fn attempt_row(run: RunId, number: u32) -> [u8; 12] {
    let mut name = [0; 12];
    name[..8].copy_from_slice(&run.0.to_be_bytes());
    name[8..].copy_from_slice(&number.to_be_bytes());
    name
}

/// A call or a log line: (run, attempt, position or line).
pub(crate) fn line_row(run: RunId, attempt: u32, index: u32) -> [u8; 16] {
    let mut name = [0; 16];
    name[..12].copy_from_slice(&attempt_row(run, attempt));
    name[12..].copy_from_slice(&index.to_be_bytes());
    name
}

/// An effect: (run, digest, n-th). The digest covers the operation's name.
pub(crate) fn effect_row(run: RunId, digest: &[u8; 32], nth: u32) -> [u8; 44] {
    let mut name = [0; 44];
    name[..8].copy_from_slice(&run.0.to_be_bytes());
    name[8..40].copy_from_slice(digest);
    name[40..].copy_from_slice(&nth.to_be_bytes());
    name
}

/// A snapshot: (order, digest).
pub(crate) fn snapshot_row(order_id: &str, digest: &[u8; 32]) -> Vec<u8> {
    [digest.as_slice(), order_id.as_bytes()].concat()
}

/// A kv entry: (installation, keyed digest of the key).
pub(crate) fn kv_row(installation: InstallationId, key_digest: &[u8; 32]) -> [u8; 40] {
    let mut name = [0; 40];
    name[..8].copy_from_slice(&installation.0.to_be_bytes());
    name[8..].copy_from_slice(key_digest);
    name
}
