//! `[reconcile]`: how changes are found whose callback was lost.

use std::time::Duration;

use fangshi_reconcile::{FullPassAt, ReconcileConfig};

use super::keys;
use super::reader::{Found, Reader};

/// `None`: it is off.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<ReconcileConfig> {
    let mut read = ReconcileConfig::default();
    if let Some(Found { value, line }) = reader.text(&keys::RECONCILE_FULL_PASS_AT) {
        match FullPassAt::parse(&value) {
            Some(at) => read.full_pass_at = at,
            None => reader.wrong(&keys::RECONCILE_FULL_PASS_AT, line, &format!("\"{value}\"")),
        }
    }
    if let Some(seconds) = reader.number(&keys::RECONCILE_INTERVAL) {
        read.interval = Duration::from_secs(seconds);
    }
    if let Some(seconds) = reader.number(&keys::RECONCILE_GRACE) {
        read.grace = Duration::from_secs(seconds);
    }
    if let Some(days) = reader.number(&keys::RECONCILE_FULL_DAYS) {
        read.full_days = days as u32;
    }
    if let Some(calls) = reader.number(&keys::RECONCILE_CALLS) {
        read.calls_per_minute = calls as u32;
    }
    if let Some(calls) = reader.number(&keys::RECONCILE_CALLS_A_DAY) {
        read.calls_per_day = calls as u32;
    }
    match reader.text(&keys::RECONCILE_STATE) {
        Some(Found { value, .. }) if value == "off" => None,
        Some(Found { value, line }) if value != "on" => {
            reader.wrong(&keys::RECONCILE_STATE, line, &format!("\"{value}\""));
            None
        }
        _ => Some(read),
    }
}
