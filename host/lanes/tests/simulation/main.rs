//! The decisions of lanes over a model of the journal, by seeds: tasks interleave at every commit, commits are refused, lost
//! or cut off by a kill, a loss of power undoes those that are not synced yet, requests outlive their senders, callbacks of our
//! own effects come back, others come late or never and are found by reading orders, and the store is lost and put back from a
//! backup. Safety is checked on the way (I1 to I4 of the design), then the backlog must drain (I6). The model itself, and what
//! it takes for synced, is held against the real journal by the same sequences of writes.
//!
//! No wall-clock time and no threads: a seed repeats exactly. `FANGSHI_SEED=n` plays one alone, `FANGSHI_SEEDS=n` so many.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking and prints its seeds"
)]

mod attempt;
mod change;
mod dice;
mod disaster;
mod drain;
mod guest;
mod look;
mod model;
mod oracle;
mod power;
mod pushes;
mod reconciling;
mod replay;
#[path = "../rig/mod.rs"]
mod rig;
mod shop;
mod world;
mod write;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use world::{FAULTS, Plan, play};

/// The seeds to play: one from the environment, or so many from a drawn one on.
fn seeds(count: u64) -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds = match number("FANGSHI_SEED") {
        Some(seed) => vec![seed],
        None => {
            let base: u64 = rand::random::<u32>().into();
            (base..base + number("FANGSHI_SEEDS").unwrap_or(count)).collect()
        }
    };
    println!("seeds from {} on, {} of them", seeds[0], seeds.len());
    seeds
}

fn for_each(count: u64, test: impl Fn(u64)) {
    for seed in seeds(count) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(seed))) {
            println!("failed with FANGSHI_SEED={seed}");
            resume_unwind(panic);
        }
    }
}

#[test]
fn safety_holds_and_the_backlog_drains_whatever_fails() {
    for_each(2_000, |seed| drop(play(seed, Plan::Drawn)));
}

/// Every commit of a seed fails once, in every way.
#[test]
fn safety_holds_and_the_backlog_drains_with_the_nth_commit_failing() {
    for_each(8, |seed| {
        for fault in FAULTS {
            let mut nth = 1;
            while play(seed, Plan::Nth(nth, fault)).commits >= nth {
                nth += 1;
            }
        }
    });
}

#[test]
fn a_seed_repeats_exactly() {
    for_each(20, |seed| {
        let [one, two] = [0; 2].map(|_| format!("{:?}", replay::words(&play(seed, Plan::Drawn))));
        assert_eq!(one, two);
    });
}

#[test]
fn the_model_answers_as_the_journal_does() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for_each(8, |seed| {
        let played = play(seed, Plan::Drawn);
        runtime.block_on(replay::replay(&played));
    });
}
