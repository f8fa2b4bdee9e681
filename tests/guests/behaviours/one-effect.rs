//! The guest of the benchmark of effects: it sets a note, reads nothing, and is done.
use fangshi_plugin::{Event, Order, Outcome, Pay, notes, on_pay};

on_pay!(hook);

fn hook(event: &Event, _: &Order, _: Pay) -> Outcome {
    notes::set_merchant_notes(&event.order_id(), "packed")?;
    Ok(())
}
