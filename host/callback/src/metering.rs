//! The room's metrics. Labels are codes of ours, never text that came with a request.

use std::time::Instant;

use metrics::{Counter, Histogram, counter, describe_counter, describe_histogram, histogram};

const EVENTS: &str = "fangshi_callback_events_total";
const REFUSALS: &str = "fangshi_callback_refusals_total";
const UNBOUND: &str = "fangshi_callback_unbound_total";
const SECONDS: &str = "fangshi_callback_seconds";

fn describe() {
    describe_counter!(EVENTS, "Callbacks made durable, by whether the event was new or a duplicate.");
    describe_counter!(REFUSALS, "Callbacks refused, by code.");
    describe_counter!(UNBOUND, "Events taken of tenants that have no user_name to compare ToUserName with.");
    describe_histogram!(SECONDS, metrics::Unit::Seconds, "From a callback's head to its answer.");
}

/// What every callback moves, looked up once.
pub(crate) struct Meters {
    new: Counter,
    duplicate: Counter,
    seconds: Histogram,
}

impl Meters {
    pub(crate) fn new() -> Meters {
        describe();
        Meters {
            new: counter!(EVENTS, "kind" => "new"),
            duplicate: counter!(EVENTS, "kind" => "duplicate"),
            seconds: histogram!(SECONDS),
        }
    }

    pub(crate) fn recorded(&self, duplicate: bool) {
        if duplicate { &self.duplicate } else { &self.new }.increment(1);
    }

    pub(crate) fn answered(&self, started: Instant) {
        self.seconds.record(started.elapsed());
    }
}

pub(crate) fn refused(code: &'static str) {
    counter!(REFUSALS, "code" => code).increment(1);
}

pub(crate) fn unbound() {
    counter!(UNBOUND).increment(1);
}
