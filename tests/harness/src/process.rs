//! One host process: started, watched, killed, started again over the same folder.
use std::{
    env,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{Admin, HostConfig, config::OPERATOR_TOKEN};

/// How long a start may take on a loaded machine.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// A running host. Dropping it kills the process.
pub struct HostProcess {
    child: Child,
    /// Where it listens, `http://127.0.0.1:PORT`.
    pub address: String,
    folder: PathBuf,
    settings: Vec<(String, String)>,
}

impl HostProcess {
    /// Writes the configuration into `folder` and starts the host there.
    pub fn start(folder: &Path, config: &HostConfig) -> Result<HostProcess> {
        config.write(folder)?;
        Self::start_again(folder, &[])
    }

    /// Starts a host over a folder that already has its configuration; `settings` are environment variables.
    pub fn start_again(folder: &Path, settings: &[(String, String)]) -> Result<HostProcess> {
        let log = std::fs::File::options().create(true).append(true).open(folder.join("host.log"))?;
        let mut child = Command::new(binary("fangshi")?)
            .args(["serve", "--config"])
            .arg(folder.join("fangshi.toml"))
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("starting the host")?;
        let output = child.stdout.take().context("the host has no output")?;
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(at) = line.find("http://") {
                    let _ = tell.send(line[at..].trim().to_owned());
                }
            }
        });
        match told.recv_timeout(START_PATIENCE) {
            Ok(address) => Ok(HostProcess { child, address, folder: folder.to_owned(), settings: settings.to_vec() }),
            Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                let log = std::fs::read_to_string(folder.join("host.log")).unwrap_or_default();
                bail!("the host did not start; its log:\n{log}")
            }
        }
    }

    /// A client of its admin API.
    pub fn admin(&self) -> Admin {
        Admin::new(&self.address, OPERATOR_TOKEN)
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as a power cut would (the page cache stays).
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Kills it and starts it over the same folder.
    pub fn kill_and_restart(mut self) -> Result<HostProcess> {
        self.kill()?;
        Self::start_again(&self.folder.clone(), &self.settings.clone())
    }

    /// Asks it to end and waits for its exit code.
    pub fn terminate(mut self) -> Result<Option<i32>> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        Ok(self.child.wait()?.code())
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of this workspace, built beside the running one.
pub fn binary(name: &str) -> Result<PathBuf> {
    let mut folder = env::current_exe()?;
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    let path = folder.join(name);
    if !path.exists() {
        bail!("{} is missing: run `cargo build -p {name}` (cargo xtask does) first", path.display());
    }
    Ok(path)
}

/// The bytes of a built guest, `target/guests/NAME.wasm`.
pub fn guest(name: &str) -> Result<Vec<u8>> {
    component("guests", name)
}

/// The bytes of the guest in another language, `target/languages/NAME.wasm`.
pub fn language(name: &str) -> Result<Vec<u8>> {
    component("languages", name)
}

/// What a chore has built into a folder of its own name.
fn component(chore: &str, name: &str) -> Result<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target").join(chore).join(format!("{name}.wasm"));
    std::fs::read(&path).with_context(|| format!("{} is missing: run `cargo xtask {chore}` first", path.display()))
}
