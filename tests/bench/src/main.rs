//! Figures of intake and runs, each as a ratio to a peer measured in the same run. `cargo xtask bench [ack|run]`.
#![allow(missing_docs, clippy::print_stdout)]

mod ack;
mod hello;
mod raw;
mod run;

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
        None => {
            ack::measure(&mut figures)?;
            run::measure(&mut figures)?;
        }
    }
    figures.print();
    Ok(())
}
