//! The commands that show the main job and its figures: demo, bench, faults. All build the whole workspace: a choice of packages
//! would choose features too, and compile the engine once more.
use std::process::Command;

use anyhow::Result;

use crate::{
    guests,
    steps::{cargo, root, run},
};

/// `cargo xtask demo [--check]`: whole order lives on a fake platform, told step by step.
pub fn demo(arguments: &[String]) -> Result<()> {
    guests::build()?;
    run("build", &mut cargo(&["build", "--workspace", "--bins"]))?;
    program("demo", "debug", "fangshi-demo", arguments)
}

/// `cargo xtask bench [NAME]`: figures, from optimised code.
pub fn bench(arguments: &[String]) -> Result<()> {
    guests::build()?;
    run("build", &mut cargo(&["build", "--release", "--workspace", "--bins"]))?;
    program("bench", "release", "fangshi-bench", arguments)
}

/// `cargo xtask faults [NAME] [--full]`: what fails, and what must hold all the same.
pub fn faults(arguments: &[String]) -> Result<()> {
    guests::build()?;
    run("build", &mut cargo(&["build", "--workspace", "--bins"]))?;
    program("faults", "debug", "fangshi-faults", arguments)
}

fn program(title: &str, profile: &str, name: &str, arguments: &[String]) -> Result<()> {
    let path = root().join("target").join(profile).join(name);
    let status = Command::new(path).args(arguments).current_dir(root()).status()?;
    anyhow::ensure!(status.success(), "{title} ended with {status}");
    Ok(())
}
