//! Asks to be called again until attempt `until` (setting; never by default), after `after` seconds if that is set.
use fangshi_plugin::{Event, Failure, Order, Outcome, Pay, Retry, on_pay, setting};

on_pay!(hook);

fn hook(event: &Event, _: &Order, _: Pay) -> Outcome {
    if i64::from(event.attempt()) >= setting::integer("until", i64::MAX)? {
        return Ok(());
    }
    let after_seconds = u32::try_from(setting::integer("after", -1)?).ok();
    Err(Failure::RetryLater(Retry { reason: format!("attempt {}", event.attempt()), after_seconds }))
}
