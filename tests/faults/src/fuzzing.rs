//! Every way in, fed for a while.
use std::time::Duration;

use anyhow::{Result, ensure};
use fangshi_faults::fuzz::{self, Budget, Counts};
use fangshi_harness::Figures;
use rand::SeedableRng;
use rand::rngs::StdRng;

const SECONDS: u64 = 60;
/// Inputs of the long form, in all.
const MANY: u64 = 1_000_000;

/// `seconds` for each target; in the long form again and again until there were a million inputs.
pub fn run(seconds: Option<u64>, full: bool, seed: u64, figures: &mut Figures) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let each = Budget::Time(Duration::from_secs(seconds.unwrap_or(SECONDS)));
    let (mut random, mut all) = (StdRng::seed_from_u64(seed), Counts::default());
    runtime.block_on(async {
        let mut targets = fuzz::targets().await?;
        loop {
            for target in &mut targets {
                let counts = fuzz::feed(&mut **target, each, &mut random).await;
                println!("{:<20} {:>9} inputs, {} crashes", target.name(), counts.inputs, counts.crashes);
                all.inputs += counts.inputs;
                all.crashes += counts.crashes;
            }
            if !full || all.inputs >= MANY || all.crashes > 0 {
                return anyhow::Ok(());
            }
        }
    })?;
    figures.add("fuzz_inputs", all.inputs, "inputs");
    figures.add("fuzz_crashes", all.crashes, "crashes");
    ensure!(all.crashes == 0, "{} inputs were the host's undoing; the same seed repeats them", all.crashes);
    Ok(())
}
