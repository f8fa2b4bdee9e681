//! Writes `lines` lines of 1 KiB (setting; 100,000 by default).
use fangshi_plugin::{Event, Level, Order, Outcome, Pay, log, on_pay, setting};

on_pay!(hook);

fn hook(_: &Event, _: &Order, _: Pay) -> Outcome {
    let line = "x".repeat(1_024);
    for _ in 0..setting::integer("lines", 100_000)? {
        log::write(Level::Info as u32, &line);
    }
    Ok(())
}
