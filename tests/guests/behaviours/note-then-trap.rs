//! Sets a note and then panics in the first attempt; the second sets the same note and ends well.
use fangshi_plugin::{Event, Order, Outcome, Pay, notes, on_pay, setting};

on_pay!(hook);

fn hook(event: &Event, _: &Order, _: Pay) -> Outcome {
    notes::set_merchant_notes(&event.order_id(), &setting::text("note", "kept"))?;
    if event.attempt() == 1 {
        panic!("after the effect");
    }
    Ok(())
}
