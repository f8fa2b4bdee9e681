//! The Rust target that plugins are built for, installed if it is missing.
use std::{path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::{
    packages,
    steps::{cargo, run},
};

/// What plugins are built for.
pub const TARGET: &str = "wasm32-unknown-unknown";
/// Plugins need little stack; the default MiB would be memory to reset in every run.
const FLAGS: &str = "-C link-arg=-zstack-size=65536";

/// The environment's choice: `own` or `debian`. Without one, the first that works.
const CHOICE: &str = "FANGSHI_GUEST_TOOLCHAIN";

/// Debian's compiler.
const COMPILER: &str = "/usr/bin/rustc";

/// Which compiler builds the guests.
pub enum Toolchain {
    /// The workspace's own, with the target's library.
    Own,
    /// Debian's, which brings the library as source.
    Debian,
}

impl Toolchain {
    /// Finds one or installs it.
    pub fn find() -> Result<Toolchain> {
        match std::env::var(CHOICE).as_deref() {
            Ok("own") => {
                Toolchain::own().with_context(|| format!("{TARGET} is missing: run `rustup target add {TARGET}`"))
            }
            Ok("debian") => Toolchain::debian(),
            Ok(other) => bail!("{CHOICE}={other}: expected own or debian"),
            Err(_) => Toolchain::own().map_or_else(Toolchain::debian, Ok),
        }
    }

    fn own() -> Option<Toolchain> {
        let there = has_library() || {
            let added = run(&format!("install {TARGET}"), Command::new("rustup").args(["target", "add", TARGET]));
            added.is_ok() && has_library()
        };
        there.then_some(Toolchain::Own)
    }

    fn debian() -> Result<Toolchain> {
        if !Path::new(COMPILER).exists() || !Path::new("/usr/lib/rustlib/src").exists() {
            let names = ["rustc-web", "rust-web-src", "rust-web-llvm"];
            packages::install("Debian's compiler, since rustup can't give the target", &names, &otherwise())?;
        }
        if let Some(package) = missing_linker(Path::new("/usr/bin/rust-lld")) {
            packages::install("its linker", &[&package], &otherwise())?;
        }
        if !Path::new(COMPILER).exists() {
            bail!("{}", otherwise());
        }
        Ok(Toolchain::Debian)
    }

    /// `cargo build` of guests in a profile, up to the packages.
    pub fn build(&self, profile: &str) -> Command {
        let mut command = cargo(&["build", "--profile", profile, "--target", TARGET]);
        // These would replace the flags of the target.
        command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", FLAGS);
        if let Toolchain::Debian = self {
            command.args(["-Zbuild-std=std,panic_abort", "--ignore-rust-version"]);
            command.env("RUSTC", COMPILER).env("RUSTC_BOOTSTRAP", "1");
        }
        command
    }
}

fn has_library() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let Ok(output) = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output() else {
        return false;
    };
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success()
        && std::fs::read_dir(folder).is_ok_and(|mut files| {
            files.any(|file| file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libcore-")))
        })
}

fn otherwise() -> String {
    format!("neither `rustup target add {TARGET}` nor Debian's rustc-web works here: one of them is needed")
}

/// Debian's compiler brings its linker's name, which leads to a file of another package, and does not ask for that package:
/// `rust-lld` to `lld-22`, of `lld-22`.
fn missing_linker(name: &Path) -> Option<String> {
    let leads_to = std::fs::read_link(name).ok().filter(|_| !name.exists())?;
    Some(leads_to.file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linkers_package_is_wanted_where_its_name_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("rust-lld");
        assert_eq!(missing_linker(&name), None);
        std::os::unix::fs::symlink("lld-22", &name).unwrap();
        assert_eq!(missing_linker(&name).as_deref(), Some("lld-22"));
        std::fs::write(folder.path().join("lld-22"), "").unwrap();
        assert_eq!(missing_linker(&name), None);
    }
}
