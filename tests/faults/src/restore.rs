//! A store is backed up under load, goes on, and is lost; the backup comes back. The platform pushes again what got no
//! answer, also what the lost store had committed and run: nothing is done twice, nothing of the backup is lost.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use fangshi_harness::{Figures, HostProcess, binary};

use crate::oracle::Found;
use crate::scene::{Mix, Scene, pause};

const GUESTS: [&str; 1] = ["ships-by-time"];
const SENDS: &str = "/channels/ec/order/delivery/send";
/// Looks at the host, one every 100 ms.
const PATIENCE: usize = 1_200;

pub fn run(rounds: usize, seed: u64, figures: &mut Figures) -> Result<()> {
    let load = Mix { still: 1_000, busy: 400 };
    let mut scene = Scene::new(seed, "")?;
    let mut host = HostProcess::start_again(scene.folder.path(), &[])?;
    scene.prepare_with(&host, &GUESTS)?;
    let mut pushed_again = 0;
    let backup = scene.folder.path().join("backup");
    for round in 0..rounds {
        // What is in the backup for certain, with runs that have just begun.
        scene.make(load)?;
        scene.push_all(&host)?;
        let certain = scene.acknowledged.len();
        // What comes while it is made, and after.
        scene.make(load)?;
        let mut answered = scene.waiting.clone();
        let pushing = scene.push(&host, false)?;
        let _ = std::fs::remove_file(&backup);
        fangshi(scene.folder.path(), &["backup", "--to", text(&backup)?])?;
        scene.pushed(pushing)?;
        scene.push_all(&host)?;
        scene.make(load)?;
        answered.extend(scene.waiting.iter().cloned());
        let before = sends(&scene);
        scene.push_all(&host)?;
        // Lost in the midst of its runs, and with effects of which the backup knows nothing.
        let looks = (0..PATIENCE).find(|_| {
            pause(100);
            sends(&scene) > before + load.busy / 2
        });
        looks.context("the runs have no effects")?;
        host.kill()?;
        std::fs::remove_dir_all(scene.data())?;

        // To the platform these answers were lost as well.
        scene.acknowledged.truncate(certain);
        pushed_again += answered.len();
        scene.waiting = answered;
        fangshi(scene.folder.path(), &["restore", "--from", text(&backup)?])?;
        host = HostProcess::start_again(scene.folder.path(), &[])?;
        // Half of it comes while the store is held.
        let rest = scene.waiting.split_off(scene.waiting.len() / 2);
        scene.sign_again()?;
        scene.push_all(&host)?;
        release(&scene)?;
        scene.waiting = rest;
        scene.sign_again()?;
        scene.push_all(&host)?;
        println!("round {}: {} pushed again", round + 1, pushed_again);
    }
    let drained = scene.drain(&host)?;
    host.terminate()?;

    let found = Found::judge(&scene.store(), &scene.platform.ledger(), &scene.acknowledged)?;
    found.tell(figures);
    figures.add("restores", rounds, "restores");
    figures.add("pushed_again", pushed_again, "callbacks");
    figures.add("drained_after_a_restore", drained.as_secs(), "s");
    ensure!(found.ended[0] > 0, "no run is done");
    found.hold(seed)
}

/// Ends the hold when the host has read again what it must.
fn release(scene: &Scene) -> Result<()> {
    for _ in 0..PATIENCE {
        if fangshi(scene.folder.path(), &["restore", "--release"]).is_ok() {
            return Ok(());
        }
        pause(100);
    }
    fangshi(scene.folder.path(), &["restore", "--release"])
}

fn sends(scene: &Scene) -> usize {
    scene.platform.ledger().calls.iter().filter(|call| call.path == SENDS && call.applied).count()
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

fn fangshi(folder: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new(binary("fangshi")?)
        .args(arguments)
        .arg("--config")
        .arg(folder.join("fangshi.toml"))
        .output()
        .context("starting the command")?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "fangshi {}: {told}", arguments.join(" "));
    Ok(())
}
