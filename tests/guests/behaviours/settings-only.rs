//! The guest of the benchmark: one `settings.get` and nothing else.
use fangshi_plugin::{Event, Order, Outcome, Pay, on_pay, settings};

on_pay!(hook);

fn hook(_: &Event, _: &Order, _: Pay) -> Outcome {
    std::hint::black_box(settings::get("threshold"));
    Ok(())
}
