//! Logs what `kv` holds, adds to it, and panics in the first attempt: what was written then must be gone.
use fangshi_plugin::{Event, Order, Outcome, Pay, kv, log, on_pay};

on_pay!(hook);

fn hook(event: &Event, _: &Order, _: Pay) -> Outcome {
    let held = kv::get("seen")?.unwrap_or_default();
    log!(Info, "held {:?}", String::from_utf8_lossy(&held));
    kv::set("seen", format!("{}{};", String::from_utf8_lossy(&held), event.attempt()).as_bytes())?;
    if event.attempt() == 1 {
        panic!("after the write");
    }
    Ok(())
}
