//! Guests in JavaScript: `plugins/sdk/js` makes a component of each folder that has a `plugin.js`.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{Guest, component, digest};
use crate::steps::{root, run};

/// Builds all of them into `folder`.
pub fn build(folder: &Path) -> Result<Vec<Guest>> {
    let tool = root().join("plugins/sdk/js");
    install(&tool)?;
    let mut guests = Vec::new();
    for (name, source) in sources()? {
        let mut inputs = Vec::new();
        for place in [&source, &tool, &root().join("wit")] {
            read_tree(place, &mut inputs)?;
        }
        let source_digest = digest(inputs.iter().map(Vec::as_slice).chain([component::RECIPE.as_bytes()]));
        guests.push(Guest::current(folder, &name, &source_digest, |path| snapshot(&tool, &source, path))?);
    }
    Ok(guests)
}

/// Builds the plugin of a folder of its own, with the SDK that lies in it.
pub fn build_one(folder: &Path, to: &Path) -> Result<()> {
    let tool = folder.join("fangshi/plugins/sdk/js");
    install(&tool)?;
    snapshot(&tool, folder, to)
}

fn snapshot(tool: &Path, source: &Path, to: &Path) -> Result<()> {
    let mut command = Command::new("node");
    command.arg(tool.join("build.js")).arg(source.join("plugin.js")).arg(to);
    let output = command.output().context("node can't be started")?;
    if !output.status.success() {
        bail!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// `npm ci`, unless what is there came from the present lock file.
pub(crate) fn install(tool: &Path) -> Result<()> {
    let lock = fs::read(tool.join("package-lock.json"))?;
    let stamp = tool.join("node_modules/.installed");
    let wanted = digest([lock.as_slice()]);
    if fs::read_to_string(&stamp).ok().as_deref() == Some(&wanted) {
        return Ok(());
    }
    run(
        "install the JavaScript tool",
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(tool),
    )
    .context("plugins in JavaScript need Node.js 20 or later with npm")?;
    fs::write(stamp, wanted)?;
    Ok(())
}

/// Names and folders of the guests.
fn sources() -> Result<Vec<(String, PathBuf)>> {
    let mut found = vec![("template-javascript".to_owned(), root().join("plugins/templates/javascript"))];
    for parent in ["plugins/examples", "tests/guests"] {
        for entry in fs::read_dir(root().join(parent))? {
            let path = entry?.path();
            if path.join("plugin.js").exists() {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                found.push((name, path));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a component depends on this file.
fn is_input(path: &Path) -> bool {
    let name = path.to_string_lossy();
    !name.ends_with(".md") && !name.ends_with(".test.js")
}

/// Paths and contents of the inputs below `place`, in order; installed packages are named by the lock file.
fn read_tree(place: &Path, into: &mut Vec<Vec<u8>>) -> Result<()> {
    let mut entries: Vec<PathBuf> = fs::read_dir(place)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            if !path.ends_with("node_modules") {
                read_tree(&path, into)?;
            }
        } else if is_input(&path) {
            into.push(path.strip_prefix(root())?.to_string_lossy().into_owned().into_bytes());
            into.push(fs::read(&path)?);
        }
    }
    Ok(())
}
