//! Every way in, fed for a while: by cargo-fuzz where it is, else by the changes of this room.
use std::time::Duration;

use anyhow::{Result, ensure};
use fangshi_faults::fuzz::{self, Budget, Counts};
use fangshi_harness::Figures;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::coverage::CargoFuzz;

const SECONDS: u64 = 60;
/// Inputs of the long form, in all.
const MANY: u64 = 1_000_000;

/// `seconds` for each target; in the long form again and again until there were a million inputs.
pub fn run(seconds: Option<u64>, full: bool, seed: u64, figures: &mut Figures) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let each = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let (mut random, mut all) = (StdRng::seed_from_u64(seed), Counts::default());
    let cargo_fuzz = ready();
    runtime.block_on(async {
        let mut targets = fuzz::targets().await?;
        for round in 0.. {
            for target in &mut targets {
                let counts = match &cargo_fuzz {
                    Some(tool) => tool.feed(target.name(), &target.seeds(), each, seed.wrapping_add(round))?,
                    None => fuzz::feed(&mut **target, Budget::Time(each), &mut random).await,
                };
                println!("{:<20} {:>9} inputs, {} crashes", target.name(), counts.inputs, counts.crashes);
                all.inputs += counts.inputs;
                all.crashes += counts.crashes;
            }
            if !full || all.inputs >= MANY || all.crashes > 0 {
                break;
            }
        }
        anyhow::Ok(())
    })?;
    figures.add("fuzz_inputs", all.inputs, "inputs");
    figures.add("fuzz_crashes", all.crashes, "crashes");
    ensure!(all.crashes == 0, "{} inputs were the host's undoing; the same seed repeats them", all.crashes);
    Ok(())
}

/// cargo-fuzz with its ways in, if it can be had; says aloud which it is.
fn ready() -> Option<CargoFuzz> {
    let built = CargoFuzz::find().and_then(|tool| tool.build().map(|()| tool));
    match built {
        Ok(tool) => {
            println!("{}: inputs are chosen by coverage", tool.versions);
            Some(tool)
        }
        Err(why) => {
            println!("{why:#}: inputs are true ones with random changes, and no coverage is measured");
            None
        }
    }
}
