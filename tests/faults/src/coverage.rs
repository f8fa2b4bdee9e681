//! cargo-fuzz, where it and a nightly compiler are: the same ways in as those of [`fuzz`], and libFuzzer chooses the inputs by what
//! they reach in the code. It brings its own compiler's build of everything (minutes, the first time), below `target/fuzz`.
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use fangshi_faults::fuzz::{Counts, LONGEST};

/// A cargo-fuzz that was found.
pub struct CargoFuzz {
    root: PathBuf,
    /// What it and the compiler say of themselves.
    pub versions: String,
}

impl CargoFuzz {
    /// Looks for it.
    ///
    /// # Errors
    /// What is not there.
    pub fn find() -> Result<CargoFuzz> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
        let says = |arguments: &[&str]| {
            let said = Command::new("cargo").args(arguments).current_dir(&root).output().ok()?;
            said.status.success().then(|| String::from_utf8_lossy(&said.stdout).trim().to_owned())
        };
        let nightly = says(&["+nightly", "--version"]).context("there is no nightly compiler")?;
        let tool = says(&["fuzz", "--version"]).context("there is no cargo-fuzz (cargo install cargo-fuzz)")?;
        Ok(CargoFuzz { versions: format!("{tool}, {nightly}"), root })
    }

    /// Builds all ways in, with the versions of dependencies that the host has.
    pub fn build(&self) -> Result<()> {
        std::fs::copy(self.root.join("Cargo.lock"), self.folder().join("Cargo.lock"))?;
        let built = self.command("build").status()?;
        ensure!(built.success(), "its ways in could not be built: {built}");
        Ok(())
    }

    /// Feeds one way in for a while, beginning with true inputs. Its first crash ends it.
    #[allow(clippy::print_stdout, reason = "whoever reads the figures wants the input of a crash")]
    pub fn feed(&self, name: &str, seeds: &[Vec<u8>], time: Duration, seed: u64) -> Result<Counts> {
        let corpus = self.root.join("target/fuzz/corpus").join(name);
        std::fs::create_dir_all(&corpus)?;
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(corpus.join(format!("seed-{number}")), seed)?;
        }
        let mut command = self.command("run");
        command.arg(name).arg(&corpus).arg("--");
        command.args([format!("-max_total_time={}", time.as_secs()), format!("-max_len={LONGEST}")]);
        // Zero would be a seed of its own choice. A sandbox reserves much and uses little; the rest is for the corpus.
        command.args([
            format!("-seed={}", (seed as u32).max(1)),
            "-rss_limit_mb=6144".into(),
            "-print_final_stats=1".into(),
        ]);
        let output = command.output()?;
        let inputs = executed(&output)?;
        if output.status.success() {
            return Ok(Counts { inputs, crashes: 0 });
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last: Vec<&str> = said.lines().rev().take(60).collect();
        println!("{name}: {}\n{}", output.status, last.into_iter().rev().collect::<Vec<_>>().join("\n"));
        Ok(Counts { inputs, crashes: 1 })
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new("cargo");
        command.args(["+nightly", "fuzz", verb, "--fuzz-dir"]).arg(self.folder());
        // What the host does with memory is the engine's; its reservations leave a sanitizer no room.
        command.args(["--sanitizer", "none", "--target-dir"]).arg(self.root.join("target/fuzz/build"));
        // Another toolchain's choices are not for this one.
        command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTFLAGS").current_dir(self.folder());
        command
    }

    fn folder(&self) -> PathBuf {
        self.root.join("tests/fuzz")
    }
}

/// How many inputs libFuzzer says that it has tried.
fn executed(output: &Output) -> Result<u64> {
    let said = String::from_utf8_lossy(&output.stderr);
    let count = said.lines().rev().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    match count {
        Some(count) => count.trim().parse().context("libFuzzer's count of inputs"),
        None => bail!("libFuzzer did not come to its figures: {}\n{said}", output.status),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn said(text: &str) -> Output {
        Output { status: ExitStatusExt::from_raw(0), stdout: Vec::new(), stderr: text.as_bytes().to_vec() }
    }

    #[test]
    fn inputs_are_counted_by_libfuzzers_own_figure() {
        let text = "#2 INITED\nDone 1234 runs in 3 second(s)\nstat::number_of_executed_units: 1234\nstat::average_exec_per_sec: 411\n";
        assert_eq!(executed(&said(text)).unwrap(), 1_234);
        assert!(executed(&said("error: could not compile")).is_err());
    }
}
