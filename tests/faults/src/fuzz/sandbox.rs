//! What plugins bring and do: uploads, the arguments of calls, and the settings that they are given.
use std::sync::Arc;

use anyhow::{Result, ensure};
use async_trait::async_trait;
use fangshi_guest_checks::Stage;
use fangshi_guest_checks::hostile::{self, smith};
use fangshi_lanes::RunLimits;
use fangshi_runtime::{CallError, Limits, Manifest, Outcome, Plugin, Runtime, RuntimeConfig};
use fangshi_tenants::{Expected, Schedule, SettingsSchema, Timetable};
use serde_json::{Value, json};

use super::Target;

fn runtime() -> Result<Runtime> {
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

fn sane(outcome: &Outcome) -> Result<()> {
    ensure!(!matches!(outcome, Outcome::HostFault(_)), "{outcome:?}");
    Ok(())
}

/// A plugin whose calls are the input: nine words an argument list at most, and behind them the memory that they point into.
const CALLER: &str = r#"
(import "fangshi:host/log@0.1.0" "write" (func $log (param i32 i32 i32)))
(import "fangshi:host/kv@0.1.0" "get" (func $kv_get (param i32 i32 i32)))
(import "fangshi:host/kv@0.1.0" "set" (func $kv_set (param i32 i32 i32 i32 i32)))
(import "fangshi:host/random@0.1.0" "bytes" (func $bytes (param i32 i32)))
(import "fangshi:store/orders@0.1.0" "get" (func $order_get (param i32 i32 i32)))
(import "fangshi:store/orders@0.1.0" "[method]order.id" (func $id (param i32 i32)))
(import "fangshi:store/notes@0.1.0" "set-merchant-notes" (func $note (param i32 i32 i32 i32 i32)))
(import "fangshi:store/price@0.1.0" "change" (func $price (param i32 i32 i32 i32 i32 i64 i32)))
(import "fangshi:host/http@0.1.0" "send" (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(data (i32.const 2048) "input")
(func $word (param i32) (result i32) (i32.load (i32.add (i32.const 16384) (i32.mul (local.get 0) (i32.const 4)))))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $kv_get (i32.const 2048) (i32.const 5) (i32.const 8))
  (block $c8 (block $c7 (block $c6 (block $c5 (block $c4 (block $c3 (block $c2 (block $c1 (block $c0
    (br_table $c0 $c1 $c2 $c3 $c4 $c5 $c6 $c7 $c8 (i32.rem_u (call $word (i32.const 0)) (i32.const 9))))
    (call $log (call $word (i32.const 1)) (call $word (i32.const 2)) (call $word (i32.const 3))) (return (call $done)))
    (call $kv_get (call $word (i32.const 1)) (call $word (i32.const 2)) (call $word (i32.const 3))) (return (call $done)))
    (call $kv_set (call $word (i32.const 1)) (call $word (i32.const 2)) (call $word (i32.const 3)) (call $word (i32.const 4)) (call $word (i32.const 5)))
    (return (call $done)))
    (call $bytes (call $word (i32.const 1)) (call $word (i32.const 2))) (return (call $done)))
    (call $order_get (call $word (i32.const 1)) (call $word (i32.const 2)) (call $word (i32.const 3))) (return (call $done)))
    (call $id (call $word (i32.const 1)) (call $word (i32.const 2))) (return (call $done)))
    (call $note (call $word (i32.const 1)) (call $word (i32.const 2)) (call $word (i32.const 3)) (call $word (i32.const 4)) (call $word (i32.const 5)))
    (return (call $done)))
  (call $price (call $word (i32.const 1)) (call $word (i32.const 2)) (call $word (i32.const 3)) (call $word (i32.const 4))
    (call $word (i32.const 5)) (i64.extend_i32_u (call $word (i32.const 6))) (call $word (i32.const 7))) (return (call $done)))
  (call $send (call $word (i32.const 1)) (call $word (i32.const 2)) (call $word (i32.const 3)) (call $word (i32.const 4))
    (call $word (i32.const 5)) (call $word (i32.const 6)) (call $word (i32.const 7)) (call $word (i32.const 8))
    (call $word (i32.const 9)))
  (call $done))
"#;

/// The arguments of host calls, as they lie in a guest's memory.
pub struct HostCalls {
    runtime: Runtime,
    plugin: Arc<Plugin>,
    manifest: Manifest,
    stage: Stage,
}

impl HostCalls {
    pub async fn load() -> Result<HostCalls> {
        let runtime = runtime()?;
        let wasm = hostile::plugin(CALLER)?;
        let manifest = runtime.inspect(&wasm)?;
        let plugin = runtime.load_bytes(wasm).await?;
        let mut stage = Stage::new()?;
        stage.script = |name, request| {
            // What reached the host is JSON like any other.
            let text = request.to_string();
            match serde_json::from_str::<Value>(&text) {
                Ok(again) if again == *request => {}
                _ => return Err(CallError::Platform { code: -1, message: "another request".into() }),
            }
            if name != "http.send" {
                return Ok(Value::Null);
            }
            // Checked as before it would be sent.
            let Some(op) = fangshi_operations::of_call("http", "send", request) else {
                return Err(CallError::Invalid("no operation".into()));
            };
            op.body(request).map_err(CallError::Invalid)?;
            match fangshi_operations::not_approved(["http:erp.example.com"], op, request) {
                Some(grant) => Err(CallError::Denied(grant)),
                None => Ok(json!({"status": 200, "headers": [], "body": ""})),
            }
        };
        Ok(HostCalls { runtime, plugin, manifest, stage })
    }
}

#[async_trait]
impl Target for HostCalls {
    fn name(&self) -> &'static str {
        "host-call-arguments"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        // What the words point at lies behind them.
        let call = |words: &[u32]| {
            let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            bytes.resize(64, 0);
            bytes.extend_from_slice(b"3732676853715311104 note key \xe6\xbc\xa2");
            bytes
        };
        let at = 16_384 + 64;
        // A request to an outside host: the method, the URL, one header, the body.
        let url = b"POSThttps://erp.example.com/x?y=1name";
        let mut sending: Vec<u8> = [8, at, 4, at + 4, 29, at + 40, 1, at + 33, 4, 8]
            .iter()
            .flat_map(|word: &u32| word.to_le_bytes())
            .collect();
        sending.resize(64, 0);
        sending.extend_from_slice(url);
        sending.resize(64 + 40, 0);
        sending.extend([at + 33, 4, at + 4, 5].iter().flat_map(|word| word.to_le_bytes()));
        (0..9)
            .flat_map(|kind| {
                [
                    call(&[kind, at, 19, at, 5, 8, 0, 8]),
                    call(&[kind, at, 0, at, 0, 8, 0, 8]),
                    call(&[kind, 1, at, 4, 8, 8, 8, 8]),
                ]
            })
            .chain([sending])
            .collect()
    }

    async fn feed(&mut self, input: &[u8]) -> Result<()> {
        // As a value of the guest's own store it reaches its memory byte for byte.
        self.stage.kv.insert("input".to_owned(), input.iter().copied().take(8_192).collect());
        let played = self.stage.run(&self.runtime, &self.plugin, &self.manifest, "on-pay").await?;
        sane(&played.report.outcome)
    }
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
