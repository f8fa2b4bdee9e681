//! Sets a note and, if that is refused, sets it once more at once; in the first attempt it panics afterwards.
use fangshi_plugin::{Event, Order, Outcome, Pay, log, notes, on_pay};

on_pay!(hook);

fn hook(event: &Event, _: &Order, _: Pay) -> Outcome {
    let set = || notes::set_merchant_notes(&event.order_id(), "insisted");
    let refused = set().is_err();
    log!(Info, "refused {refused}");
    if refused {
        set()?;
    }
    if event.attempt() == 1 {
        panic!("after the effect");
    }
    Ok(())
}
