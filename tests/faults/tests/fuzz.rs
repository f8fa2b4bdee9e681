//! A few inputs of strangers at every way in; `cargo xtask faults fuzz` brings many.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and prints its seed")]
use fangshi_faults::fuzz::{self, Budget};
use rand::SeedableRng;
use rand::rngs::StdRng;

#[tokio::test]
async fn cargo_fuzz_has_the_same_ways_in() {
    let manifest = include_str!("../../fuzz/Cargo.toml");
    let there: Vec<&str> =
        manifest.split("[[bin]]\nname = \"").skip(1).filter_map(|bin| bin.split('"').next()).collect();
    assert_eq!(there, fuzz::NAMES);
    let named: Vec<&str> = fuzz::targets().await.unwrap().iter().map(|target| target.name()).collect();
    assert_eq!(named, fuzz::NAMES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_input_is_the_hosts_undoing() {
    let seed: u64 = std::env::var("FANGSHI_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("FANGSHI_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for target in &mut fuzz::targets().await.unwrap() {
        let counts = fuzz::feed(&mut **target, Budget::Inputs(100), &mut random).await;
        println!("{} {counts:?}", target.name());
        assert_eq!((counts.inputs, counts.crashes), (100, 0), "{}", target.name());
    }
}
