//! The disk of the store is full and then has room again: callbacks are refused meanwhile, never acknowledged and lost; the
//! process stays up and goes on by itself.
//!
//! The disk is a small tmpfs, so this needs the right to mount one.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fangshi_harness::{Figures, HostProcess};

use crate::oracle::Found;
use crate::scene::{Mix, Scene, pause};

/// Room for a whole log (96 MiB before it is brought back) beside the store.
const MEGABYTES: u32 = 256;
/// Callbacks of one load.
const LOAD: Mix = Mix { still: 1_800, busy: 200 };
/// How many of them until one is refused: the log has room of its own on a full disk, as much as it once grew to.
const LOADS: usize = 60;
/// What the host may take to acknowledge again, and how often it is asked.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn run(rounds: usize, seed: u64, figures: &mut Figures) -> Result<()> {
    let mut scene = Scene::new(seed, "")?;
    let disk = Disk::mount(&scene.data())?;
    let host = HostProcess::start_again(scene.folder.path(), &[])?;
    scene.prepare(&host)?;
    scene.make(LOAD)?;
    scene.push_all(&host)?;

    let (mut refused, mut accepted) = (0, 0);
    let mut slowest = Duration::ZERO;
    for round in 0..rounds {
        let ballast = disk.fill()?;
        let mut loads = 0;
        while scene.waiting.is_empty() {
            ensure!(loads < LOADS, "the disk was not full: every callback was acknowledged");
            loads += 1;
            scene.make(LOAD)?;
            let pushing = scene.push(&host, false)?;
            let report = scene.pushed(pushing)?;
            ensure!(report.answers.iter().all(Option::is_some), "a callback got no answer while the disk was full");
            refused += scene.waiting.len();
            accepted += report.accepted();
        }
        // Runs meet the full disk too.
        pause(1_000);
        let health = scene.runtime.block_on(host.admin().get("/healthz"));
        health.context("the host does not answer while the disk is full")?;

        fs::remove_file(ballast)?;
        let freed = Instant::now();
        loop {
            let pushing = scene.push(&host, false)?;
            if scene.pushed(pushing)?.accepted() > 0 {
                break;
            }
            ensure!(freed.elapsed() < PATIENCE, "the host does not recover");
            pause(50);
        }
        slowest = slowest.max(freed.elapsed());
        scene.push_all(&host)?;
        println!("round {}: {refused} refused and {accepted} acknowledged so far while the disk was full", round + 1);
    }
    let drained = scene.drain(&host)?;
    let code = host.terminate()?;
    ensure!(code == Some(0), "the host ended with {code:?}");

    let found = Found::judge(&scene.store(), &scene.platform.ledger(), &scene.acknowledged)?;
    found.tell(figures);
    figures.add("refused_while_full", refused, "callbacks");
    figures.add("acknowledged_while_full", accepted, "callbacks");
    figures.add("recovered_after", slowest.as_millis(), "ms");
    figures.add("drained_after_a_full_disk", drained.as_secs(), "s");
    found.hold(seed)?;
    ensure!(slowest <= Duration::from_secs(10), "it took {slowest:?} from free space to the first acknowledgement");
    Ok(())
}

/// A tmpfs, unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(place: &Path) -> Result<Disk> {
        fs::create_dir_all(place)?;
        let size = format!("size={MEGABYTES}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(place).status()?;
        ensure!(mounted.success(), "a tmpfs can't be mounted: run as root, with the right to mount");
        Ok(Disk(place.to_owned()))
    }

    /// Takes all the room that is left; gives the file to remove.
    fn fill(&self) -> Result<PathBuf> {
        let path = self.0.join("ballast");
        let mut file = fs::File::create(&path)?;
        for size in [1 << 20, 4 << 10] {
            let block = vec![0; size];
            while file.write_all(&block).is_ok() {}
        }
        Ok(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the host may still hold its files.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
