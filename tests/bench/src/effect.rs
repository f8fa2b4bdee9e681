//! `run_with_effect_per_raw_io`: the time of a run with one effect over its input and output alone: the bare call of the API
//! and two durable commits (the intent, the outcome).
//!
//! A run goes from its durable event to its end, through the real lanes, journal, sandbox and operations; one order each,
//! one after another. The platform is a loopback server that answers after 2 ms. The peer makes the same request to it with
//! the same HTTP client, and its commits with the same writer on the same file. Both in turns; median of the ratios.
use std::{
    future::IntoFuture,
    net::SocketAddr,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use axum::{Json, Router};
use fangshi_database::{Clock, Database, Digest, OpenOptions, TenantId, WriteError, Writer};
use fangshi_harness::{Figures, guest, median};
use fangshi_journal::{Journal, NewEvent, Source};
use fangshi_lanes::{Finished, Installed, Lanes, LanesConfig, Parts, WasmGuests};
use fangshi_operations::{Operations, OperationsConfig};
use fangshi_runtime::{Runtime, RuntimeConfig, digest_of};
use fangshi_tenants::{GrantAsked, ManifestRecord, NewInstallation, Tenants};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::shop::{self, TOKEN};

const GUEST: &str = "one-effect";
const NOTES: &str = "/channels/ec/order/merchantnotes/update";
const ANSWERED_AFTER: Duration = Duration::from_millis(2);
const RUNS: usize = 100;
const REPETITIONS: usize = 9;
/// About what an intent and an outcome write.
const ROW: usize = 400;

pub fn measure(figures: &mut Figures) -> Result<()> {
    let address = platform()?;
    let folder = tempfile::tempdir()?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let mut host = Host::start(folder.path(), address).await?;
        let peer = Peer::start(&host.database, address).await?;
        // Connections, pages and code are warm from here on.
        host.runs().await?;
        peer.calls().await?;
        let (mut ratios, mut ours, mut peers) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..REPETITIONS {
            let (bare, run) = (peer.calls().await?, host.runs().await?);
            ratios.push(run / bare);
            ours.push(run);
            peers.push(bare);
        }
        figures.add("run_with_effect_per_raw_io", format!("{:.3}", median(ratios)), "ratio");
        figures.add("run_with_effect", format!("{:.2}", median(ours)), "ms");
        figures.add("raw_io", format!("{:.2}", median(peers)), "ms");
        host.close().await;
        Ok(())
    })
}

/// A server that answers every request after 2 ms, on a thread of its own until the process ends.
fn platform() -> Result<SocketAddr> {
    let (told, address) = mpsc::channel();
    std::thread::spawn(move || -> Result<()> {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            told.send(listener.local_addr()?)?;
            let answer = async || {
                tokio::time::sleep(ANSWERED_AFTER).await;
                Json(json!({"errcode": 0, "errmsg": "ok"}))
            };
            Ok(axum::serve(listener, Router::new().fallback(answer)).into_future().await?)
        })
    });
    address.recv().context("the server did not start")
}

/// The rooms between a durable event and the platform, with one shop and its plugin.
struct Host {
    database: Database,
    journal: Journal,
    lanes: Lanes,
    finished: broadcast::Receiver<Finished>,
    clock: Clock,
    tenant: TenantId,
    orders: u64,
}

impl Host {
    async fn start(folder: &std::path::Path, address: SocketAddr) -> Result<Host> {
        let clock = Clock::system();
        let database = Database::open(OpenOptions::new(folder)).await?;
        let (tenants, tenant) = shop::open(&database, &clock).await?;
        let code_dir = Some(folder.join("code"));
        let runtime = Runtime::new(RuntimeConfig { code_dir, code_key: [1; 32].into(), ..RuntimeConfig::default() })?;
        install(&tenants, &runtime, tenant).await?;
        let journal = Journal::open(database.clone(), tenants.clone(), clock.clone());
        let api_base = format!("http://{address}");
        let operations = OperationsConfig { api_base, clock: clock.clone(), ..OperationsConfig::default() };
        let lanes = Lanes::start(Parts {
            journal: journal.clone(),
            directory: Arc::new(Installed::new(tenants.clone(), Arc::default())),
            guests: Arc::new(WasmGuests::new(runtime, tenants.clone())),
            shop: Arc::new(Operations::new(operations, tenants)?),
            clock: clock.clone(),
            config: LanesConfig::default(),
        })
        .await?;
        let finished = lanes.finished();
        Ok(Host { database, journal, lanes, finished, clock, tenant, orders: 0 })
    }

    /// Mean time of a run, milliseconds, from the moment its event is durable.
    async fn runs(&mut self) -> Result<f64> {
        let mut spent = Duration::ZERO;
        for _ in 0..RUNS {
            self.orders += 1;
            let event = self.event(self.orders);
            self.journal.record_event(event).await?;
            let begun = Instant::now();
            let ended = self.finished.recv().await?;
            spent += begun.elapsed();
            ensure!(ended.outcome == "done", "a run ended as {}", ended.outcome);
        }
        Ok(mean_ms(spent))
    }

    fn event(&self, number: u64) -> NewEvent {
        let order_id = (3_700_000_000_000_000_000 + number).to_string();
        let body = json!({"Event": "channels_ec_order_pay", "CreateTime": self.clock.now_s(),
            "order_info": {"order_id": order_id, "pay_time": self.clock.now_s()}});
        let mut dedup = [0; 32];
        dedup[..8].copy_from_slice(&number.to_be_bytes());
        NewEvent {
            tenant: self.tenant,
            event: "channels_ec_order_pay".to_owned(),
            order_id,
            source: Source::Callback,
            ext_type: None,
            created_at: self.clock.now_s(),
            received_at: self.clock.now(),
            dedup,
            body: body.to_string().into_bytes(),
        }
    }

    async fn close(self) {
        self.lanes.stop(Duration::from_secs(5)).await;
        self.database.close().await;
    }
}

async fn install(tenants: &Tenants, runtime: &Runtime, tenant: TenantId) -> Result<()> {
    let wasm = guest(GUEST)?;
    let manifest = runtime.inspect(&wasm)?;
    let grants = manifest.grant_names();
    let asked = manifest.grants.into_iter().map(|one| GrantAsked { name: one.name, functions: one.functions });
    let record = ManifestRecord { hooks: manifest.hooks, grants: asked.collect() };
    let registry = tenants.registry();
    let (plugin, version, _) = registry.add_version(tenant, GUEST, Digest(digest_of(&wasm)), record, &wasm).await?;
    let (settings, limits, schedules) = (json!({}), json!({}), Vec::new());
    let new = NewInstallation { plugin, version: version.digest, grants, settings, limits, schedules };
    registry.install(tenant, new).await?;
    Ok(())
}

/// The same input and output without a host.
struct Peer {
    http: reqwest::Client,
    url: String,
    writer: Writer,
}

impl Peer {
    async fn start(database: &Database, address: SocketAddr) -> Result<Peer> {
        let http = reqwest::Client::builder().no_proxy().referer(false).build()?;
        let url = format!("http://{address}{NOTES}?access_token={TOKEN}");
        let peer = Peer { http, url, writer: database.writer().clone() };
        peer.commit("CREATE TABLE bench_rows (row BLOB NOT NULL)").await?;
        Ok(peer)
    }

    /// Mean time of commit, call, commit, milliseconds.
    async fn calls(&self) -> Result<f64> {
        let begun = Instant::now();
        for number in 0..RUNS {
            self.insert().await?;
            let request = json!({"order_id": number.to_string(), "merchant_notes": "packed"});
            let answer = self.http.post(&self.url).body(request.to_string()).send().await?;
            let answer: Value = serde_json::from_slice(&answer.bytes().await?)?;
            ensure!(answer["errcode"] == 0, "the server answered {answer}");
            self.insert().await?;
        }
        Ok(mean_ms(begun.elapsed()))
    }

    async fn insert(&self) -> Result<()> {
        self.commit("INSERT INTO bench_rows (row) VALUES ($1)").await
    }

    /// One durable transaction.
    async fn commit(&self, statement: &'static str) -> Result<()> {
        let written: Result<(), WriteError> = self
            .writer
            .submit(move |conn| {
                Box::pin(async move {
                    let query = sqlx::query(statement);
                    let query = if statement.contains("$1") { query.bind(vec![7_u8; ROW]) } else { query };
                    query.execute(conn).await?;
                    Ok(())
                })
            })
            .await;
        Ok(written?)
    }
}

fn mean_ms(spent: Duration) -> f64 {
    spent.as_secs_f64() * 1e3 / RUNS as f64
}
