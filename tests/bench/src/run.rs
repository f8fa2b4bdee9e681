//! `run_per_raw`: CPU time of one fresh hook run (limits on, fuel counted, generic linking, journal buffered) over a tuned raw
//! call of the same guest, whose one host call is `settings.get`. Both on one thread, in turns; median of the ratios.
//!
//! A run begins its attempt in a real journal, inputs sealed, as `host/lanes` does it. The buffer is dropped with the run:
//! the flush and its SQL belong to the group commit, which `effect` measures.
use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use async_trait::async_trait;
use fangshi_database::{Clock, Database, Digest, OpenOptions, RunId, TenantId};
use fangshi_harness::{Figures, guest, median};
use fangshi_journal::{AttemptStart, Buffer, Inputs, Journal};
use fangshi_runtime::{
    CallError, Envelope, Limits, Outcome, RunHost, RunInput, Runtime, RuntimeConfig, Snapshot, digest_of,
};
use serde_json::{Value, json};

use crate::{raw::Raw, shop};

const GUEST: &str = "settings-only";
const CALLS: u32 = 5_000;
const REPETITIONS: usize = 9;

pub fn measure(figures: &mut Figures) -> Result<()> {
    let raw = Raw::load(GUEST)?;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let runtime = Runtime::new(RuntimeConfig::default())?;
    let wasm = guest(GUEST)?;
    let version = Digest(digest_of(&wasm));
    let plugin = tokio.block_on(runtime.load_bytes(wasm))?;
    let folder = tempfile::tempdir()?;
    let journal = tokio.block_on(Attempts::open(folder.path(), version, &runtime))?;
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
                let start = journal.start(number, settings.clone());
                let host = Buffered(journal.begin(number, &start)?);
                let report = runtime.run(&plugin, input(&start), Box::new(host)).await;
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
    tokio.block_on(journal.database.close());
    figures.add("run_per_raw", format!("{:.2}", median(ratios)), "ratio");
    figures.add("run_cpu", format!("{:.1}", median(ours)), "us");
    figures.add("raw_cpu", format!("{:.1}", median(peers)), "us");
    figures.add("run_fuel", fuel, "fuel");
    Ok(())
}

/// A journal with one shop, and what its attempts start from.
struct Attempts {
    database: Database,
    journal: Journal,
    tenant: TenantId,
    version: Digest,
    engine: String,
}

impl Attempts {
    async fn open(folder: &std::path::Path, version: Digest, runtime: &Runtime) -> Result<Attempts> {
        let clock = Clock::system();
        let database = Database::open(OpenOptions::new(folder)).await?;
        let (tenants, tenant) = shop::open(&database, &clock).await?;
        let journal = Journal::open(database.clone(), tenants, clock);
        Ok(Attempts { database, journal, tenant, version, engine: runtime.recorded_engine().to_owned() })
    }

    fn start(&self, number: u32, settings: Arc<Value>) -> AttemptStart {
        AttemptStart {
            version: self.version,
            engine: self.engine.clone(),
            clock_ms: 1_764_642_404_000,
            inputs: Inputs {
                settings,
                secrets: Default::default(),
                grants: BTreeSet::new(),
                limits: json!({}),
                seed: [number as u8; 32],
                is_last: false,
            },
            snapshot: None,
            resumes: 0,
        }
    }

    fn begin(&self, number: u32, start: &AttemptStart) -> Result<Buffer> {
        Ok(self.journal.begin_attempt(self.tenant, RunId(i64::from(number) + 1), 1, start)?)
    }
}

fn input(start: &AttemptStart) -> RunInput {
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
        clock_ms: start.clock_ms,
        seed: start.inputs.seed,
        settings: Arc::clone(&start.inputs.settings),
        grants: start.inputs.grants.clone(),
        limits: Limits::default(),
        deadline: Duration::from_secs(60),
    }
}

/// This thread's CPU time.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// A host that keeps the attempt's buffer and is never asked: the guest's one call is answered inside the sandbox's own room.
struct Buffered(Buffer);

#[async_trait]
impl RunHost for Buffered {
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
    fn log(&mut self, level: u8, text: &str) {
        // The guest logs nothing; if it did, a line that can't be sealed would be missing, and nothing else.
        let _ = self.0.log(level, text);
    }
}
