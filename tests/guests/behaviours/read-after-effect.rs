//! Sets a note, reads the order afresh, and logs what both views say: the handed order stays, the fresh one has the note.
use fangshi_plugin::{Event, Order, Outcome, Pay, log, notes, on_pay, orders};

on_pay!(hook);

fn hook(event: &Event, order: &Order, _: Pay) -> Outcome {
    let before = order.merchant_notes();
    notes::set_merchant_notes(&event.order_id(), "fresh")?;
    let fresh = orders::get(&event.order_id())?;
    log!(Info, "same id {}", fresh.id() == order.id());
    log!(Info, "handed unchanged {}", order.merchant_notes() == before);
    log!(Info, "fresh has the note {}", fresh.merchant_notes() == "fresh");
    Ok(())
}
