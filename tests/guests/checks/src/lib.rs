//! A stage for guests: one event and one order of a real shop, a host that answers as a script says and writes down what
//! it was asked. The tests beside it run every plugin of `target/guests` on it (`cargo xtask guests` makes them), and every
//! one of [`hostile`].
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use anyhow::{Context, Result};
use async_trait::async_trait;
use fangshi_runtime::{
    CallError, Envelope, Limits, Manifest, Plugin, RunHost, RunInput, RunReport, Runtime, RuntimeConfig, RuntimeError,
    Snapshot, digest_of,
};
use serde_json::{Value, json};

pub mod hostile;

/// The id of the order on the stage: over 2^53, as real ones are.
pub const ORDER_ID: &str = "3732676853715311104";

/// An answer of the scripted host to `interface.function` with a request.
pub type Script = fn(&str, &Value) -> Result<Value, CallError>;

/// One engine for all tests of a program. Compiled guests are kept between programs: JavaScript takes half a minute here.
fn runtime() -> Result<Runtime> {
    static RUNTIME: OnceLock<Result<Runtime, RuntimeError>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        let code_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target/guest-checks");
        // A key for tests: this folder holds code of test guests alone.
        let code_key = [1; 32].into();
        Runtime::new(RuntimeConfig {
            max_concurrent_runs: 8,
            code_dir: Some(code_dir),
            code_key,
            ..RuntimeConfig::default()
        })
    });
    made.clone().context("the runtime")
}

/// When the scripted host answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// At once.
    AtOnce,
    /// After others had their turn.
    Late,
    /// Never.
    Never,
}

/// What a run is given, ready to be changed by a test.
#[derive(Clone)]
pub struct Stage {
    /// The `order` object of getorder.
    pub order: Value,
    /// The installation's settings.
    pub settings: Value,
    /// The event's own members.
    pub detail: Value,
    /// Which attempt.
    pub attempt: u32,
    /// Limits of the run.
    pub limits: Limits,
    /// Answers of operations.
    pub script: Script,
    /// When calls are answered.
    pub pace: Pace,
    /// What `kv` holds.
    pub kv: BTreeMap<String, Vec<u8>>,
    /// The run's clock, unix milliseconds.
    pub clock_ms: i64,
    /// What the run's random numbers come from.
    pub seed: [u8; 32],
}

/// A component that can be run any number of times.
pub struct Ready {
    runtime: Runtime,
    /// Compiled and linked.
    pub plugin: Arc<Plugin>,
    /// What it asks for.
    pub manifest: Manifest,
}

impl Ready {
    /// Inspects and loads a component, as an upload does.
    pub async fn new(name: &str, wasm: Vec<u8>) -> Result<Ready> {
        let runtime = runtime()?;
        let manifest = runtime.inspect(&wasm).map_err(|refusal| anyhow::anyhow!("{name}: {refusal}"))?;
        let plugin = runtime.load(digest_of(&wasm), || async move { Ok::<_, String>(wasm) }).await?;
        Ok(Ready { runtime, plugin, manifest })
    }
}

/// What happened.
pub struct Played {
    /// The runtime's report.
    pub report: RunReport,
    /// `interface.function` and request of every operation.
    pub calls: Vec<(String, Value)>,
    /// Lines of the log, without levels.
    pub log: Vec<String>,
}

#[derive(Default)]
struct Seen {
    calls: Vec<(String, Value)>,
    log: Vec<String>,
}

struct ScriptedHost {
    script: Script,
    pace: Pace,
    order: Arc<Snapshot>,
    kv: BTreeMap<String, Vec<u8>>,
    seen: Arc<Mutex<Seen>>,
}

impl Stage {
    /// The real order of the fixtures, paid, and a host that grants everything.
    pub fn new() -> Result<Stage> {
        let fixture = include_str!("../../../platform/fixtures/getorder-before.json");
        let mut answer: Value = serde_json::from_str(fixture)?;
        Ok(Stage {
            order: answer["order"].take(),
            settings: json!({}),
            detail: json!({ "order_id": ORDER_ID, "pay_time": 1_764_642_403 }),
            attempt: 1,
            limits: Limits::default(),
            script: |_, _| Ok(Value::Null),
            pace: Pace::AtOnce,
            kv: BTreeMap::new(),
            clock_ms: 1_764_642_405_678,
            seed: [9; 32],
        })
    }

    /// Runs `hook` of the guest `name`.
    pub async fn play(&self, name: &str, hook: &str) -> Result<Played> {
        let ready = Ready::new(name, fangshi_harness::guest(name)?).await?;
        self.play_ready(&ready, hook).await
    }

    /// Runs `hook` of a component that is ready.
    pub async fn play_ready(&self, ready: &Ready, hook: &str) -> Result<Played> {
        self.run(&ready.runtime, &ready.plugin, &ready.manifest, hook).await
    }

    /// Runs `hook` of a plugin that is loaded.
    pub async fn run(&self, runtime: &Runtime, plugin: &Plugin, manifest: &Manifest, hook: &str) -> Result<Played> {
        let order = Arc::new(Snapshot { order_id: ORDER_ID.to_owned(), json: self.order.clone(), digest: [7; 32] });
        let input = RunInput {
            hook: hook.to_owned(),
            envelope: Envelope {
                id: "e1".to_owned(),
                source: 0,
                created_at: 1_764_642_403,
                received_at: 1_764_642_404,
                attempt: self.attempt,
                is_last_attempt: false,
                order_id: ORDER_ID.to_owned(),
                raw: json!({ "order_info": self.detail }).to_string(),
            },
            detail: self.detail.clone(),
            order: manifest.reads_order().then(|| order.clone()),
            clock_ms: self.clock_ms,
            seed: self.seed,
            settings: Arc::new(self.settings.clone()),
            grants: manifest.grant_names(),
            limits: self.limits.clone(),
            deadline: Duration::from_secs(60),
        };
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (script, pace, kv) = (self.script, self.pace, self.kv.clone());
        let host = ScriptedHost { script, pace, order, kv, seen: seen.clone() };
        let report = runtime.run(plugin, input, Box::new(host)).await;
        let seen = std::mem::take(&mut *seen.lock().ok().context("a guest's host panicked")?);
        Ok(Played { report, calls: seen.calls, log: seen.log })
    }
}

impl ScriptedHost {
    async fn wait(&self) {
        match self.pace {
            Pace::AtOnce => {}
            Pace::Late => tokio::task::yield_now().await,
            Pace::Never => std::future::pending().await,
        }
    }
}

#[async_trait]
impl RunHost for ScriptedHost {
    async fn operation(&mut self, interface: &str, function: &str, request: Value) -> Result<Value, CallError> {
        self.wait().await;
        let name = format!("{interface}.{function}");
        let answer = (self.script)(&name, &request);
        if let Ok(mut seen) = self.seen.lock() {
            seen.calls.push((name, request));
        }
        answer
    }

    async fn read_order(&mut self, order_id: &str) -> Result<Arc<Snapshot>, CallError> {
        self.wait().await;
        if order_id == self.order.order_id { Ok(self.order.clone()) } else { Err(CallError::NotFound(order_id.into())) }
    }

    async fn kv_get(&mut self, key: &str) -> Result<Option<Vec<u8>>, CallError> {
        self.wait().await;
        Ok(self.kv.get(key).cloned())
    }

    async fn kv_set(&mut self, key: &str, value: Option<Vec<u8>>) -> Result<(), CallError> {
        self.wait().await;
        match value {
            Some(value) => self.kv.insert(key.to_owned(), value),
            None => self.kv.remove(key),
        };
        Ok(())
    }

    fn log(&mut self, _: u8, text: &str) {
        if let Ok(mut seen) = self.seen.lock() {
            seen.log.push(text.to_owned());
        }
    }
}
