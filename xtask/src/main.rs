//! The workspace's chores: `cargo xtask NAME`. Each installs what it misses and says what it does.
#![cfg_attr(test, allow(clippy::unwrap_used))]
#![allow(clippy::print_stdout, reason = "a chore talks to the person who started it")]
use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

mod advisories;
mod browser;
mod deny;
mod guests;
mod languages;
mod packages;
mod run;
mod steps;
mod test;

/// A chore.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Chore {
    /// Builds every plugin and test guest as a component into target/guests.
    Guests,
    /// Builds a plugin in each other language with the language's own tool, and checks them in the runtime.
    Languages,
    /// Builds the plugin of one folder, as the guests are built.
    Plugin {
        /// What `fangshi plugin new` has made.
        folder: PathBuf,
        /// The component to write.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// Where cargo compiles, if not in the folder.
        #[arg(long, value_name = "FOLDER")]
        target_dir: Option<PathBuf>,
    },
    /// Everything that must hold: format, supply chain, lints, all tests, the demo's own check.
    Test,
    /// What is publicly known against the dependencies; says aloud when the database can't be reached, and ends well then.
    Advisories,
    /// Whole order lives on a fake platform, told step by step; --check ends by itself.
    #[command(disable_help_flag = true)]
    Demo(Rest),
    /// Figures, from optimised code: [NAME].
    #[command(disable_help_flag = true)]
    Bench(Rest),
    /// Kills and refusals, with the invariants checked afterwards: [NAME] [--full]; all in turn without a name.
    #[command(disable_help_flag = true)]
    Faults(Rest),
}

/// Arguments that the chore's own program reads.
#[derive(clap::Args)]
struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

fn main() -> Result<()> {
    match Chore::parse() {
        Chore::Guests => guests::build(),
        Chore::Languages => languages::languages(),
        Chore::Plugin { folder, to, target_dir } => guests::plugin(&folder, &to, target_dir.as_deref()),
        Chore::Test => test::test(),
        Chore::Advisories => advisories::advisories(),
        Chore::Demo(rest) => run::demo(&rest.arguments),
        Chore::Bench(rest) => run::bench(&rest.arguments),
        Chore::Faults(rest) => run::faults(&rest.arguments),
    }
}
