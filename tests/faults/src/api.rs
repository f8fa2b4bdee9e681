//! The platform fails in one way after another while callbacks come in. The intake must not notice, and what was held up must
//! go through when the platform is well again: nothing of it is parked, and a plugin gives up for an effect in doubt alone.

use std::time::Duration;

use anyhow::{Result, ensure};
use fangshi_harness::{Figures, HostProcess, load};
use fangshi_platform::{Fault, Ledger};

use crate::given_up::{self, Leaves};
use crate::oracle::Found;
use crate::scene::{Mix, Scene, pause};

/// A way to fail.
struct Mode {
    name: &'static str,
    /// None: connections are refused.
    fault: Option<Fault>,
    /// How many calls of a shop meet it at most.
    times: u64,
    leaves: Leaves,
}

fn modes() -> Vec<Mode> {
    let many = u64::MAX;
    let all = [
        ("refusing", Fault::Errcode { code: 48_001 }, many),
        ("busy", Fault::Errcode { code: -1 }, many),
        ("busy_and_done", Fault::ErrcodeApplied { code: -1 }, many),
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
        ("50_megabytes", Fault::Huge { bytes: 50 << 20 }, 2),
    ];
    let leaves = |name| match name {
        "refusing" => Leaves::Refusal,
        "limiting" => Leaves::Nothing,
        _ => Leaves::Doubt,
    };
    let of = |(name, fault, times)| Mode { name, fault: Some(fault), times, leaves: leaves(name) };
    let shut = Mode { name: "refusing_connections", fault: None, times: many, leaves: Leaves::Nothing };
    all.into_iter().map(of).chain([shut]).collect()
}

/// What the intake under a fault may cost, as a ratio to the healthy intake right before.
const MOST: f64 = 1.5;
/// A loaded machine may spoil a try or two of each way.
const TRIES: usize = 3;

/// Half of the events have effects.
const MIX_SHARE: usize = 2;

/// What was seen over all ways.
#[derive(Default)]
struct Seen {
    /// Of the worst way, the best of its tries.
    ratio: f64,
    longest: Duration,
    effects_met: usize,
    /// Ways that no effect met.
    unmet: Vec<&'static str>,
    without_cause: usize,
}

pub fn run(events: usize, seed: u64, figures: &mut Figures) -> Result<()> {
    let mut scene = Scene::new(seed, "")?;
    let host = HostProcess::start_again(scene.folder.path(), &[])?;
    scene.prepare(&host)?;
    // The first load warms everything up and counts for nothing.
    intake(&mut scene, &host, events)?;
    scene.drain(&host)?;

    let mut seen = Seen::default();
    for mode in modes() {
        let mut best = f64::INFINITY;
        for _ in 0..TRIES {
            best = best.min(once(&mut scene, &host, &mode, events, &mut seen)?);
            if best <= MOST {
                break;
            }
            println!("{}: the ratio is {best:.2} so far: once more", mode.name);
        }
        seen.ratio = seen.ratio.max(best);
    }
    host.terminate()?;

    let found = Found::judge(&scene.store(), &scene.platform.ledger(), &scene.acknowledged)?;
    found.tell(figures);
    figures.add("fault_modes", modes().len(), "modes");
    figures.add("intake_p99_ratio", format!("{:.2}", seen.ratio), "ratio");
    figures.add("drain_after_healing_longest", seen.longest.as_secs(), "s");
    figures.add("effects_that_met_a_fault", seen.effects_met, "effects");
    figures.add("given_up_without_cause", seen.without_cause, "runs");
    found.hold(seed)?;
    ensure!(seen.unmet.is_empty(), "no effect met {} (seed {seed})", seen.unmet.join(", "));
    ensure!(seen.without_cause == 0, "{} runs were given up without a cause (seed {seed})", seen.without_cause);
    ensure!(seen.ratio <= MOST, "a fault of the platform slows the intake: {:.2} (seed {seed})", seen.ratio);
    Ok(())
}

/// One way once; gives the ratio of the intakes.
fn once(scene: &mut Scene, host: &HostProcess, mode: &Mode, events: usize, seen: &mut Seen) -> Result<f64> {
    let name = mode.name;
    let start = given_up::newest_event(&scene.store())?;
    // One after the other, so that both meet the same machine.
    let well = intake(scene, host, events)?;
    scene.drain(host)?;
    let mut without = given_up::without_cause(&scene.store(), start, Leaves::Nothing, &Ledger::default())?;
    let (before, (calls, pushes)) = (given_up::newest_event(&scene.store())?, scene.platform.ledger_len());
    match &mode.fault {
        Some(fault) => scene.fail(fault, mode.times),
        None => scene.platform.refuse_connections(),
    }
    let ill = intake(scene, host, events)?;
    // The fault goes on while runs are at work.
    pause(500);
    scene.platform.heal();
    let drained = scene.drain(host)?;
    seen.longest = seen.longest.max(drained);
    let (well, ill) = (well.percentile(0.99), ill.percentile(0.99));

    let ledger = scene.platform.ledger_after(calls, pushes);
    let met = given_up::effects_met(&ledger);
    without.extend(given_up::without_cause(&scene.store(), before, mode.leaves, &ledger)?);
    println!(
        "{name}: intake p99 {ill:?}, healthy {well:?}; {met} effects met it; drained {} s after healing",
        drained.as_secs()
    );
    for told in without.iter().take(5) {
        println!("{name}: without a cause {told}");
    }
    // Where there is no connection an order can't be read, and no effect is sent.
    if met == 0 && mode.fault.is_some() {
        seen.unmet.push(name);
    }
    seen.effects_met += met;
    seen.without_cause += without.len();
    Ok(ill.as_secs_f64() / well.as_secs_f64())
}

fn intake(scene: &mut Scene, host: &HostProcess, events: usize) -> Result<load::Report> {
    let busy = events / MIX_SHARE;
    scene.make(Mix { still: events - busy, busy })?;
    let pushing = scene.push(host, false)?;
    let report = scene.pushed(pushing)?;
    scene.push_all(host)?;
    Ok(report)
}
