//! Takes memory until there is none.
use fangshi_plugin::{Event, Order, Outcome, Pay, on_pay};

const PIECE: usize = 1 << 20;

on_pay!(hook);

fn hook(_: &Event, _: &Order, _: Pay) -> Outcome {
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    loop {
        pieces.push(std::hint::black_box(vec![1; PIECE]));
    }
}
