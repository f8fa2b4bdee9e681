//! `run_per_raw`: CPU time of one fresh hook run (limits on, fuel counted, generic linking) over a tuned raw call of the same
//! guest, whose one host call is `settings.get`. Both on one thread, in turns; median of the ratios.
use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use async_trait::async_trait;
use fangshi_harness::{Figures, guest, median};
use fangshi_runtime::{CallError, Envelope, Limits, Outcome, RunHost, RunInput, Runtime, RuntimeConfig, Snapshot};
use serde_json::{Value, json};

use crate::raw::Raw;

const GUEST: &str = "settings-only";
const CALLS: u32 = 5_000;
const REPETITIONS: usize = 9;

pub fn measure(figures: &mut Figures) -> Result<()> {
    let raw = Raw::load(GUEST)?;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let runtime = Runtime::new(RuntimeConfig::default())?;
    let wasm = guest(GUEST)?;
    let plugin = tokio.block_on(runtime.load_bytes(wasm))?;
    let settings = Arc::new(json!({"threshold": "100000"}));

    let mut ratios = Vec::new();
    let (mut ours, mut peers, mut fuel) = (Vec::new(), Vec::new(), 0);
    for _ in 0..REPETITIONS {
        let begun = cpu_time();
        for _ in 0..CALLS {
            raw.call()?;
        }
        let peer = (cpu_time() - begun).as_secs_f64() * 1e6 / f64::from(CALLS);
        let begun = cpu_time();
        fuel = tokio.block_on(async {
            let mut fuel = 0;
            for number in 0..CALLS {
                let report = runtime.run(&plugin, input(number, settings.clone()), Box::new(Nothing)).await;
                ensure!(report.outcome == Outcome::Done, "the run ended as {:?}", report.outcome);
                fuel = report.fuel_used;
            }
            Ok(fuel)
        })?;
        let run = (cpu_time() - begun).as_secs_f64() * 1e6 / f64::from(CALLS);
        ratios.push(run / peer);
        ours.push(run);
        peers.push(peer);
    }
    figures.add("run_per_raw", format!("{:.2}", median(ratios)), "ratio");
    figures.add("run_cpu", format!("{:.1}", median(ours)), "us");
    figures.add("raw_cpu", format!("{:.1}", median(peers)), "us");
    figures.add("run_fuel", fuel, "fuel");
    Ok(())
}

fn input(number: u32, settings: Arc<Value>) -> RunInput {
    RunInput {
        hook: "on-pay".to_owned(),
        envelope: Envelope {
            id: "e1".to_owned(),
            created_at: 1_764_642_403,
            received_at: 1_764_642_404,
            attempt: 1,
            order_id: "3732676853715311104".to_owned(),
            ..Envelope::default()
        },
        detail: json!({"order_id": "3732676853715311104", "pay_time": 1_764_642_403}),
        order: None,
        clock_ms: 1_764_642_404_000,
        seed: [number as u8; 32],
        settings,
        grants: BTreeSet::new(),
        limits: Limits::default(),
        deadline: Duration::from_secs(60),
    }
}

/// This thread's CPU time.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// A host that is never asked: the guest's one call is answered inside the sandbox's own room.
struct Nothing;

#[async_trait]
impl RunHost for Nothing {
    async fn operation(&mut self, interface: &str, function: &str, _: Value) -> Result<Value, CallError> {
        Err(CallError::Denied(format!("{interface}.{function}")))
    }
    async fn read_order(&mut self, order_id: &str) -> Result<Arc<Snapshot>, CallError> {
        Err(CallError::NotFound(order_id.to_owned()))
    }
    async fn kv_get(&mut self, _: &str) -> Result<Option<Vec<u8>>, CallError> {
        Ok(None)
    }
    async fn kv_set(&mut self, _: &str, _: Option<Vec<u8>>) -> Result<(), CallError> {
        Ok(())
    }
    fn log(&mut self, _: u8, _: &str) {}
}
