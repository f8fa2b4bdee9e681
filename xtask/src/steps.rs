//! Running one step of a chore: its title is printed before, its time after, and a failure names the command.
use std::{process::Command, time::Instant};

use anyhow::{Context, Result, bail};

/// Prints `title`, runs `command` with its output shown, and fails when it fails.
pub fn run(title: &str, command: &mut Command) -> Result<()> {
    println!("── {title}");
    let begun = Instant::now();
    let status = command.status().with_context(|| format!("{title}: {command:?} can't be started"))?;
    if !status.success() {
        bail!("{title} failed: {command:?} ended with {status}");
    }
    println!("── {title}: ok, {} s", begun.elapsed().as_secs());
    Ok(())
}

/// A cargo command in the workspace's root, with the cargo that runs this chore.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// The workspace's root.
pub fn root() -> std::path::PathBuf {
    let mut path = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path
}
