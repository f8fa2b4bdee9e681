//! Hands the host one text of `bytes` bytes (setting; 16 MiB by default).
use fangshi_plugin::{Event, Order, Outcome, Pay, notes, on_pay, reject, setting};

on_pay!(hook);

fn hook(event: &Event, _: &Order, _: Pay) -> Outcome {
    let bytes = usize::try_from(setting::integer("bytes", 16 << 20)?).map_err(|_| reject("bytes"))?;
    notes::set_merchant_notes(&event.order_id(), &"x".repeat(bytes))?;
    Ok(())
}
