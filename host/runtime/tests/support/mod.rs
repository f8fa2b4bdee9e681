//! Small guests written as core WebAssembly text and made into components with the contract's types, and a scripted
//! host. No guest toolchain is needed.
#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fangshi_runtime::{
    CallError, Envelope, Limits, Plugin, RunHost, RunInput, RunReport, Runtime, RuntimeConfig, Snapshot,
};
use serde_json::{Value, json};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// What every guest needs: memory, an allocator, the results of a hook, and dropping its two handles.
///
/// `$done` gives ok; `$reject` gives the text at (pointer, length) as the reason, which is how guests tell what they saw.
const PRELUDE: &str = r#"
(import "fangshi:host/events@0.1.0" "[resource-drop]event" (func $drop_event (param i32)))
(import "fangshi:store/orders@0.1.0" "[resource-drop]order" (func $drop_order (param i32)))
IMPORTS
(memory (export "memory") PAGES)
(global $heap (mut i32) (i32.const 16384))
(func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (local $at i32)
  (global.set $heap
    (i32.and (i32.add (global.get $heap) (i32.sub (local.get 2) (i32.const 1)))
             (i32.sub (i32.const 0) (local.get 2))))
  (local.set $at (global.get $heap))
  (global.set $heap (i32.add (global.get $heap) (local.get 3)))
  (local.get $at))
(func $done (result i32)
  (i32.store (i32.const 1024) (i32.const 0))
  (i32.const 1024))
(func $reject (param $at i32) (param $len i32) (result i32)
  (i32.store (i32.const 1024) (i32.const 1))
  (i32.store (i32.const 1028) (i32.const 1))
  (i32.store (i32.const 1032) (local.get $at))
  (i32.store (i32.const 1036) (local.get $len))
  (i32.const 1024))
"#;

/// `$hex` rejects with the hex digits of memory.
pub const HEX: &str = r#"
    (func $digit (param i32) (result i32)
      (i32.add (local.get 0) (select (i32.const 48) (i32.const 87) (i32.lt_u (local.get 0) (i32.const 10)))))
    (func $hex (param $at i32) (param $len i32) (result i32) (local $n i32) (local $byte i32)
      (loop
        (local.set $byte (i32.load8_u (i32.add (local.get $at) (local.get $n))))
        (i32.store8 (i32.add (i32.const 5000) (i32.mul (local.get $n) (i32.const 2)))
          (call $digit (i32.shr_u (local.get $byte) (i32.const 4))))
        (i32.store8 (i32.add (i32.const 5001) (i32.mul (local.get $n) (i32.const 2)))
          (call $digit (i32.and (local.get $byte) (i32.const 15))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if 0 (i32.lt_u (local.get $n) (local.get $len))))
      (call $reject (i32.const 5000) (i32.mul (local.get $len) (i32.const 2))))"#;

/// A guest of the world's `imports`, with the body of `on-pay`'s `handle` (locals `$event`, `$order`, `$pay_time`; it
/// leaves the pointer to its result) and whatever stands before it at the module's top.
#[derive(Clone, Copy)]
pub struct Guest<'a> {
    /// Interfaces imported, as in a world: `fangshi:store/notes`.
    pub imports: &'a [&'a str],
    /// The core imports that belong to them.
    pub core_imports: &'a str,
    /// Further functions, globals, data.
    pub top: &'a str,
    /// The hook's body.
    pub handle: &'a str,
    /// Pages of memory at the start.
    pub pages: u32,
}

impl Default for Guest<'_> {
    fn default() -> Self {
        Guest { imports: &[], core_imports: "", top: "", handle: "(call $done)", pages: 1 }
    }
}

impl Guest<'_> {
    pub fn build(&self) -> Vec<u8> {
        self.build_with(contract())
    }

    /// The same, where the imports are of more than the contract; those with a version of their own are left as they are.
    pub fn build_with(&self, resolve: Resolve) -> Vec<u8> {
        let prelude = PRELUDE.replace("IMPORTS", self.core_imports).replace("PAGES", &self.pages.to_string());
        let core = format!(
            r#"(module {prelude} {top}
            (func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32) {handle})
            (func (export "fangshi:store/on-pay@0.1.0#handle") (param i32 i32 i64) (result i32)
              (local $result i32)
              (local.set $result (call $body (local.get 0) (local.get 1) (local.get 2)))
              (call $drop_event (local.get 0))
              (call $drop_order (local.get 1))
              (local.get $result)))"#,
            top = self.top,
            handle = self.handle
        );
        let version = |name: &str| if name.contains('@') { "" } else { "@0.1.0" };
        let imports: String = self.imports.iter().map(|name| format!("import {name}{};\n", version(name))).collect();
        component_of(resolve, &core, &format!("{imports} export fangshi:store/on-pay@0.1.0;"))
    }
}

/// A component of a core module and a world's items.
pub fn component(core: &str, items: &str) -> Vec<u8> {
    component_of(contract(), core, items)
}

/// The same, where the world needs more than the contract.
pub fn component_of(mut resolve: Resolve, core: &str, items: &str) -> Vec<u8> {
    let mut module = wat::parse_str(core).unwrap_or_else(|error| panic!("{error}"));
    let package = resolve.push_source("guest.wit", &format!("package test:guest;\nworld guest {{ {items} }}")).unwrap();
    let world = resolve.packages[package].worlds["guest"];
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

/// The contract as a plugin's author has it.
pub fn contract() -> Resolve {
    let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");
    let mut resolve = Resolve::new();
    resolve.push_dir(format!("{wit}/host")).unwrap();
    resolve.push_dir(format!("{wit}/store")).unwrap();
    resolve
}

/// As much of WASI as the guests of the tests use, each after what it uses.
const WASI: [&str; 5] = [
    include_str!("../../../../tests/guests/wasi/io.wit"),
    include_str!("../../../../tests/guests/wasi/clocks.wit"),
    include_str!("../../../../tests/guests/wasi/random.wit"),
    include_str!("../../../../tests/guests/wasi/cli.wit"),
    include_str!("../../../../tests/guests/wasi/filesystem.wit"),
];

/// A contract with WASI beside it.
pub fn with_wasi(mut resolve: Resolve) -> Resolve {
    for text in WASI {
        resolve.push_source("wasi.wit", text).unwrap();
    }
    resolve
}

pub fn runtime() -> Runtime {
    Runtime::new(RuntimeConfig { max_concurrent_runs: 4, ..RuntimeConfig::default() }).unwrap()
}

pub fn shipped_order() -> Value {
    let answer = include_str!("../../../../tests/platform/fixtures/getorder-after.json");
    serde_json::from_str::<Value>(answer).unwrap()["order"].take()
}

pub fn snapshot(json: Value) -> Arc<Snapshot> {
    let order_id = json["order_id"].as_str().unwrap_or_default().to_owned();
    Arc::new(Snapshot { order_id, json, digest: [0; 32] })
}

pub fn input() -> RunInput {
    RunInput {
        hook: "on-pay".into(),
        envelope: Envelope {
            id: "e7".into(),
            source: 0,
            created_at: 1_764_642_403,
            received_at: 1_764_642_404,
            attempt: 1,
            is_last_attempt: false,
            order_id: "3732676853715311104".into(),
            raw: r#"{"Event":"channels_ec_order_pay"}"#.into(),
        },
        detail: json!({"pay_time": "1764642403"}),
        order: Some(snapshot(shipped_order())),
        clock_ms: 1_764_642_405_678,
        seed: [7; 32],
        settings: Arc::new(json!({"word": "大单", "threshold": 10000, "nothing": null})),
        grants: BTreeSet::new(),
        limits: Limits::default(),
        deadline: Duration::from_secs(30),
    }
}

pub fn granted(names: &[&str]) -> RunInput {
    RunInput { grants: names.iter().map(|name| name.to_string()).collect(), ..input() }
}

/// A host that answers from a script and keeps what it was asked.
#[derive(Clone, Default)]
pub struct Script {
    pub asked: Arc<Mutex<Vec<(String, Value)>>>,
    pub log: Arc<Mutex<Vec<(u8, String)>>>,
    pub answers: BTreeMap<String, Result<Value, CallError>>,
    pub kv: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    /// Calls that never return.
    pub hangs: bool,
    pub panics: bool,
    /// With a message that is put together at the time.
    pub panics_with_data: bool,
}

impl Script {
    pub fn answering(call: &str, answer: Result<Value, CallError>) -> Script {
        Script { answers: BTreeMap::from([(call.to_owned(), answer)]), ..Script::default() }
    }

    pub fn asked(&self) -> Vec<(String, Value)> {
        self.asked.lock().unwrap().clone()
    }

    pub fn log(&self) -> Vec<(u8, String)> {
        self.log.lock().unwrap().clone()
    }

    async fn answer(&self, call: String, request: Value) -> Result<Value, CallError> {
        self.asked.lock().unwrap().push((call.clone(), request));
        if self.hangs {
            std::future::pending::<()>().await;
        }
        assert!(!self.panics, "the scripted host panics");
        assert!(!self.panics_with_data, "{call}");
        self.answers.get(&call).cloned().unwrap_or(Ok(Value::Null))
    }
}

#[async_trait]
impl RunHost for Script {
    async fn operation(&mut self, interface: &str, function: &str, request: Value) -> Result<Value, CallError> {
        self.answer(format!("{interface}#{function}"), request).await
    }

    async fn read_order(&mut self, order_id: &str) -> Result<Arc<Snapshot>, CallError> {
        let json = self.answer("orders#get".into(), json!(order_id)).await?;
        Ok(Arc::new(Snapshot { order_id: order_id.into(), json, digest: [1; 32] }))
    }

    async fn kv_get(&mut self, key: &str) -> Result<Option<Vec<u8>>, CallError> {
        self.answer("kv#get".into(), json!(key)).await?;
        Ok(self.kv.lock().unwrap().get(key).cloned())
    }

    async fn kv_set(&mut self, key: &str, value: Option<Vec<u8>>) -> Result<(), CallError> {
        self.answer("kv#set".into(), json!(key)).await?;
        let mut kv = self.kv.lock().unwrap();
        match value {
            Some(value) => kv.insert(key.into(), value),
            None => kv.remove(key),
        };
        Ok(())
    }

    fn log(&mut self, level: u8, text: &str) {
        assert!(!self.panics, "the scripted log panics");
        assert!(!self.panics_with_data, "{text}");
        self.log.lock().unwrap().push((level, text.to_owned()));
    }
}

pub async fn load(runtime: &Runtime, wasm: Vec<u8>) -> Arc<Plugin> {
    runtime.load_bytes(wasm).await.unwrap()
}

/// Builds, loads and runs a guest.
pub async fn run(guest: Guest<'_>, input: RunInput, host: &Script) -> RunReport {
    let runtime = runtime();
    let plugin = load(&runtime, guest.build()).await;
    runtime.run(&plugin, input, Box::new(host.clone())).await
}

/// The text a guest gave as its reason.
pub fn told(report: &RunReport) -> &str {
    match &report.outcome {
        fangshi_runtime::Outcome::Reject { reason } => reason,
        other => panic!("the guest told nothing: {other:?}"),
    }
}
