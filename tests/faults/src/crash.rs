//! The host is killed again and again while callbacks come in and plugins run. What was not answered is pushed again, as the
//! platform does. In the end every acknowledged callback has exactly one event, and the backlog is empty.
use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use fangshi_harness::{Figures, HostProcess, callbacks, callbacks::Callback, guest, load};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;

const TENANTS: usize = 20;
const CALLBACKS_A_KILL: usize = 2_000;
const CONNECTIONS: usize = 64;
/// The backlog must be empty after so many looks, one every 100 ms.
const PATIENCE: usize = 1_200;

pub fn run(kills: usize, seed: u64, figures: &mut Figures) -> Result<()> {
    let mut dice = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir()?;
    let (secrets, config) = callbacks::component();
    let mut host = HostProcess::start(folder.path(), &config)?;
    let shops = callbacks::shops(TENANTS);
    let tenants = prepare(&host, &shops)?;

    let now = std::time::UNIX_EPOCH.elapsed()?.as_secs() as i64;
    let mut waiting: Vec<Callback> = Vec::new();
    let (mut acknowledged, mut made, mut cut) = (Vec::new(), 0, 0);
    for kill in 0..kills {
        let first_order = 3_700_000_000_000_000_000 + made as u64;
        waiting.extend(callbacks::payments(&secrets, &shops, CALLBACKS_A_KILL, first_order, now)?);
        made += CALLBACKS_A_KILL;
        let requests = Arc::new(waiting.iter().map(|callback| callback.request.clone()).collect::<Vec<_>>());
        let address = host.address.trim_start_matches("http://").trim_end_matches('/').parse()?;
        let loading = std::thread::spawn(move || load::send_all(address, requests, CONNECTIONS, true));
        pause(dice.random_range(50..1_500));
        host = host.kill_and_restart()?;
        let report = loading.join().map_err(|_| anyhow::anyhow!("the generator panicked"))??;
        let before = acknowledged.len();
        waiting = sort_out(waiting, &report.answers, &mut acknowledged);
        cut += usize::from(!waiting.is_empty());
        println!(
            "kill {}: {} acknowledged before it, {} to be pushed again",
            kill + 1,
            acknowledged.len() - before,
            waiting.len()
        );
    }
    while !waiting.is_empty() {
        let requests = Arc::new(waiting.iter().map(|callback| callback.request.clone()).collect::<Vec<_>>());
        let address = host.address.trim_start_matches("http://").trim_end_matches('/').parse()?;
        let report = load::send_all(address, requests, CONNECTIONS, false)?;
        ensure!(report.accepted() > 0, "the healthy host acknowledges nothing");
        waiting = sort_out(waiting, &report.answers, &mut acknowledged);
    }
    drain(&host, &tenants)?;
    host.terminate()?;

    let found = Found::read(&folder.path().join("data/fangshi.db"))?;
    let lost = acknowledged.iter().filter(|order| !found.events.contains_key(*order)).count();
    let doubled = found.events.values().filter(|count| **count > 1).count();
    ensure!(acknowledged.len() == made, "{made} callbacks were made, {} acknowledged", acknowledged.len());
    figures.add("acknowledged", acknowledged.len(), "callbacks");
    figures.add("acknowledged_lost", lost, "events");
    figures.add("events_doubled", doubled, "events");
    figures.add("runs_unfinished", found.unfinished, "runs");
    figures.add("runs_missing", made as i64 - found.runs, "runs");
    figures.add("kills", kills, "kills");
    figures.add("kills_under_load", cut, "kills");
    ensure!(lost == 0 && doubled == 0, "{lost} acknowledged events lost, {doubled} doubled (seed {seed})");
    ensure!(found.unfinished == 0 && found.runs == made as i64, "{} runs, {} unfinished", found.runs, found.unfinished);
    Ok(())
}

/// Creates the tenants and installs a plugin for each.
fn prepare(host: &HostProcess, shops: &[callbacks::Shop]) -> Result<Vec<String>> {
    let admin = host.admin();
    let wasm = guest("settings-only")?;
    block_on(async {
        let mut tenants = Vec::new();
        for shop in shops {
            let body = json!({"platform": "weixin", "kind": "authorized", "appid": shop.appid, "user_name": shop.user_name, "name": shop.appid});
            let tenant = admin.post("/api/v1/tenants", &body).await?["id"].as_str().unwrap_or_default().to_owned();
            let uploaded = admin.upload(&tenant, "settings-only", wasm.clone()).await?;
            admin.install(&tenant, &uploaded, &[], json!({})).await?;
            tenants.push(tenant);
        }
        Ok(tenants)
    })
}

/// Keeps what was not acknowledged.
fn sort_out(sent: Vec<Callback>, answers: &[load::Answer], acknowledged: &mut Vec<String>) -> Vec<Callback> {
    let mut left = Vec::new();
    for (number, callback) in sent.into_iter().enumerate() {
        match answers.get(number) {
            Some(Some(200)) => acknowledged.push(callback.order_id),
            _ => left.push(callback),
        }
    }
    left
}

/// Waits until the host has no unfinished event.
fn drain(host: &HostProcess, tenants: &[String]) -> Result<()> {
    let admin = host.admin();
    for _ in 0..PATIENCE {
        let ready = block_on(admin.get("/readyz"))?;
        if ready["backlog"]["events"].as_i64() == Some(0) {
            return Ok(());
        }
        pause(100);
    }
    anyhow::bail!("the backlog of {} tenants does not reach zero", tenants.len())
}

/// What the store holds after the host has ended.
struct Found {
    /// Events by order id.
    events: HashMap<String, i64>,
    runs: i64,
    unfinished: i64,
}

impl Found {
    fn read(database: &Path) -> Result<Found> {
        block_on(async {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database).read_only(true);
            let pool = sqlx::SqlitePool::connect_with(options).await?;
            let events: Vec<(String, i64)> =
                sqlx::query_as("SELECT order_id, count(*) FROM events GROUP BY order_id").fetch_all(&pool).await?;
            let runs = sqlx::query_scalar("SELECT count(*) FROM runs").fetch_one(&pool).await?;
            let unfinished =
                sqlx::query_scalar("SELECT count(*) FROM runs WHERE finished_at IS NULL").fetch_one(&pool).await?;
            Ok(Found { events: events.into_iter().collect(), runs, unfinished })
        })
    }
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Real time passes here on purpose: a kill must fall into the middle of the load.
#[allow(clippy::disallowed_methods)]
fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}
