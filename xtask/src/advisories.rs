//! `cargo xtask advisories`: what is publicly known against the dependencies, the engine first among them. The database is
//! no part of a registry: where it can't be reached, that is said aloud and nothing is proved.
use std::{ffi::OsStr, process::Command};

use anyhow::Result;

use crate::{
    deny,
    steps::{root, run},
};

/// Whether anything was looked at.
#[derive(Debug, PartialEq, Eq)]
enum Checked {
    Done,
    Skipped,
}

/// Checks, or says that it did not.
pub fn advisories() -> Result<()> {
    match check(deny::binary()?.as_os_str())? {
        Checked::Done => println!("advisories: nothing is known against these dependencies"),
        Checked::Skipped => println!(
            "advisories: SKIPPED. The database (https://github.com/rustsec/advisory-db) can't be reached from here, so \
             NOTHING WAS CHECKED. Run this where it can be before a release."
        ),
    }
    Ok(())
}

fn check(deny: &OsStr) -> Result<Checked> {
    // Fetched in a step of its own: a failure there is the network's, one of the check is a finding.
    if run("fetch the advisories", Command::new(deny).args(["fetch", "db"]).current_dir(root())).is_err() {
        return Ok(Checked::Skipped);
    }
    let mut checking = Command::new(deny);
    checking.args(["--workspace", "check", "--disable-fetch", "--hide-inclusion-graph", "advisories"]);
    run("advisories", checking.current_dir(root()))?;
    Ok(Checked::Done)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_unreachable_database_is_skipped_and_a_finding_fails() {
        let folder = tempfile::tempdir().unwrap();
        let deny = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            check(path.as_os_str())
        };
        assert_eq!(deny("offline", "exit 1").unwrap(), Checked::Skipped);
        assert_eq!(deny("clean", "exit 0").unwrap(), Checked::Done);
        assert!(deny("finding", "[ \"$1\" = fetch ]").is_err());
    }
}
