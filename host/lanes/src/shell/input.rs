//! What a guest is given at the start of an attempt: the same for a live one, a resume and a replay.

use std::sync::Arc;
use std::time::Duration;

use fangshi_journal::{AttemptStart, StoredEvent};
use fangshi_runtime::{Envelope, Limits, RunInput};
use fangshi_tenants::SettingsSchema;
use serde_json::Value;

use super::order::for_guest;
use crate::hook::detail_of;

/// An attempt that begins.
pub(crate) struct Begun<'a> {
    pub event: &'a StoredEvent,
    pub hook: &'a str,
    /// From 1.
    pub number: u32,
    pub start: &'a AttemptStart,
    /// What the version says about its settings: a version never changes, so every repetition reads the same defaults.
    pub schema: Option<&'a SettingsSchema>,
}

impl Begun<'_> {
    pub(crate) fn input(&self, limits: Limits, deadline: Duration) -> RunInput {
        let (event, start) = (self.event, self.start);
        let body: Value = serde_json::from_slice(&event.body).unwrap_or(Value::Null);
        RunInput {
            hook: self.hook.to_owned(),
            envelope: Envelope {
                id: event.seq.to_string(),
                source: event.source.code(),
                created_at: event.created_at,
                received_at: event.received_at.div_euclid(1_000),
                attempt: self.number,
                is_last_attempt: start.inputs.is_last,
                order_id: event.lane.order().to_owned(),
                raw: String::from_utf8_lossy(&event.body).into_owned(),
            },
            detail: detail_of(&body),
            order: start.snapshot.as_ref().map(for_guest),
            clock_ms: start.clock_ms,
            seed: start.inputs.seed,
            settings: match self.schema {
                Some(schema) => schema.with_defaults(&start.inputs.settings),
                None => Arc::clone(&start.inputs.settings),
            },
            grants: start.inputs.grants.clone(),
            limits,
            deadline,
        }
    }
}
