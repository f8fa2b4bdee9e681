//! Packages of the system, where a chore can't do without: said aloud, and never without need.
use std::process::Command;

use anyhow::{Context, Result};

use crate::steps::run;

/// Installs Debian's packages of these names. `otherwise` is for whoever can't: what to do by hand.
pub fn install(what: &str, names: &[&str], otherwise: &str) -> Result<()> {
    let apt = || Command::new("apt-get");
    run("package lists", apt().args(["update", "-qq"])).context(otherwise.to_owned())?;
    let title = format!("install {what} for the whole system: {}", names.join(" "));
    let mut installing = apt();
    installing.env("DEBIAN_FRONTEND", "noninteractive").args(["install", "-qq", "-y", "--no-install-recommends"]);
    run(&title, installing.args(names)).context(otherwise.to_owned())
}
