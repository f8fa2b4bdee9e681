//! Logs all that could differ between two executions: the clock and random numbers.
use fangshi_plugin::{Event, Order, Outcome, Pay, clock, log, on_pay, random};

on_pay!(hook);

fn hook(event: &Event, _: &Order, _: Pay) -> Outcome {
    log!(Info, "attempt {} now {} {}", event.attempt(), clock::now(), clock::millisecond());
    log!(Info, "random {:?} {} {}", random::bytes(16), random::next(), random::next());
    log!(Info, "now {} {}", clock::now(), clock::millisecond());
    // A NaN whose bits the processor chooses must look the same everywhere.
    let nan = std::hint::black_box(0.0_f64) / std::hint::black_box(0.0_f64);
    log!(Info, "nan {:016x}", nan.to_bits());
    Ok(())
}
