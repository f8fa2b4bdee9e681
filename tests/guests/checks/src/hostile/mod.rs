//! Plugins that mean harm: one a file in `tests/guests/hostile`, what no file could hold in [`generated`], and what nobody thought of
//! in [`smith`]. Each says how it ends; [`Hostile::play`] finds out whether it does, whatever else it may have used up.
use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use fangshi_runtime::{CallError, Limits, Manifest, Outcome, RunReport, Runtime, RuntimeError};
use serde_json::json;
use wit_component::StringEncoding;

use crate::{Pace, Script, Stage};

mod assemble;
mod ends;
mod generated;
pub mod smith;

pub use assemble::plugin;
pub use ends::Ends;

/// A plugin that means harm.
pub struct Hostile {
    /// The name of its file.
    pub name: String,
    /// How it must end.
    pub ends: Ends,
    /// The hook that is called.
    pub hook: String,
    /// What a run may use.
    pub limits: Limits,
    /// When the host answers it.
    pub pace: Pace,
    /// What the host answers it.
    pub script: Script,
    /// What it must have used exactly at its end, as its file says.
    pub used: Option<Used>,
    /// The component.
    pub wasm: Vec<u8>,
}

/// What a run used, the same on every machine for one version of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// Fuel.
    pub fuel: u64,
    /// Bytes across the border.
    pub border: u64,
}

/// Enough for every guest to do its worst, and little enough to see all of them end.
const FUEL: u64 = 5_000_000;

/// All of them, by name.
pub fn all() -> Result<Vec<Hostile>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hostile");
    let mut all = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_stem().context("a file without a name")?.to_string_lossy().into_owned();
        let text = fs::read_to_string(&path)?;
        all.push(read(&name, &text).with_context(|| name.clone())?);
    }
    all.extend(generated::all()?);
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

/// The component of one of them.
pub fn named(name: &str) -> Result<Vec<u8>> {
    let found = all()?.into_iter().find(|guest| guest.name == name);
    Ok(found.with_context(|| format!("no hostile guest `{name}`"))?.wasm)
}

/// The lines `;; MEMBER: VALUE` at the top of a file: `ends`, of one that runs `used`, and if not as usual `hook`, `limits`, `host`,
/// `form` and `encoding`.
fn read(name: &str, text: &str) -> Result<Hostile> {
    let head = |member: &str| {
        let lines = text.lines().map_while(|line| line.strip_prefix(";; "));
        lines.filter_map(|line| line.split_once(": ")).find(|(name, _)| *name == member).map(|(_, value)| value.trim())
    };
    let mut hostile = Hostile::new(name, Ends::read(head("ends").context("no line `;; ends:`")?)?, Vec::new());
    if let Some(hook) = head("hook") {
        hostile.hook = hook.to_owned();
    }
    for limit in head("limits").unwrap_or_default().split_whitespace() {
        let (limit, value) = limit.split_once('=').context("limits: NAME=VALUE")?;
        let bound = fangshi_runtime::BOUNDS.iter().find(|bound| bound.name == limit).context("no such limit")?;
        bound.set(&mut hostile.limits, value.parse()?);
    }
    match head("host") {
        None => {}
        Some("late") => hostile.pace = Pace::Late,
        Some("never") => hostile.pace = Pace::Never,
        Some("refuses") => hostile.script = |_, _| Err(CallError::Limited { retry_after: Some(1) }),
        Some(other) => anyhow::bail!("host: no `{other}`"),
    }
    if let Some(used) = head("used") {
        let figures = used.strip_prefix("fuel ").and_then(|used| used.split_once(", border "));
        let (fuel, border) = figures.context("used: fuel FUEL, border BYTES")?;
        hostile.used = Some(Used { fuel: fuel.parse()?, border: border.parse()? });
    }
    // Whoever writes a new one writes zeros, and is told what it was.
    let runs = !matches!(hostile.ends, Ends::Refused(_));
    ensure!(runs == hostile.used.is_some(), "a line `;; used:` is for what runs, and for all of it");
    let encoding = match head("encoding") {
        None => StringEncoding::UTF8,
        Some("utf16") => StringEncoding::UTF16,
        Some(other) => anyhow::bail!("encoding: no `{other}`"),
    };
    hostile.wasm = assemble::component(text, head("form"), encoding)?;
    Ok(hostile)
}

/// How a guest ended.
#[derive(Debug)]
pub enum End {
    /// It was kept out; the code of the first problem, or `unloadable`, and the words.
    Refused(String, String),
    /// It ran.
    Ran(Box<RunReport>),
}

impl Hostile {
    fn new(name: &str, ends: Ends, wasm: Vec<u8>) -> Hostile {
        Hostile {
            name: name.to_owned(),
            ends,
            hook: "on-pay".to_owned(),
            limits: Limits { fuel: FUEL, ..Limits::default() },
            pace: Pace::AtOnce,
            script: |_, _| Ok(json!(null)),
            used: None,
            wasm,
        }
    }

    /// Whether it waits for the clock: its run lasts as long as its deadline.
    pub fn waits(&self) -> bool {
        self.ends == Ends::Deadline
    }

    /// Uploads it and, unless it is refused, runs it.
    pub async fn play(&self, runtime: &Runtime, stage: &Stage) -> Result<End> {
        let manifest: Manifest = match runtime.inspect(&self.wasm) {
            Ok(manifest) => manifest,
            Err(refusal) => {
                let first = refusal.problems.first().context("a refusal without a problem")?;
                return Ok(End::Refused(first.code().to_owned(), refusal.to_string()));
            }
        };
        let plugin = match runtime.load_bytes(self.wasm.clone()).await {
            Ok(plugin) => plugin,
            Err(RuntimeError::Unloadable(cause)) => return Ok(End::Refused("unloadable".to_owned(), cause)),
            Err(other) => return Err(other.into()),
        };
        let (limits, script, pace) = (self.limits.clone(), self.script, self.pace);
        let stage = Stage { limits, script, pace, ..stage.clone() };
        let played = stage.run(runtime, &plugin, &manifest, &self.hook).await?;
        Ok(End::Ran(Box::new(played.report)))
    }

    /// Fails if it got more than it may, or ended otherwise than it must.
    pub fn check(&self, end: &End) -> Result<()> {
        ensure!(self.ends.fits(end), "it must end as {:?}, and it was {end:?}", self.ends);
        if let End::Ran(report) = end {
            within(report, &self.limits)?;
            let (RunReport { fuel_used, border_bytes, .. }, used) = (&**report, self.used);
            let fits = used.is_none_or(|used| used == Used { fuel: *fuel_used, border: *border_bytes });
            ensure!(fits, "it must have {used:?}, and it was `;; used: fuel {fuel_used}, border {border_bytes}`");
        }
        Ok(())
    }
}

/// What holds of every run, whatever the guest is: nothing beyond its limits, and no fault of the host.
pub fn within(report: &RunReport, limits: &Limits) -> Result<()> {
    ensure!(report.fuel_used <= limits.fuel, "fuel {} of {}", report.fuel_used, limits.fuel);
    ensure!(report.peak_memory <= limits.memory_bytes, "memory {} of {}", report.peak_memory, limits.memory_bytes);
    ensure!(report.host_calls <= limits.host_calls, "calls {} of {}", report.host_calls, limits.host_calls);
    ensure!(report.log_bytes <= limits.log_bytes, "log {} of {}", report.log_bytes, limits.log_bytes);
    // The call that meets the limit is counted with what it brought: at most what one call may carry, of which the host makes twice
    // as many bytes where it is no UTF-8, or 64 KiB of random.
    let border = limits.border_bytes + (2 * limits.call_bytes).max(1 << 16) + 16;
    ensure!(report.border_bytes <= border, "border {} of {border}", report.border_bytes);
    ensure!(!matches!(report.outcome, Outcome::HostFault(_) | Outcome::Aborted(_)), "{:?}", report.outcome);
    if let Outcome::Limit { limit: "fuel", .. } = report.outcome {
        ensure!(report.fuel_used == limits.fuel, "out of fuel at {} of {}", report.fuel_used, limits.fuel);
    }
    Ok(())
}
