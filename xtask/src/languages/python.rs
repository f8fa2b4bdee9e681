//! Python: componentize-py brings the interpreter and its library, 18 MB of a component.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::Workplace;
use crate::{
    guests::{Guest, digest},
    steps::{root, run},
};

pub fn build(folder: &Path) -> Result<Guest> {
    let work = Workplace::lay("python")?;
    Guest::current(folder, "python", &work.digest, |path| {
        let tool = tool(&work.folder.join("requirements.txt"))?;
        let mut command = Command::new(tool.join("bin/componentize-py"));
        command.args(["--quiet", "--wit-path", "wit", "--world", "plugin"]);
        command.args(["componentize", "app", "--python-path", ".", "--output"]).arg(path);
        command.env("PYTHONPATH", &tool).current_dir(&work.folder);
        run("component of Python", &mut command)
    })
}

/// The tool in a folder of its own, named by what was asked for; its wheel is held against the digests.
fn tool(requirements: &Path) -> Result<PathBuf> {
    let wanted = digest([fs::read(requirements)?.as_slice()]);
    let tool = root().join(format!("target/tools/python-{}", &wanted[..12]));
    let stamp = tool.join(".installed");
    if stamp.exists() {
        return Ok(tool);
    }
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]);
    pip.args(["--upgrade", "--require-hashes", "--only-binary", ":all:", "--target"]).arg(&tool).arg("--requirement");
    run("install the Python tool", pip.arg(requirements))
        .context("plugins in Python need Python 3.10 or later with pip (Debian: `apt-get install python3-pip`)")?;
    fs::write(stamp, "")?;
    Ok(tool)
}
