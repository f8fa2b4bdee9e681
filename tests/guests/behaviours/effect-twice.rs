//! Sets the same note twice: two effects with one request, the first and the second of their kind.
use fangshi_plugin::{Event, Order, Outcome, Pay, notes, on_pay, setting};

on_pay!(hook);

fn hook(event: &Event, _: &Order, _: Pay) -> Outcome {
    let text = setting::text("note", "twice");
    notes::set_merchant_notes(&event.order_id(), &text)?;
    notes::set_merchant_notes(&event.order_id(), &text)?;
    Ok(())
}
