//! A wall clock of the host's own, ahead of the machine's by as much as a test says: so time passes without waiting.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};

/// The clock of hosts that are started with its settings.
pub struct HostClock {
    offset: PathBuf,
    library: PathBuf,
}

impl HostClock {
    /// As the machine's at first; its files lie in `folder`.
    pub fn new(folder: &Path) -> Result<HostClock> {
        let clock = HostClock { offset: folder.join("clock-offset"), library: folder.join("clock_offset.so") };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("shim/clock_offset.c");
        let flags = ["-shared", "-fPIC", "-O1", "-o"];
        let built = Command::new("cc").args(flags).arg(&clock.library).arg(source).arg("-ldl").status()?;
        ensure!(built.success(), "the library does not compile");
        clock.set(0)?;
        Ok(clock)
    }

    /// The environment of a host that goes by it.
    pub fn settings(&self) -> [(String, String); 2] {
        [
            ("LD_PRELOAD".to_owned(), self.library.display().to_string()),
            ("FANGSHI_CLOCK_OFFSET".to_owned(), self.offset.display().to_string()),
        ]
    }

    /// So many seconds ahead from now on.
    pub fn set(&self, seconds: i64) -> Result<()> {
        // Written in place, eight bytes: the library holds the file mapped.
        let mut file = File::options().create(true).truncate(false).write(true).open(&self.offset)?;
        Ok(file.write_all(&seconds.to_ne_bytes())?)
    }

    /// Ahead by as much as is needed to show this time (unix seconds) or a later one now; never back.
    #[allow(clippy::disallowed_methods, reason = "what the host's clock is ahead of is the machine's")]
    pub fn show(&self, time: i64) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let ahead = i64::from_ne_bytes(std::fs::read(&self.offset)?.as_slice().try_into()?);
        self.set(ahead.max(time - i64::try_from(now)?))
    }
}
