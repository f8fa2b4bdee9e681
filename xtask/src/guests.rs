//! `cargo xtask guests`: every plugin of `plugins/examples`, the templates, and every guest of `tests/guests` as a component,
//! `target/guests/NAME.wasm`. What has not changed since the last time is left alone.
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::steps::root;

pub(crate) mod component;
pub(crate) mod javascript;
mod rust;
mod toolchain;

/// Builds what is missing or has changed, and removes what has no source any more.
pub fn build() -> Result<()> {
    let begun = Instant::now();
    println!("── guests");
    let folder = root().join("target/guests");
    fs::create_dir_all(&folder)?;
    let mut made = rust::build(&folder)?;
    made.append(&mut javascript::build(&folder)?);
    made.sort_by(|one, other| one.name.cmp(&other.name));
    for guest in &made {
        guest.tell();
    }
    let names: BTreeSet<&str> = made.iter().map(|guest| guest.name.as_str()).collect();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.file_stem().and_then(|stem| stem.to_str()).is_none_or(|stem| !names.contains(stem)) {
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    println!("── guests: ok, {} in {}, {} s", made.len(), folder.display(), begun.elapsed().as_secs());
    Ok(())
}

/// Builds the plugin of a folder (`fangshi plugin new` makes such) into a file, in the way of the guests.
pub fn plugin(folder: &Path, to: &Path, target: Option<&Path>) -> Result<()> {
    match folder.join("Cargo.toml").exists() {
        true => rust::build_one(folder, to, target)?,
        false => javascript::build_one(folder, to)?,
    }
    println!("── {}: {}", to.display(), component::read(to)?);
    Ok(())
}

/// One guest as it lies in its folder.
pub(crate) struct Guest {
    name: String,
    path: PathBuf,
    /// Whether it was made this time.
    fresh: bool,
}

impl Guest {
    /// The guest `name`, made anew by `make` if `source` (a digest of all that goes in) has changed.
    pub(crate) fn current(
        folder: &Path,
        name: &str,
        source: &str,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Guest> {
        let path = folder.join(format!("{name}.wasm"));
        let stamp = folder.join(format!("{name}.stamp"));
        let fresh = !path.exists() || fs::read_to_string(&stamp).ok().as_deref() != Some(source);
        if fresh {
            make(&path).with_context(|| format!("making {name}.wasm"))?;
            fs::write(&stamp, source)?;
        }
        Ok(Guest { name: name.to_owned(), path, fresh })
    }

    /// One line: name, size, hooks, grants.
    fn tell(&self) {
        let kind = component::read(&self.path).unwrap_or_else(|error| format!("{error:#}"));
        println!("{}  {kind}", self.size());
    }

    /// Name and size, and whether it is new.
    pub(crate) fn size(&self) -> String {
        let size = fs::metadata(&self.path).map(|file| file.len()).unwrap_or_default();
        let state = if self.fresh { "made" } else { "unchanged" };
        format!("   {:<22} {:>8.1} KiB  {state:<9}", self.name, size as f64 / 1024.0)
    }
}

/// A digest over `parts`, as text.
pub(crate) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}
