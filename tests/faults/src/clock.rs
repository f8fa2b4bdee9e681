//! The host's clock jumps, forward and back, while callbacks come in and runs are at work. A library preloaded into the host
//! adds an offset to the wall clock; the platform's pushes follow it, as if everybody's clock had been wrong before. In the end
//! a run is parked while the clock is ahead and nobody takes alerts, and the operator must hear of it after it was set back.

use anyhow::{Result, ensure};
use fangshi_harness::{Figures, HostClock, HostProcess};
use serde_json::Value;

use crate::oracle::Found;
use crate::receiver::Receiver;
use crate::scene::{Mix, Scene, pause};

/// Jumps in seconds, one after the other.
const JUMPS: [i64; 8] = [60, -3_600, 86_400, -86_400, 7_200, -30, 40 * 86_400, -40 * 86_400];
const LOAD: Mix = Mix { still: 400, busy: 100 };
/// How far the clock is ahead when the run is parked, seconds.
const AHEAD_S: i64 = 40 * 86_400;
/// Looks for an alert, one every 100 ms, before it counts as never sent.
const PATIENCE: usize = 600;

pub fn run(rounds: usize, seed: u64, figures: &mut Figures) -> Result<()> {
    let receiver = Receiver::start()?;
    let mut scene = Scene::new(seed, &format!("\n[alerts]\nwebhook_url = \"{}\"\n", receiver.url))?;
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
    let taken = alert_of_a_wrong_clock(&mut scene, &host, &clock, &receiver)?;
    let drained = scene.drain(&host)?;
    host.terminate()?;

    ensure!(scene.acknowledged.len() == scene.made, "{} made, {} acknowledged", scene.made, scene.acknowledged.len());
    let found = Found::judge(&scene.store(), &scene.platform.ledger(), &scene.acknowledged)?;
    found.tell(figures);
    figures.add("clock_jumps", rounds * JUMPS.len(), "jumps");
    figures.add("restarts", restarts, "restarts");
    figures.add("alerts_after_a_wrong_clock", taken, "alerts");
    figures.add("drained_after_clock_jumps", drained.as_secs(), "s");
    ensure!(taken == 1, "an alert that was raised while the clock was ahead was not sent after it was set back");
    found.hold(seed)
}

/// A run is parked while the clock is ahead and the receiver refuses; then the clock is right again and the receiver takes
/// alerts. Gives how many told of that run.
fn alert_of_a_wrong_clock(
    scene: &mut Scene,
    host: &HostProcess,
    clock: &HostClock,
    receiver: &Receiver,
) -> Result<usize> {
    let tenant = scene.add_parking(host)?;
    let parked = |alert: &Value| alert["kind"] == "run-parked" && alert["tenant"] == *tenant;
    let right_s = scene.ahead_s;
    receiver.refuse(true);
    set(scene, host, clock, right_s + AHEAD_S)?;
    scene.make_parking()?;
    scene.push_all(host)?;
    ensure!(wait(|| receiver.refused(parked) > 0), "nobody was told of the parked run");
    set(scene, host, clock, right_s)?;
    receiver.refuse(false);
    wait(|| receiver.taken(parked) > 0);
    Ok(receiver.taken(parked))
}

/// The host's clock is so far ahead from now on; a ticket comes by it.
fn set(scene: &mut Scene, host: &HostProcess, clock: &HostClock, ahead_s: i64) -> Result<()> {
    scene.ahead_s = ahead_s;
    clock.set(ahead_s)?;
    scene.give_ticket(host)
}

/// Whether it comes true in time.
fn wait(mut is: impl FnMut() -> bool) -> bool {
    for _ in 0..PATIENCE {
        if is() {
            return true;
        }
        pause(100);
    }
    false
}
