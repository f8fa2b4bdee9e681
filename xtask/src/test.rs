//! `cargo xtask test`: everything that must hold, in the order in which it fails fastest.
use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{
    browser, deny, guests, languages,
    steps::{cargo, root, run},
};

/// Format, supply chain, guests, lints, tests, and the demo that checks itself.
pub fn test() -> Result<()> {
    run("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    supply_chain()?;
    guests::build()?;
    languages::build()?;
    browser::ensure()?;
    let scripts = script_tests(&root().join("plugins"))?;
    run("JavaScript SDK", Command::new("node").arg("--test").args(scripts).current_dir(root()))?;
    run("lints", &mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
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
    let deny = deny::binary()?;
    run(
        "supply chain (bans, licences, sources)",
        Command::new(deny)
            .args(["--workspace", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"])
            .current_dir(root()),
    )
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
}
