//! Calls `kv.get` for ever: the limit on host calls must end it.
use fangshi_plugin::{Event, Order, Outcome, Pay, kv, on_pay};

on_pay!(hook);

fn hook(_: &Event, _: &Order, _: Pay) -> Outcome {
    loop {
        kv::get("nothing")?;
    }
}
