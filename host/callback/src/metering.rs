//! The room's metrics. Labels are codes of ours, never text that came with a request.

use std::time::Instant;

use metrics::{counter, describe_counter, describe_histogram, histogram};

const EVENTS: &str = "fangshi_callback_events_total";
const REFUSALS: &str = "fangshi_callback_refusals_total";
const UNBOUND: &str = "fangshi_callback_unbound_total";
const SECONDS: &str = "fangshi_callback_seconds";

pub(crate) fn describe() {
    describe_counter!(EVENTS, "Callbacks made durable, by whether the event was new or a duplicate.");
    describe_counter!(REFUSALS, "Callbacks refused, by code.");
    describe_counter!(UNBOUND, "Events taken of tenants that have no user_name to compare ToUserName with.");
    describe_histogram!(SECONDS, metrics::Unit::Seconds, "From a callback's head to its answer.");
}

pub(crate) fn recorded(duplicate: bool) {
    let kind = if duplicate { "duplicate" } else { "new" };
    counter!(EVENTS, "kind" => kind).increment(1);
}

pub(crate) fn refused(code: &'static str) {
    counter!(REFUSALS, "code" => code).increment(1);
}

pub(crate) fn unbound() {
    counter!(UNBOUND).increment(1);
}

pub(crate) fn answered(started: Instant) {
    histogram!(SECONDS).record(started.elapsed());
}
