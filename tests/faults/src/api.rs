//! The platform fails in one way after another while callbacks come in. The intake must not notice, and what was held up must
//! go through when the platform is well again.

use std::time::Duration;

use anyhow::Result;
use fangshi_harness::{Figures, HostProcess, load};
use fangshi_platform::{Fault, Target};

use crate::oracle::Found;
use crate::scene::{Mix, Scene, pause};

/// Ways to fail: a name, the fault, and how many calls meet it at most.
fn modes() -> [(&'static str, Fault, u64); 12] {
    let many = u64::MAX;
    [
        ("refusing", Fault::Errcode { code: 48_001 }, many),
        ("busy", Fault::Errcode { code: -1 }, many),
        ("limiting", Fault::Errcode { code: 100_003 }, many),
        ("hanging_before", Fault::hang(false), many),
        ("hanging_after", Fault::hang(true), many),
        ("resetting_before", Fault::Reset { applied: false }, many),
        ("resetting_after", Fault::Reset { applied: true }, many),
        ("resetting_in_the_body", Fault::ResetInBody, many),
        ("trickling", Fault::Trickle { every_ms: 100 }, many),
        ("status_503", Fault::Status { status: 503 }, many),
        ("broken_json", Fault::BrokenJson, many),
        // Each answer is made and thrown away on this machine too.
        ("50_megabytes", Fault::Huge { bytes: 50 << 20 }, 20),
    ]
}

/// Half of the events have effects.
const MIX_SHARE: usize = 2;

pub fn run(events: usize, seed: u64, figures: &mut Figures) -> Result<()> {
    let mut scene = Scene::new(seed, "")?;
    let host = HostProcess::start_again(scene.folder.path(), &[])?;
    scene.prepare(&host)?;
    // The first load warms everything up and counts for nothing.
    intake(&mut scene, &host, events)?;
    scene.drain(&host)?;

    let (mut healthy, mut failing) = (Vec::new(), Vec::new());
    let mut longest = Duration::ZERO;
    for (name, fault, times) in modes() {
        // One after the other, so that both meet the same machine.
        let well = intake(&mut scene, &host, events)?;
        scene.drain(&host)?;
        scene.platform.fail_next(Target::default(), times, fault);
        let ill = intake(&mut scene, &host, events)?;
        // The fault goes on while runs are at work.
        pause(500);
        scene.platform.heal();
        let drained = scene.drain(&host)?;
        longest = longest.max(drained);
        println!(
            "{name}: intake p99 {:?}, healthy {:?}; drained {} s after healing",
            ill.percentile(0.99),
            well.percentile(0.99),
            drained.as_secs()
        );
        healthy.extend(well.latencies);
        failing.extend(ill.latencies);
    }
    host.terminate()?;

    let found = Found::judge(&scene.store(), &scene.platform.ledger(), &scene.acknowledged)?;
    found.tell(figures);
    let (healthy, failing) = (p99(healthy), p99(failing));
    figures.add("fault_modes", modes().len(), "modes");
    figures.add("intake_p99_healthy", healthy.as_micros(), "us");
    figures.add("intake_p99_failing", failing.as_micros(), "us");
    figures.add("intake_p99_ratio", format!("{:.2}", failing.as_secs_f64() / healthy.as_secs_f64()), "ratio");
    figures.add("drain_after_healing_longest", longest.as_secs(), "s");
    found.hold(seed)
}

fn intake(scene: &mut Scene, host: &HostProcess, events: usize) -> Result<load::Report> {
    let busy = events / MIX_SHARE;
    scene.make(Mix { still: events - busy, busy })?;
    let pushing = scene.push(host, false)?;
    let report = scene.pushed(pushing)?;
    scene.push_all(host)?;
    Ok(report)
}

fn p99(mut latencies: Vec<Duration>) -> Duration {
    latencies.sort_unstable();
    latencies.get(latencies.len() * 99 / 100).copied().unwrap_or_default()
}
