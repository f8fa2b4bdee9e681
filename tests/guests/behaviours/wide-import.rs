//! Wants the clear address whatever the merchant approved, and logs which grant it lacked. Never logs an address.
use fangshi_plugin::{Error, Event, Order, Outcome, Pay, decode, log, on_pay};

on_pay!(hook);

fn hook(event: &Event, _: &Order, _: Pay) -> Outcome {
    match decode::sensitive_info(&event.order_id()) {
        Err(Error::Denied(grant)) => log!(Warning, "denied: {grant}"),
        other => {
            other?;
            log!(Info, "allowed");
        }
    }
    Ok(())
}
