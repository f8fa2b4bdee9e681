//! Gives up for good.
use fangshi_plugin::{Event, Order, Outcome, Pay, on_pay, reject};

on_pay!(hook);

fn hook(_: &Event, _: &Order, _: Pay) -> Outcome {
    Err(reject("not for this shop"))
}
