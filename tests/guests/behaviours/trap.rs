//! Panics, which is a trap.
use fangshi_plugin::{Event, Order, Outcome, Pay, on_pay};

on_pay!(hook);

fn hook(_: &Event, _: &Order, _: Pay) -> Outcome {
    panic!("this guest always panics")
}
