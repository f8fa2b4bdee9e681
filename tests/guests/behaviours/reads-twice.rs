//! Reads the order that it was given once more and changes nothing: a second installation beside one that does.
use fangshi_plugin::{Event, Order, Outcome, Pay, log, on_pay, orders};

on_pay!(hook);

fn hook(event: &Event, order: &Order, _: Pay) -> Outcome {
    let fresh = orders::get(&event.order_id())?;
    log!(Info, "same note {}", fresh.merchant_notes() == order.merchant_notes());
    Ok(())
}
