//! What plugins bring and are given: uploads and settings.
use std::sync::Arc;

use anyhow::{Result, ensure};
use async_trait::async_trait;
use fangshi_guest_checks::Stage;
use fangshi_guest_checks::hostile::{self, smith};
use fangshi_lanes::RunLimits;
use fangshi_runtime::{Limits, Manifest, Outcome, Plugin, Runtime, RuntimeConfig};
use fangshi_tenants::{Expected, Schedule, SettingsSchema, Timetable};
use serde_json::{Value, json};

use super::Target;

pub(super) fn runtime() -> Result<Runtime> {
    Ok(Runtime::new(RuntimeConfig { max_concurrent_runs: 2, loaded_plugins: 8, ..RuntimeConfig::default() })?)
}

/// An upload: read, and if it is taken compiled and run.
pub struct Upload {
    runtime: Runtime,
    stage: Stage,
    seeds: Vec<Vec<u8>>,
}

impl Upload {
    pub fn new() -> Result<Upload> {
        let mut seeds: Vec<Vec<u8>> =
            hostile::all()?.into_iter().map(|guest| guest.wasm).filter(|wasm| wasm.len() < 32 << 10).collect();
        // Bytes of which wasm-smith makes a guest: it is as good a mutation of them as any.
        for seed in 0..32_u8 {
            let bytes: Vec<u8> = (0..smith::SEED_BYTES).map(|at| (at as u8).wrapping_mul(seed | 1)).collect();
            seeds.extend(smith::guest("seed", &bytes)?.map(|guest| guest.wasm));
        }
        let mut stage = Stage::new()?;
        stage.limits = Limits { fuel: 100_000, ..Limits::default() };
        Ok(Upload { runtime: runtime()?, stage, seeds })
    }
}

#[async_trait]
impl Target for Upload {
    fn name(&self) -> &'static str {
        "component-upload"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        self.seeds.clone()
    }

    async fn feed(&mut self, input: &[u8]) -> Result<()> {
        let Ok(manifest) = self.runtime.inspect(input) else { return Ok(()) };
        let Ok(plugin) = self.runtime.load_bytes(input.to_vec()).await else { return Ok(()) };
        for hook in &manifest.hooks {
            let played = self.stage.run(&self.runtime, &plugin, &manifest, hook).await?;
            sane(&played.report.outcome)?;
        }
        Ok(())
    }
}

pub(super) fn sane(outcome: &Outcome) -> Result<()> {
    ensure!(!matches!(outcome, Outcome::HostFault(_)), "{outcome:?}");
    Ok(())
}

/// Settings and limits of an installation, and a plugin that reads them; schemas of settings, and schedules.
pub struct Settings {
    runtime: Runtime,
    plugin: Arc<Plugin>,
    manifest: Manifest,
    stage: Stage,
}

impl Settings {
    pub async fn load() -> Result<Settings> {
        let runtime = runtime()?;
        let wasm = fangshi_harness::guest("settings-only")?;
        let manifest = runtime.inspect(&wasm)?;
        let plugin = runtime.load_bytes(wasm).await?;
        Ok(Settings { runtime, plugin, manifest, stage: Stage::new()? })
    }
}

#[async_trait]
impl Target for Settings {
    fn name(&self) -> &'static str {
        "settings"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        [
            r#"{"threshold":"100000","mark":"大额","fuel":1000000,"memory_bytes":1048576,"echoes":true}"#,
            r#"{"threshold":100000,"fuel":-1,"deadline_ms":1e9,"log_bytes":"64","call_bytes":null,"kv":[1,2,{"a":{}}]}"#,
            r#"{"threshold":{"fuel":18446744073709551615},"effects_per_hour":9007199254740993}"#,
            r#"{"type":"object","required":["b"],"properties":{"a":{"type":"integer","minimum":1,"default":5},"b":{"type":"string",
            "pattern":"^(a+)+$","format":"password"},"c":{"type":"number","enum":[1,2.5]},"d":{"type":"boolean","default":true}}}"#,
            r#"30 9,12-18/2 1-7,L * MON-FRI"#,
        ]
        .map(|text| text.as_bytes().to_vec())
        .into()
    }

    async fn feed(&mut self, input: &[u8]) -> Result<()> {
        read_schema(input)?;
        read_schedule(input)?;
        let Ok(settings) = serde_json::from_slice::<Value>(input) else { return Ok(()) };
        let limits = RunLimits::stored(&settings);
        for bound in fangshi_runtime::BOUNDS {
            let value = bound.get(&limits.run);
            ensure!((bound.least..=bound.most).contains(&value), "{} is {value}", bound.name);
        }
        self.stage.settings = settings;
        let played = self.stage.run(&self.runtime, &self.plugin, &self.manifest, "on-pay").await?;
        sane(&played.report.outcome)
    }
}

/// A schema that is taken takes its own defaults.
fn read_schema(input: &[u8]) -> Result<()> {
    let Ok(schema) = SettingsSchema::parse(input) else { return Ok(()) };
    let settings = schema.with_defaults(&Arc::new(json!({})));
    let misfits = settings.as_object().and_then(|settings| schema.check(settings).err()).unwrap_or_default();
    let missing = misfits.iter().all(|misfit| misfit.expected == Expected::Given);
    ensure!(missing, "a default does not fit: {misfits:?}");
    Ok(())
}

/// A schedule that is taken goes on.
fn read_schedule(input: &[u8]) -> Result<()> {
    const NOW: i64 = 1_764_642_403;
    let Ok(cron) = std::str::from_utf8(input) else { return Ok(()) };
    let schedule = Schedule { name: "x".into(), cron: cron.into(), time_zone: "America/New_York".into() };
    let Ok(timetable) = Timetable::of(&schedule) else { return Ok(()) };
    let next = timetable.next_after(NOW);
    ensure!(next.is_none_or(|next| next > NOW), "`{cron}` goes back");
    Ok(())
}
