//! The platform fails in one way after another while callbacks come in. The intake must not notice, and what was held up must
//! go through when the platform is well again.

use std::time::Duration;

use anyhow::{Result, ensure};
use fangshi_harness::{Figures, HostProcess, load};
use fangshi_platform::{Fault, Target};

use crate::oracle::Found;
use crate::scene::{Mix, Scene, pause};

/// Ways to fail: a name, the fault (none: connections are refused), and how many calls meet it at most.
fn modes() -> Vec<(&'static str, Option<Fault>, u64)> {
    let many = u64::MAX;
    let all = [
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
    ];
    let of = |(name, fault, times)| (name, Some(fault), times);
    all.into_iter().map(of).chain([("refusing_connections", None, many)]).collect()
}

/// What the intake under a fault may cost, as a ratio to the healthy intake right before.
const MOST: f64 = 1.5;
/// A loaded machine may spoil a try or two.
const TRIES: usize = 3;

/// Half of the events have effects.
const MIX_SHARE: usize = 2;

pub fn run(events: usize, seed: u64, figures: &mut Figures) -> Result<()> {
    let mut scene = Scene::new(seed, "")?;
    let host = HostProcess::start_again(scene.folder.path(), &[])?;
    scene.prepare(&host)?;
    // The first load warms everything up and counts for nothing.
    intake(&mut scene, &host, events)?;
    scene.drain(&host)?;

    let mut longest = Duration::ZERO;
    let mut ratio = f64::INFINITY;
    for _ in 0..TRIES {
        let mut ratios = Vec::new();
        for (name, fault, times) in modes() {
            // One after the other, so that both meet the same machine.
            let well = intake(&mut scene, &host, events)?;
            scene.drain(&host)?;
            match fault {
                Some(fault) => scene.platform.fail_next(Target::default(), times, fault),
                None => scene.platform.refuse_connections(),
            }
            let ill = intake(&mut scene, &host, events)?;
            // The fault goes on while runs are at work.
            pause(500);
            scene.platform.heal();
            let drained = scene.drain(&host)?;
            longest = longest.max(drained);
            let (well, ill) = (well.percentile(0.99), ill.percentile(0.99));
            println!("{name}: intake p99 {ill:?}, healthy {well:?}; drained {} s after healing", drained.as_secs());
            ratios.push(ill.as_secs_f64() / well.as_secs_f64());
        }
        ratios.sort_by(f64::total_cmp);
        ratio = ratio.min(ratios[ratios.len() / 2]);
        if ratio <= MOST {
            break;
        }
        println!("the median of the ratios is {ratio:.2}: once more");
    }
    host.terminate()?;

    let found = Found::judge(&scene.store(), &scene.platform.ledger(), &scene.acknowledged)?;
    found.tell(figures);
    figures.add("fault_modes", modes().len(), "modes");
    figures.add("intake_p99_ratio", format!("{ratio:.2}"), "ratio");
    figures.add("drain_after_healing_longest", longest.as_secs(), "s");
    found.hold(seed)?;
    ensure!(ratio <= MOST, "faults of the platform slow the intake: {ratio:.2} (seed {seed})");
    Ok(())
}

fn intake(scene: &mut Scene, host: &HostProcess, events: usize) -> Result<load::Report> {
    let busy = events / MIX_SHARE;
    scene.make(Mix { still: events - busy, busy })?;
    let pushing = scene.push(host, false)?;
    let report = scene.pushed(pushing)?;
    scene.push_all(host)?;
    Ok(report)
}
