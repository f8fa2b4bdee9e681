//! `fangshi plugin`: one component at an author's desk, in the same runtime as the host's, with nothing sent.

mod answers;
mod component;
mod event_file;
mod new;
mod order_file;
mod print;
mod recorder;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use fangshi_database::Digest;
use fangshi_lanes::decide::retry::Tried;
use fangshi_lanes::{RunLimits, Schedule};
use fangshi_operations::{HOSTS_SECTION, Kind};
use fangshi_runtime::{Envelope, GrantAsked, Limits, Manifest, Outcome, RunInput, Runtime, RuntimeConfig};
use fangshi_tenants::SettingsSchema;
use serde_json::Value;

use crate::grants::spelled;

pub use component::component;
pub use new::{NewArguments, new};

use answers::Answers;
use event_file::EventFile;
use recorder::{Record, Recorder};

/// `fangshi plugin run`.
///
/// Operations are not sent: an effect is printed as `would call …`. It is answered ok if its answer says no more; all others,
/// and reads, are answered from the answers file or refused as unavailable. The same files give the same output: the clock is the event's time, the seed is 0.
#[derive(Args)]
pub struct RunArguments {
    /// The component (.wasm).
    file: PathBuf,
    /// The event: a decrypted push as JSON or XML, or a fixture that wraps one.
    #[arg(long, value_name = "FILE", required_unless_present = "schedule")]
    event: Option<PathBuf>,
    /// Which event, if the file holds several: its name, such as `channels_ec_order_pay`.
    #[arg(long, value_name = "NAME")]
    pick: Option<String>,
    /// The order: an answer of getorder, or the order object alone.
    #[arg(long, value_name = "FILE", required_unless_present = "schedule")]
    order: Option<PathBuf>,
    /// Instead of an event: a tick of the schedule of this name, which calls `on-schedule`. The order file then answers
    /// `orders.get` and may be left out.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["event", "pick"])]
    schedule: Option<String>,
    /// When the tick was due, unix seconds.
    #[arg(long, value_name = "SECONDS", requires = "schedule", default_value_t = 1_764_547_200)]
    at: i64,
    /// The installation's settings: a JSON object.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// The grants, with commas; all that the plugin asks for if absent. An outside host: `http:erp.example.com`.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    grants: Option<Vec<String>>,
    /// Answers of operations: a JSON object of `interface.function` to an answer, or to a list of answers in order. Where an
    /// answer is a list itself, always a list of them: `{"sku-decision.waiting": [["37…"]]}`. A refusal is
    /// `{"error": {"kind": "conflict", "detail": "…"}}`.
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// The installation's limits: a JSON object, as the admin API takes it.
    #[arg(long, value_name = "FILE")]
    limits: Option<PathBuf>,
    /// Which attempt this is, from 1; the twelfth is the last one.
    #[arg(long, value_name = "N", default_value_t = 1)]
    attempt: u32,
}

/// Shows what a component subscribes to and asks for.
pub fn inspect(file: &Path) -> anyhow::Result<ExitCode> {
    let wasm = read(file, "plugin")?;
    let runtime = Runtime::new(desk())?;
    let manifest = manifest_of(&runtime, &wasm, file)?;
    let schema = schema_of(&wasm)?;
    let mut out = std::io::stdout().lock();
    print::manifest(&mut out, file, &Digest::of(&wasm), &manifest)?;
    print::settings(&mut out, schema.as_ref())?;
    Ok(ExitCode::SUCCESS)
}

/// Runs one hook offline. Success only if the hook returned ok.
pub fn run(arguments: &RunArguments) -> anyhow::Result<ExitCode> {
    let wasm = read(&arguments.file, "plugin")?;
    let event = match (&arguments.schedule, &arguments.event) {
        (Some(name), _) => event_file::tick(name, arguments.at),
        (None, Some(file)) => event_file::read(file, arguments.pick.as_deref())?,
        (None, None) => bail!("expected --event FILE or --schedule NAME"),
    };
    let order = arguments.order.as_deref().map(order_file::read).transpose()?;
    let settings = settings_of(arguments.settings.as_deref(), schema_of(&wasm)?.as_ref())?;
    let limits = limits_of(arguments.limits.as_deref())?;
    let answers = match &arguments.answers {
        Some(file) => Answers::read(file)?,
        None => Answers::default(),
    };
    let unknown =
        answers.unknown(|interface, function| fangshi_operations::of_call(interface, function, &Value::Null).is_some());
    if !unknown.is_empty() {
        bail!("answers file: no such operation: {}", unknown.join(", "));
    }
    let runtime = Runtime::new(desk())?;
    let manifest = manifest_of(&runtime, &wasm, &arguments.file)?;
    let hook = hook_of(&event, &manifest)?;
    let grants = grants_of(arguments.grants.as_deref(), &manifest)?;

    let record = Arc::new(Mutex::new(Record::default()));
    let recorder = Recorder { order: order.clone(), grants: grants.clone(), answers, record: record.clone() };
    let input = RunInput {
        hook: hook.clone(),
        detail: event.detail.clone(),
        envelope: envelope_of(&event, arguments.attempt),
        // A tick comes without an order.
        order: order.clone().filter(|_| arguments.schedule.is_none()),
        clock_ms: event.created_at.saturating_mul(1000),
        seed: [0; 32],
        settings,
        grants: runtime_grants(&grants, &manifest),
        limits: limits.clone(),
        deadline: Duration::from_millis(limits.deadline_ms),
    };
    let executor = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = executor.block_on(async {
        let digest = Digest::of(&wasm);
        let load = runtime.load(digest.0, move || async move { Ok::<_, std::convert::Infallible>(wasm) });
        let plugin = load.await?;
        anyhow::Ok(runtime.run(&plugin, input, Box::new(recorder)).await)
    })?;

    let mut out = std::io::stdout().lock();
    print::hooks(&mut out, &manifest)?;
    print::event(&mut out, &event, &hook, order.as_deref(), &grants)?;
    let record = record.lock().unwrap_or_else(PoisonError::into_inner);
    print::record(&mut out, &record, matches!(report.outcome, Outcome::Done))?;
    print::report(&mut out, &report, &limits)?;
    Ok(if matches!(report.outcome, Outcome::Done) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The host's settings, but for one run at a time and no compiled code kept.
fn desk() -> RuntimeConfig {
    RuntimeConfig { max_concurrent_runs: 1, ..RuntimeConfig::default() }
}

fn read(file: &Path, what: &str) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("{what} {}", file.display()))
}

/// The manifest, and behind its grants the hosts that the plugin declares: as an upload is read.
fn manifest_of(runtime: &Runtime, wasm: &[u8], file: &Path) -> anyhow::Result<Manifest> {
    let refused = |lines: String| anyhow::anyhow!("plugin {} is refused:{lines}", file.display());
    let mut manifest = runtime.inspect(wasm).map_err(|refusal| {
        let lines: Vec<String> = refusal.problems.iter().map(|problem| format!("\n  - {problem}")).collect();
        refused(lines.concat())
    })?;
    if manifest.grants.iter().any(|grant| grant.name == "http") {
        let hosts = fangshi_operations::hosts_asked(&fangshi_runtime::sections(wasm, HOSTS_SECTION));
        let hosts = hosts.map_err(|why| refused(format!("\n  - the section `{HOSTS_SECTION}`: {why}")))?;
        manifest.grants.extend(hosts.into_iter().map(|name| GrantAsked { name, functions: Vec::new() }));
    }
    Ok(manifest)
}

fn schema_of(wasm: &[u8]) -> anyhow::Result<Option<SettingsSchema>> {
    Ok(SettingsSchema::of(&fangshi_runtime::sections(wasm, SettingsSchema::SECTION))?)
}

/// The settings as the plugin reads them; refused as the admin API does it.
fn settings_of(file: Option<&Path>, schema: Option<&SettingsSchema>) -> anyhow::Result<Arc<Value>> {
    let settings = Arc::new(object_of(file, "settings file")?);
    let (Some(schema), Some(members)) = (schema, settings.as_object()) else { return Ok(settings) };
    if let Err(misfits) = schema.check(members) {
        let lines: Vec<String> = misfits.iter().map(|misfit| format!("\n  - {misfit}")).collect();
        bail!("settings do not fit the plugin's schema (--settings FILE):{}", lines.concat());
    }
    Ok(schema.with_defaults(&settings))
}

fn object_of(file: Option<&Path>, what: &str) -> anyhow::Result<Value> {
    let Some(file) = file else { return Ok(Value::Object(Default::default())) };
    let bytes = read(file, what)?;
    let value: Value = serde_json::from_slice(&bytes).with_context(|| format!("{what} {}", file.display()))?;
    if !value.is_object() {
        bail!("{what} {}: expected a JSON object", file.display());
    }
    Ok(value)
}

/// The limits of one run, read and refused as the admin API does it. Those that span runs are checked and do nothing here.
fn limits_of(file: Option<&Path>) -> anyhow::Result<Limits> {
    let given = object_of(file, "limits file")?;
    match RunLimits::parse(&given) {
        Ok(limits) => Ok(limits.run),
        Err(problem) => bail!("limits file {}: {problem}", file.unwrap_or(Path::new("")).display()),
    }
}

fn hook_of(event: &EventFile, manifest: &Manifest) -> anyhow::Result<String> {
    let Some(hook) = fangshi_lanes::hook_of(&event.event) else {
        bail!("no hook is called for the event {}", event.event);
    };
    if !manifest.hooks.iter().any(|exported| exported == hook) {
        bail!(
            "the event {} calls {hook}, which the plugin does not export; it has {}",
            event.event,
            manifest.hooks.join(", ")
        );
    }
    Ok(hook.to_owned())
}

fn grants_of(given: Option<&[String]>, manifest: &Manifest) -> anyhow::Result<BTreeSet<String>> {
    let asked = manifest.grant_names();
    let Some(given) = given else { return Ok(asked) };
    let given = spelled(given)?;
    let unknown: Vec<&str> =
        given.iter().map(String::as_str).filter(|name| fangshi_operations::grant(name).is_none()).collect();
    if !unknown.is_empty() {
        bail!("unknown grants: {}; the plugin asks for {}", unknown.join(", "), list(&asked));
    }
    Ok(given)
}

/// The grants as the runtime is told. It answers calls of operations without a grant by itself, unseen; here the recorder
/// does it, so that the print shows them.
fn runtime_grants(given: &BTreeSet<String>, manifest: &Manifest) -> BTreeSet<String> {
    let asked = manifest.grant_names().into_iter();
    let operations = asked.filter(|name| {
        name == "http" || fangshi_operations::interface(name).is_some_and(|it| it.kind == Kind::Operations)
    });
    given.iter().cloned().chain(operations).collect()
}

fn list(names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn envelope_of(event: &EventFile, attempt: u32) -> Envelope {
    Envelope {
        id: "e0".to_owned(),
        source: event.source,
        created_at: event.created_at,
        received_at: event.created_at,
        attempt,
        // By the host's own schedule, as far as it counts attempts.
        is_last_attempt: Schedule::default().is_last(Tried { attempt, first_at: 0, started_at: 0 }),
        order_id: event.order_id.clone(),
        raw: event.raw.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_twelfth_attempt_is_the_last_at_the_desk_too() {
        let event = EventFile {
            event: "channels_ec_order_pay".to_owned(),
            source: 4,
            order_id: "37".to_owned(),
            created_at: 1,
            detail: Value::Null,
            raw: String::new(),
        };
        assert!((1..12).all(|attempt| !envelope_of(&event, attempt).is_last_attempt));
        assert!(envelope_of(&event, 12).is_last_attempt);
    }
}
