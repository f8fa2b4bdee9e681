//! JavaScript with the larger engine: componentize-js brings SpiderMonkey, 12 MB of a component.
//!
//! The package asks for a version of jco that brings two further engines, and each of these the whole again. The one named by
//! the overrides of `package.json` does for the two steps that are wanted of it.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::Workplace;
use crate::{
    guests::{Guest, javascript},
    steps::{root, run},
};

pub fn build(folder: &Path) -> Result<Guest> {
    // Both import WASI's HTTP, which a plugin has none of.
    component(folder, "spidermonkey", &["http", "fetch-event"])
}

/// The same with the engine's own HTTP: what an upload must be refused for.
pub fn build_with_network(folder: &Path) -> Result<Guest> {
    component(folder, "spidermonkey-network", &["fetch-event"])
}

fn component(folder: &Path, name: &str, without: &[&str]) -> Result<Guest> {
    let work = Workplace::lay("spidermonkey")?;
    Guest::current(folder, name, &work.digest, |path| {
        let mut command = Command::new("node");
        command.arg(tool(&work.folder)?.join("node_modules/@bytecodealliance/componentize-js/src/cli.js"));
        command.args(["guest.js", "--wit", "wit", "--world-name", "plugin", "--out"]).arg(path);
        command.arg("--disable").args(without).current_dir(&work.folder);
        run(&format!("component of JavaScript, {name}"), &mut command)
    })
}

fn tool(work: &Path) -> Result<PathBuf> {
    let tool = root().join("target/tools/spidermonkey");
    fs::create_dir_all(&tool)?;
    for name in ["package.json", "package-lock.json"] {
        fs::copy(work.join(name), tool.join(name)).context(name)?;
    }
    javascript::install(&tool)?;
    Ok(tool)
}
