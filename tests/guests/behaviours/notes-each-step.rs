//! Sets a note that names the hook, at each step of an order until it is to be shipped.
use fangshi_plugin::{Event, Outcome, notes, on_new, on_pay, on_wait_shipping};

on_new!(|event, _| told(event, "on-new"));
on_pay!(|event, _, _| told(event, "on-pay"));
on_wait_shipping!(|event, _| told(event, "on-wait-shipping"));

fn told(event: &Event, hook: &str) -> Outcome {
    notes::set_merchant_notes(&event.order_id(), hook)?;
    Ok(())
}
