//! The browser of the page's test: headless Chromium and its driver, from the system's packages.
use std::process::Command;

use anyhow::Result;

use crate::packages;

/// Installs them where they are missing.
pub fn ensure() -> Result<()> {
    if has("chromium") && has("chromedriver") {
        return Ok(());
    }
    packages::install("Chromium", &["chromium", "chromium-driver"], MISSING)
}

const MISSING: &str = "the test of the merchant page needs `chromium` and `chromedriver`: install them, or run this once as root on Debian";

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}
