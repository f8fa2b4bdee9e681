//! Notes a count that it takes from the note as it stands: an attempt that read a stale order would count wrongly.
use fangshi_plugin::{Event, Order, Outcome, Pay, notes, on_pay};

on_pay!(hook);

fn hook(event: &Event, order: &Order, _: Pay) -> Outcome {
    let count = order.merchant_notes().parse::<u32>().unwrap_or(0) + 1;
    notes::set_merchant_notes(&event.order_id(), &count.to_string())?;
    Ok(())
}
