//! Figures of intake and runs, each as a ratio to a peer measured in the same run. `cargo xtask bench [ack|run|effect]`.
#![allow(missing_docs, clippy::print_stdout)]

mod ack;
mod effect;
mod hello;
mod raw;
mod run;
mod shop;

use anyhow::Result;
use clap::{Parser, Subcommand};
use fangshi_harness::Figures;

#[derive(Parser)]
#[command(about = "Fangshi's figures")]
struct Arguments {
    #[command(subcommand)]
    bench: Option<Bench>,
}

#[derive(Subcommand)]
enum Bench {
    /// Durable acknowledgements beside a bare handler.
    Ack,
    /// One fresh hook run beside a tuned raw call.
    Run,
    /// A run with one effect, from its durable event to its end, beside the bare call of the API and two durable commits.
    Effect,
    /// The bare handler that `ack` is measured against; started by `ack` itself.
    #[command(hide = true)]
    Hello,
}

fn main() -> Result<()> {
    let mut figures = Figures::default();
    match Arguments::parse().bench {
        Some(Bench::Hello) => return hello::serve(),
        Some(Bench::Ack) => ack::measure(&mut figures)?,
        Some(Bench::Run) => run::measure(&mut figures)?,
        Some(Bench::Effect) => effect::measure(&mut figures)?,
        None => {
            ack::measure(&mut figures)?;
            run::measure(&mut figures)?;
            effect::measure(&mut figures)?;
        }
    }
    figures.print();
    Ok(())
}
