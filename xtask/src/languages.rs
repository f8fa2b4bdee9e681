//! `cargo xtask languages`: one small plugin in each language beside Rust, against our WIT, each built with the language's own
//! tool into `target/languages/NAME.wasm` and checked in the runtime. The one with QuickJS is among the guests, since that is
//! the JavaScript of the SDK.
use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result};

use crate::{
    guests::{self, digest},
    steps::{cargo, root, run},
};

mod c;
mod python;
mod spidermonkey;

/// Builds what is missing or has changed, and runs the checks.
pub fn languages() -> Result<()> {
    guests::build()?;
    build()?;
    let mut checks = cargo(&["test", "--workspace", "--exclude", "fangshi-guests", "--test", "languages"]);
    run("languages in the runtime", checks.args(["--", "--nocapture", "--test-threads", "1"]))
}

/// Builds what is missing or has changed.
pub fn build() -> Result<()> {
    let begun = Instant::now();
    println!("── languages");
    let folder = root().join("target/languages");
    fs::create_dir_all(&folder)?;
    for make in [c::build, python::build, spidermonkey::build, spidermonkey::build_with_network] {
        println!("{}", make(&folder)?.size());
    }
    println!("── languages: ok, in {}, {} s", folder.display(), begun.elapsed().as_secs());
    Ok(())
}

/// A folder to build one guest in: a copy of its sources, and in `wit` the world that all of these guests share.
struct Workplace {
    folder: PathBuf,
    /// Of all that lies in it.
    digest: String,
}

impl Workplace {
    /// Lays out what `tests/guests/NAME` holds, anew.
    fn lay(name: &str) -> Result<Workplace> {
        let folder = root().join("target/languages/work").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        let mut inputs = Vec::new();
        for (from, to) in [
            (format!("tests/guests/{name}"), ""),
            ("tests/guests/languages.wit".to_owned(), "wit/languages.wit"),
            ("wit/host".to_owned(), "wit/deps/host"),
            ("wit/store".to_owned(), "wit/deps/store"),
        ] {
            copy(&root().join(from), &folder.join(to), &mut inputs)?;
        }
        Ok(Workplace { digest: digest(inputs.iter().map(Vec::as_slice)), folder })
    }
}

/// Copies a file or a folder; its names and contents are appended in order.
fn copy(from: &Path, to: &Path, inputs: &mut Vec<Vec<u8>>) -> Result<()> {
    if !from.is_dir() {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(from, to).with_context(|| from.display().to_string())?;
        inputs.push(to.file_name().unwrap_or_default().as_encoded_bytes().to_vec());
        inputs.push(fs::read(to)?);
        return Ok(());
    }
    let entries = fs::read_dir(from).with_context(|| from.display().to_string())?;
    let mut names: Vec<_> = entries.map(|entry| Ok(entry?.file_name())).collect::<Result<_>>()?;
    names.sort();
    for name in names {
        copy(&from.join(&name), &to.join(&name), inputs)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_and_name_of_a_guest_counts() {
        let folder = tempfile::tempdir().unwrap();
        let laid = |name: &str, text: &str| {
            let (from, to) = (folder.path().join("from"), folder.path().join("to"));
            fs::create_dir_all(from.join("inner")).unwrap();
            fs::write(from.join("inner").join(name), text).unwrap();
            let mut inputs = Vec::new();
            copy(&from, &to, &mut inputs).unwrap();
            assert_eq!(fs::read_to_string(to.join("inner").join(name)).unwrap(), text);
            fs::remove_dir_all(from).unwrap();
            digest(inputs.iter().map(Vec::as_slice))
        };
        let one = laid("a.py", "1");
        assert_eq!(one, laid("a.py", "1"));
        assert_ne!(one, laid("a.py", "2"));
        assert_ne!(one, laid("b.py", "1"));
    }
}
