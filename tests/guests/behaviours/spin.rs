//! Never ends: fuel or the deadline must end it.
use fangshi_plugin::{Event, Order, Outcome, Pay, on_pay};

on_pay!(hook);

fn hook(_: &Event, _: &Order, _: Pay) -> Outcome {
    let mut rounds = 0_u64;
    loop {
        rounds = std::hint::black_box(rounds.wrapping_add(1));
    }
}
