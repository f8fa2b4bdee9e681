//! The host is killed (-9) again and again while callbacks come in, plugins run and effects are on their way. What was not
//! answered is pushed again, as the platform does; in the end the oracle judges.

use anyhow::{Result, ensure};
use fangshi_harness::{Figures, HostProcess};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::oracle::Found;
use crate::scene::{Mix, Scene, pause};

/// Of so many callbacks one has effects.
const BUSY_SHARE: usize = 10;

pub fn run(kills: usize, events: usize, seed: u64, figures: &mut Figures) -> Result<()> {
    let begun = std::time::Instant::now();
    let mut dice = StdRng::seed_from_u64(seed);
    let mut scene = Scene::new(seed, "")?;
    let mut host = HostProcess::start_again(scene.folder.path(), &[])?;
    scene.prepare(&host)?;

    let busy = events / kills / BUSY_SHARE / 2 * 2;
    let mix = Mix { still: events / kills - busy, busy };
    let mut in_intake = 0;
    for kill in 0..kills {
        scene.make(mix)?;
        let before = scene.acknowledged.len();
        // Every other kill falls into the intake, the rest into the runs that it left behind.
        if kill % 2 == 0 {
            let pushing = scene.push(&host, true)?;
            pause(dice.random_range(20..900));
            host = host.kill_and_restart()?;
            scene.pushed(pushing)?;
        } else {
            scene.push_all(&host)?;
            pause(dice.random_range(20..900));
            host = host.kill_and_restart()?;
        }
        in_intake += usize::from(!scene.waiting.is_empty());
        println!(
            "kill {}: {} acknowledged before it, {} to be pushed again",
            kill + 1,
            scene.acknowledged.len() - before,
            scene.waiting.len()
        );
    }
    scene.push_all(&host)?;
    let drained = scene.drain(&host)?;
    host.terminate()?;

    ensure!(scene.acknowledged.len() == scene.made, "{} made, {} acknowledged", scene.made, scene.acknowledged.len());
    let found = Found::judge(&scene.store(), &scene.platform.ledger(), &scene.acknowledged)?;
    found.tell(figures);
    figures.add("acknowledged", scene.acknowledged.len(), "callbacks");
    figures.add("kills", kills, "kills");
    figures.add("kills_in_intake", in_intake, "kills");
    figures.add("drain_after_the_last_kill", drained.as_secs(), "s");
    figures.add("crash_seconds", begun.elapsed().as_secs(), "s");
    ensure!(in_intake > 0, "no kill fell into the intake (seed {seed})");
    // The platform is well all the time: nothing but the kills can have parked a run.
    ensure!(found.ended[2] == 0, "{} runs are parked (seed {seed})", found.ended[2]);
    ensure!(found.attempts_resumed > 0, "no kill cut a run off (seed {seed})");
    found.hold(seed)
}
