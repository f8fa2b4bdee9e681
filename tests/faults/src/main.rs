//! Faults, with the invariants of the design page checked afterwards: `cargo xtask faults [NAME] [--full] [--seed N]`.
#![allow(missing_docs, clippy::print_stdout)]

mod all;
mod api;
mod clock;
mod coverage;
mod crash;
mod custody;
mod disk;
mod fairness;
mod fuzzing;
mod given_up;
mod oracle;
mod receiver;
mod reconcile;
mod restore;
mod scene;
mod walls;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use fangshi_harness::Figures;

#[derive(Parser)]
#[command(
    name = "cargo xtask faults",
    bin_name = "cargo xtask faults",
    about = "Fangshi's fault tests: what fails, and what must hold all the same",
    long_about = "Fangshi's fault tests: what fails, and what must hold all the same.\n\nAfter each, one oracle holds the \
                  store and the fake platform's ledger against what was acknowledged: acknowledged_lost, \
                  unsafe_effects_doubled and lane_order_broken must be 0; outcome_unknown counts the effects of which \
                  nobody can tell. Results are the last lines, `figure NAME VALUE UNIT`.\n\nWithout a name all run in turn, each \
                  in a process of its own, also after one that failed; what several of them count is summed."
)]
struct Arguments {
    #[command(subcommand)]
    fault: Option<Fault>,
    /// The long form.
    #[arg(long, global = true)]
    full: bool,
    /// Seed of everything random; printed, so that a failure can be repeated.
    #[arg(long, global = true)]
    seed: Option<u64>,
    /// Rounds of `custody`, instead of 500 (2000 with --full); hostile runs of `walls`, instead of 10,000.
    #[arg(long, global = true)]
    rounds: Option<usize>,
}

#[derive(Subcommand)]
enum Fault {
    /// Kills (-9) in intake, in runs and in effects: 20 kills over 20,000 events (--full: 200 over 100,000). Figures of the
    /// oracle; kills_in_intake: kills that left callbacks unanswered; attempts_resumed: runs that a kill cut off; crash_seconds.
    Crash,
    /// The platform fails in 14 ways, 500 events each (--full: 2,000), for some shops in every call, for others in one kind of
    /// effect: refusing calls or connections, busy, busy though it did what was asked, limiting, hanging and resetting before
    /// and after it did, trickling, 503, broken JSON, 50 MB. intake_p99_ratio: intake under faults over the healthy intake right
    /// before, of the worst way, at most 1.5 (the best of up to three tries of each way: a loaded machine has a say).
    /// given_up_without_cause: runs that were parked or rejected though the platform was well again, and left no effect of
    /// theirs in doubt, must be 0; effects_that_met_a_fault; drain_after_healing_longest.
    Api,
    /// The disk of the store is full and then has room again (3 rounds; --full: 30): callbacks get no 2xx, the process stays
    /// up. recovered_after: from free space to the first acknowledgement, at most 10,000 ms. Needs the right to mount a tmpfs.
    Disk,
    /// The host's wall clock jumps by up to 40 days, forward and back, under load and between kills (1 round of 8 jumps;
    /// --full: 20). alerts_after_a_wrong_clock: of a run that was parked while the clock was ahead, must be 1.
    Clock,
    /// A store is backed up under load, goes on, and is lost; the backup comes back and the platform pushes again what got no
    /// answer (1 round; --full: 10). unsafe_effects_doubled: sent by the lost store and by the restored one, must be 0.
    Restore,
    /// Pushes are lost, doubled and late: every plugin sees every change once.
    Reconcile,
    /// Three processes demand the same expired token, with kills around the platform's call: no refresh is lost or doubled.
    Custody,
    /// Hostile plugins: guests_contained of guests_tried; rss_growth_percent over 10,000 runs (--full: 50,000), at most 5;
    /// neighbour_p99_ratio: a neighbour's p99 beside hostile runs at their cap over that alone, median of 3, at most 1.5;
    /// neighbour_p99_ratio_host_work: the same where these burn no fuel and have the host work.
    Walls,
    /// Ten tenants that all wait: jain_equal, at least 0.95; jain_flood with one that offers nine tenths, at least 0.9; with one
    /// that burns fuel in each run and one that has the host work, jain_beside_burning of the eight others, at least 0.95, and
    /// burning_turns, the runs of these two over those of two others, at most 0.2.
    Fairness,
    /// Inputs of strangers, none as it should be, at every way in: 60 s each (--full: until there were a million in all, and at
    /// least 60 s each). With cargo-fuzz and a nightly compiler they are chosen by coverage, else at random; it says which.
    /// fuzz_crashes must be 0.
    Fuzz {
        /// Seconds for each way in, instead.
        #[arg(long)]
        seconds: Option<u64>,
    },
}

impl Arguments {
    /// What is passed on to each test when all are run.
    fn of_all(&self, seed: u64) -> Vec<String> {
        let mut arguments = vec!["--seed".to_owned(), seed.to_string()];
        arguments.extend(self.full.then(|| "--full".to_owned()));
        arguments.extend(self.rounds.into_iter().flat_map(|rounds| ["--rounds".to_owned(), rounds.to_string()]));
        arguments
    }
}

/// Every test, in the order in which they are named above.
fn names() -> Vec<String> {
    let names = Arguments::command().get_subcommands().map(|test| test.get_name().to_owned()).collect::<Vec<_>>();
    names.into_iter().filter(|name| name != "help").collect()
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(rand::random);
    println!("seed {seed}");
    let mut figures = Figures::default();
    let of = |short: usize, long: usize| if arguments.full { long } else { short };
    let outcome = match arguments.fault {
        None => all::run(&names(), &arguments.of_all(seed), &mut figures),
        Some(Fault::Crash) => crash::run(of(20, 200), of(20_000, 100_000), seed, &mut figures),
        // With more there would be more codes in an hour than an installation may send.
        Some(Fault::Api) => api::run(of(500, 2_000), seed, &mut figures),
        Some(Fault::Disk) => disk::run(of(3, 30), seed, &mut figures),
        Some(Fault::Clock) => clock::run(of(1, 20), seed, &mut figures),
        Some(Fault::Restore) => restore::run(of(1, 10), seed, &mut figures),
        Some(Fault::Reconcile) => reconcile::run(seed, &mut figures),
        Some(Fault::Custody) => custody::run(arguments.rounds.unwrap_or(of(500, 2_000)), seed, &mut figures),
        Some(Fault::Walls) => walls::run(arguments.rounds.unwrap_or(of(10_000, 50_000)), of(200, 2_000), &mut figures),
        Some(Fault::Fairness) => fairness::run(of(2_000, 20_000) as u64, &mut figures),
        Some(Fault::Fuzz { seconds }) => fuzzing::run(seconds, arguments.full, seed, &mut figures),
    };
    // Also of a test that failed: what was found is what one wants to see.
    figures.print();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_name_no_test_is_left_out() {
        let parsed = Arguments::parse_from(["faults", "--full", "--rounds", "7"]);
        assert!(parsed.fault.is_none());
        let all = ["crash", "api", "disk", "clock", "restore", "reconcile", "custody", "walls", "fairness", "fuzz"];
        assert_eq!(names(), all);
        for name in names() {
            let passed = [vec!["faults".to_owned(), name.clone()], parsed.of_all(5)].concat();
            let each = Arguments::parse_from(passed);
            assert!(each.fault.is_some() && each.full, "{name}");
            assert_eq!((each.seed, each.rounds), (Some(5), Some(7)), "{name}");
        }
    }
}
