//! `ack_per_hello`: durable acknowledgements per second over a bare handler's requests per second.
//!
//! The same generator, 256 connections, ten short turns of each, median of the ratios: a machine that others work on
//! changes within seconds, and both must meet the same. Every callback is distinct, valid and encrypted beforehand, over
//! 200 tenants; afterwards the rows are counted.
use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use fangshi_harness::{
    Figures, HostProcess,
    callbacks::{self, Shop},
    load::{self, Connections},
    median,
};
use serde_json::json;

const CONNECTIONS: usize = 256;
const TENANTS: usize = 200;
const TURNS: usize = 10;
/// Of a turn: about a second of each, on two cores. Shorter ones measure the way to a steady pace more than the pace.
const CALLBACKS: usize = 40_000;
const BARE_REQUESTS: usize = 100_000;

pub fn measure(figures: &mut Figures) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (secrets, config) = callbacks::component();
    let host = HostProcess::start(folder.path(), &config)?;
    let shops = callbacks::shops(TENANTS);
    create(&host, &shops)?;
    let hello = Hello::start()?;

    let now = std::time::UNIX_EPOCH.elapsed()?.as_secs() as i64;
    let (mut ratios, mut rates, mut bare_rates, mut p99) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let plain = Arc::new(vec![load::render("GET", "/", "text/plain", b""); BARE_REQUESTS]);
    let mut to_hello = Connections::open(hello.address, CONNECTIONS)?;
    let mut to_host = Connections::open(address(&host)?, CONNECTIONS)?;
    for turn in 0..TURNS {
        let first_order = 3_700_000_000_000_000_000 + (turn * CALLBACKS) as u64;
        let requests: Vec<_> = callbacks::payments(&secrets, &shops, CALLBACKS, first_order, now)?
            .into_iter()
            .map(|callback| callback.request)
            .collect();
        wait_until_idle(&host)?;
        let bare = to_hello.send_all(&plain, false)?;
        ensure!(bare.accepted() == BARE_REQUESTS, "the bare handler refused");
        let acks = to_host.send_all(&Arc::new(requests), false)?;
        ensure!(acks.accepted() == CALLBACKS, "only {} of {CALLBACKS} callbacks were acknowledged", acks.accepted());
        ratios.push(acks.rate() / bare.rate());
        rates.push(acks.rate());
        bare_rates.push(bare.rate());
        p99.push(acks.percentile(0.99).as_secs_f64() * 1e3);
    }
    drop((to_hello, to_host, hello));
    host.terminate()?;
    let rows = count_events(&folder.path().join("data/fangshi.db"))?;
    ensure!(rows == (TURNS * CALLBACKS) as i64, "{rows} rows for {} acknowledgements", TURNS * CALLBACKS);

    figures.add("ack_per_hello", format!("{:.3}", median(ratios)), "ratio");
    figures.add("hello_per_second", format!("{:.0}", median(bare_rates)), "1/s");
    figures.add("ack_per_second", format!("{:.0}", median(rates)), "1/s");
    figures.add("ack_p99", format!("{:.2}", median(p99)), "ms");
    figures.add("ack_rows", rows, "rows");
    Ok(())
}

fn create(host: &HostProcess, shops: &[Shop]) -> Result<()> {
    let admin = host.admin();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        for shop in shops {
            let body = json!({"platform": "weixin", "kind": "authorized", "appid": shop.appid, "user_name": shop.user_name, "name": shop.appid});
            admin.post("/api/v1/tenants", &body).await?;
        }
        Ok(())
    })
}

/// The peer must not share the cores with the host's work on what came before.
fn wait_until_idle(host: &HostProcess) -> Result<()> {
    let admin = host.admin();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        while admin.get("/readyz").await?["backlog"]["events"].as_i64() != Some(0) {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        Ok(())
    })
}

fn address(host: &HostProcess) -> Result<SocketAddr> {
    Ok(host.address.trim_start_matches("http://").trim_end_matches('/').parse()?)
}

/// Rows in the table of events, read after the host has ended.
fn count_events(database: &std::path::Path) -> Result<i64> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database).read_only(true);
        let pool = sqlx::SqlitePool::connect_with(options).await?;
        Ok(sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(&pool).await?)
    })
}

/// The peer's process; killed when dropped.
struct Hello {
    child: Child,
    address: SocketAddr,
}

impl Hello {
    fn start() -> Result<Hello> {
        let mut child = Command::new(std::env::current_exe()?).arg("hello").stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let address = line.split("http://").nth(1).context("no address")?.trim().parse()?;
        Ok(Hello { child, address })
    }
}

impl Drop for Hello {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
