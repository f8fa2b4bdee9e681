//! Calls itself until the stack is used up.
use fangshi_plugin::{Event, Order, Outcome, Pay, on_pay, reject};

on_pay!(hook);

fn hook(_: &Event, _: &Order, _: Pay) -> Outcome {
    let depth = deeper(0);
    Err(reject(format!("came back from {depth}")))
}

#[allow(unconditional_recursion)]
fn deeper(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 8]);
    deeper(depth + 1).wrapping_add(here[(depth % 8) as usize])
}
