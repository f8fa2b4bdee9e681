//! The browser of the page's test: headless Chromium and its driver, from the system's packages.
use std::process::Command;

use anyhow::{Context, Result};

use crate::steps::run;

/// Installs them where they are missing.
pub fn ensure() -> Result<()> {
    if has("chromium") && has("chromedriver") {
        return Ok(());
    }
    let apt = || Command::new("apt-get");
    run("package lists", apt().args(["update", "-qq"])).context(MISSING)?;
    run(
        "install Chromium",
        apt().env("DEBIAN_FRONTEND", "noninteractive").args([
            "install",
            "-qq",
            "-y",
            "--no-install-recommends",
            "chromium",
            "chromium-driver",
        ]),
    )
    .context(MISSING)
}

const MISSING: &str = "the test of the merchant page needs `chromium` and `chromedriver`: install them, or run this once as root on Debian";

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}
