//! The host's clock jumps, forward and back, while callbacks come in and runs are at work. A library preloaded into the host
//! adds an offset to the wall clock; the platform's pushes follow it, as if everybody's clock had been wrong before.

use anyhow::{Result, ensure};
use fangshi_harness::{Figures, HostClock, HostProcess};

use crate::oracle::Found;
use crate::scene::{Mix, Scene, pause};

/// Jumps in seconds, one after the other.
const JUMPS: [i64; 8] = [60, -3_600, 86_400, -86_400, 7_200, -30, 40 * 86_400, -40 * 86_400];
const LOAD: Mix = Mix { still: 400, busy: 100 };

pub fn run(rounds: usize, seed: u64, figures: &mut Figures) -> Result<()> {
    let mut scene = Scene::new(seed, "")?;
    let clock = HostClock::new(scene.folder.path())?;
    let mut host = HostProcess::start_again(scene.folder.path(), &clock.settings())?;
    scene.prepare(&host)?;
    let mut restarts = 0;
    for round in 0..rounds {
        for (number, jump) in JUMPS.into_iter().enumerate() {
            scene.make(LOAD)?;
            let pushing = scene.push(&host, false)?;
            pause(100);
            scene.ahead_s += jump;
            clock.set(scene.ahead_s)?;
            scene.pushed(pushing)?;
            // The platform pushes one every ten minutes; the last is days old now, or was given days from now.
            scene.give_ticket(&host)?;
            // What was signed before the jump is too old or too new now: the platform signs anew.
            scene.sign_again()?;
            scene.push_all(&host)?;
            // Some jumps happen while nobody runs.
            if number % 3 == 2 {
                host = host.kill_and_restart()?;
                restarts += 1;
            }
        }
        println!("round {}: {} acknowledged", round + 1, scene.acknowledged.len());
    }
    let drained = scene.drain(&host)?;
    host.terminate()?;

    ensure!(scene.acknowledged.len() == scene.made, "{} made, {} acknowledged", scene.made, scene.acknowledged.len());
    let found = Found::judge(&scene.store(), &scene.platform.ledger(), &scene.acknowledged)?;
    found.tell(figures);
    figures.add("clock_jumps", rounds * JUMPS.len(), "jumps");
    figures.add("restarts", restarts, "restarts");
    figures.add("drained_after", drained.as_secs(), "s");
    found.hold(seed)
}
