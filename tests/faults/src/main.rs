//! Faults, with the invariants of the design page checked afterwards. `cargo xtask faults [crash|custody|reconcile] [--full]`.
#![allow(missing_docs, clippy::print_stdout)]

mod crash;
mod custody;
mod reconcile;

use anyhow::Result;
use clap::{Parser, Subcommand};
use fangshi_harness::Figures;

#[derive(Parser)]
#[command(about = "Fangshi's fault tests")]
struct Arguments {
    #[command(subcommand)]
    fault: Option<Fault>,
    /// The long form.
    #[arg(long, global = true)]
    full: bool,
    /// Seed of everything random; printed, so that a failure can be repeated.
    #[arg(long, global = true)]
    seed: Option<u64>,
    /// Rounds of `custody`, instead of 500 (2000 with --full).
    #[arg(long, global = true)]
    rounds: Option<usize>,
}

#[derive(Subcommand)]
enum Fault {
    /// Kills (-9) under load: no acknowledged event may be lost or doubled.
    Crash,
    /// Three processes demand the same expired token, with kills around the platform's call: no refresh is lost or doubled.
    Custody,
    /// Pushes are lost, doubled and late: every plugin sees every change once.
    Reconcile,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(rand::random);
    println!("seed {seed}");
    let mut figures = Figures::default();
    match arguments.fault {
        None | Some(Fault::Crash) => {
            let kills = if arguments.full { 100 } else { 10 };
            crash::run(kills, seed, &mut figures)?;
        }
        Some(Fault::Custody) => {
            let rounds = arguments.rounds.unwrap_or(if arguments.full { 2_000 } else { 500 });
            custody::run(rounds, seed, &mut figures)?;
        }
        Some(Fault::Reconcile) => reconcile::run(seed, &mut figures)?,
    }
    figures.print();
    Ok(())
}
