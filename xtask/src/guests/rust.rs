//! Guests in Rust: one cargo build for all, then a component of each module.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    Guest,
    component::{self, Imports},
    digest,
    toolchain::Toolchain,
};
use crate::steps::root;

/// Builds all of them into `folder`.
pub fn build(folder: &Path) -> Result<Vec<Guest>> {
    let mut command = Toolchain::find()?.build("guest");
    command.args(["--message-format", "json-render-diagnostics", "--lib", "--examples", "-p", "fangshi-guests"]);
    for package in packages()? {
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
        guests.push(Guest::current(folder, &name, &source, |path| component::write(&module, Imports::Contract, path))?);
    }
    Ok(guests)
}

/// Builds the plugin of a folder of its own; compiled in `target`, if not there.
pub fn build_one(folder: &Path, to: &Path, target: Option<&Path>) -> Result<()> {
    let mut command = Toolchain::find()?.build("release");
    if let Some(target) = target {
        command.arg("--target-dir").arg(target);
    }
    command.current_dir(folder).args(["--message-format", "json-render-diagnostics", "--lib"]);
    let output = command.stderr(Stdio::inherit()).output().context("cargo can't be started")?;
    if !output.status.success() {
        bail!("building {} failed: {command:?}", folder.display());
    }
    match modules(&String::from_utf8(output.stdout)?)?.as_slice() {
        [(_, path)] => {
            let module = fs::read(path).with_context(|| path.display().to_string())?;
            component::write(&module, Imports::Contract, to)
        }
        others => bail!("{}: one module is expected, and cargo made {}", folder.display(), others.len()),
    }
}

/// The template's package, and those of `plugins/examples`: each folder with a `Cargo.toml` is one of its own name.
fn packages() -> Result<Vec<String>> {
    let mut packages = vec!["template-rust".to_owned()];
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
