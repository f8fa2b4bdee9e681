//! Guests in Rust: one cargo build for all, then a component of each module.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Guest, component, digest, toolchain::Toolchain};
use crate::steps::root;

/// Builds all of them into `folder`.
pub fn build(folder: &Path) -> Result<Vec<Guest>> {
    let mut command = Toolchain::find()?.build();
    command.args(["--message-format", "json-render-diagnostics", "--lib", "--examples", "-p", "fangshi-guests"]);
    for package in examples()? {
        command.args(["-p", &package]);
    }
    let output = command.stderr(Stdio::inherit()).output().context("cargo can't be started")?;
    if !output.status.success() {
        bail!("building the guests failed: {command:?}");
    }
    let mut guests = Vec::new();
    for (name, path) in modules(&String::from_utf8(output.stdout)?)? {
        let module = fs::read(&path).with_context(|| path.display().to_string())?;
        let source = digest([module.as_slice(), component::RECIPE.as_bytes()]);
        guests.push(Guest::current(folder, &name, &source, |path| component::write(&module, path))?);
    }
    Ok(guests)
}

/// Packages of `plugins/examples`: each folder with a `Cargo.toml` is one of its own name.
fn examples() -> Result<Vec<String>> {
    let mut packages = Vec::new();
    for entry in fs::read_dir(root().join("plugins/examples"))? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").exists() {
            packages.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    packages.sort();
    Ok(packages)
}

/// Names and files of the modules in cargo's messages.
fn modules(messages: &str) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for line in messages.lines().filter(|line| line.starts_with('{')) {
        let message: Value = serde_json::from_str(line)?;
        if message["reason"] != "compiler-artifact" {
            continue;
        }
        let files = message["filenames"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let name = message["target"]["name"].as_str().unwrap_or_default().replace('_', "-");
        found.extend(files.filter(|file| file.ends_with(".wasm")).map(|file| (name.clone(), PathBuf::from(file))));
    }
    Ok(found)
}
