//! `fangshi serve`: starts the rooms in their order, serves, and stops them in the reverse one.
//!
//! database → tenants (with the rules of the key) → journal → operations → runtime → the second wall → lanes → onboarding and
//! reconciliation → HTTP. Whatever fails on the way ends the start with what to do; nothing of a plugin runs before the wall is up, and
//! nothing listens before everything behind it works.

mod ahead;
mod alerts;
mod code_key;
mod code_sweep;
mod doors;
mod ending;
mod heads;
mod hold;
mod life;
mod onboarding;
mod ready;
mod reread;
mod rooms;
mod server;
mod signals;
mod ticks;
mod unread;
mod walls;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use fangshi_callback::{Callback, CallbackLimits, Durable};
use fangshi_console::{Console, Crowd, Entrance, OperatorToken, Uploading, Walls};
use fangshi_lanes::Ticker;
use fangshi_operations::Outgoing;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

use crate::config::Config;
use doors::Doors;
use ending::Ending;
pub use hold::release_file;
use ready::Ready;
use rooms::Rooms;
use server::{Patience, Server};
use signals::Signals;

/// How long open connections may finish their requests at the stop, before they are cut off; the platform's own patience is
/// 5 s.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// Serves until SIGTERM or Ctrl-C, or until the store can't be written any more.
pub fn run(config: Config) -> anyhow::Result<()> {
    let walls = walls::raise(config.listen.port(), config.landlock);
    let metrics = record_metrics()?;
    let executor = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    executor.block_on(serve(config, metrics, walls))
}

async fn serve(config: Config, metrics: PrometheusHandle, walls: Walls) -> anyhow::Result<()> {
    // Asked for first: a signal during the start ends it like one after.
    let mut signals = Signals::new()?;
    let ready = Ready::open(&config).await?;
    let raised = walls::close(walls, config.seccomp);
    let rooms = ready.start(&config, raised).await?;
    let life = life::start(rooms.tenants.clone(), rooms.journal.clone(), rooms.lanes.clone(), config.retention);
    let rereading = reread::Rereading {
        tenants: rooms.tenants.clone(),
        journal: rooms.journal.clone(),
        platform: rooms.operations.clone(),
        data_dir: config.data_dir.clone(),
    };
    let holding = hold::Hold { rereading, lanes: rooms.lanes.clone() };
    let holding = holding.start();
    let alerting = watch(&config, &rooms)?.start();
    let exporting = heads::export_daily(&rooms, &config.data_dir);
    let sweeping = code_sweep::sweep_daily(&rooms);
    let ahead = ahead::start(&rooms);
    let ticking = ticks::start(Ticker::new(rooms.journal.clone(), rooms.lanes.clone()));
    let served = listen(&config, &rooms, metrics, raised.walls(), &mut signals).await;
    ticking.abort();
    life.abort();
    exporting.abort();
    sweeping.abort();
    // A refresh under way is a flight of its own: the rooms are closed after it.
    ahead.abort();
    alerting.abort();
    holding.abort();
    tokio::select! {
        () = rooms.close(config.shutdown) => tracing::info!("stopped"),
        // Nothing is lost by it: what was cut off is resumed, as after a crash.
        signal = signals.next() => tracing::warn!(signal, "stopped at once, at the second signal"),
    }
    served
}

fn watch(config: &Config, rooms: &Rooms) -> anyhow::Result<alerts::Watch> {
    let outgoing = match &config.alerts.webhook_url {
        Some(url) => Some(Outgoing::new(url.clone(), config.alerts.webhook_secret.clone())?),
        None => None,
    };
    Ok(alerts::Watch {
        tenants: rooms.tenants.clone(),
        journal: rooms.journal.clone(),
        operations: rooms.operations.clone(),
        outgoing,
        backlog_old_ms: config.alerts.backlog_old.as_millis() as u64,
    })
}

/// Listens, tells where, and returns after the first signal and the last answer; with an error if something else ended it.
async fn listen(
    config: &Config,
    rooms: &Rooms,
    metrics: PrometheusHandle,
    walls: Walls,
    signals: &mut Signals,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!("listen {}: expected a free address of this machine (config key `listen`)", config.listen)
    })?;
    let address = listener.local_addr()?;
    let places = server::places();
    let doors = doors(config, rooms, metrics, walls, address, places)?;
    let server = Server::start(listener, places, Patience::default(), move |request, peer| doors.answer(request, peer));
    announce(address)?;
    tracing::info!(
        %address,
        engine = rooms.runtime.engine_version(),
        config = %config.file.display(),
        data_dir = %config.data_dir.display(),
        "listening"
    );

    let ending = Ending::wait(signals, rooms.database.writer()).await;
    match &ending {
        Ending::Signal(signal) => {
            tracing::info!(signal, grace_s = config.shutdown.as_secs(), "stopping: no new callbacks, runs may end");
        }
        Ending::WriterDied => tracing::error!("stopping: the writer of the store has died"),
    }
    server.stop(LAST_REQUESTS).await;
    ending.outcome()
}

/// The one line on standard output, for people and for whoever started the process with port 0.
fn announce(address: std::net::SocketAddr) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "fangshi listening on http://{address}")?;
    out.flush()?;
    Ok(())
}

fn callback_limits(config: &Config) -> CallbackLimits {
    CallbackLimits { window: config.timestamp_window.as_secs() as i64, ..CallbackLimits::default() }
}

fn doors(
    config: &Config,
    rooms: &Rooms,
    metrics: PrometheusHandle,
    walls: Walls,
    address: SocketAddr,
    places: usize,
) -> anyhow::Result<Doors> {
    let component = config.component.as_ref().map(|component| fangshi_callback::Component {
        appid: component.appid.clone(),
        keys: rooms::component_keys(component),
    });
    let durable = Durable { journal: rooms.journal.clone(), tenants: rooms.tenants.clone() };
    let limits = callback_limits(config);
    let callback = Callback::new(rooms.tenants.clone(), durable, component.as_ref(), limits, rooms.clock.clone())
        .context("weixin.encoding_aes_key or previous_encoding_aes_key: expected 43 letters and digits")?;
    let console = Console {
        tenants: rooms.tenants.clone(),
        journal: rooms.journal.clone(),
        lanes: rooms.lanes.clone(),
        operations: rooms.operations.clone(),
        runtime: rooms.runtime.clone(),
        metrics,
        entrance: Entrance {
            platform: rooms.operations.authorizer(),
            // Browsers of this machine alone: for trying it out.
            public_url: config
                .public_url
                .clone()
                .or_else(|| address.ip().is_loopback().then(|| format!("http://{address}"))),
            pc_page: config.authorize_pages.0.clone(),
            h5_page: config.authorize_pages.1.clone(),
        },
        operator: OperatorToken::new(&config.operator_token),
        max_plugin_bytes: config.max_plugin_bytes,
        uploads: config.uploads,
        plans: rooms.plans.clone(),
        trusted: config.trusted.clone(),
        approval: config.approval,
        uploading: Uploading::within(config.upload_memory),
        crowd: Crowd::default(),
        body_time: config.body_time,
        walls,
        backtesting: Arc::new(tokio::sync::Semaphore::new(1)),
    };
    Ok(Doors::new(callback.door(), fangshi_console::router(console), places))
}

/// Times as histograms with fixed buckets: an average over hours hides a slow minute.
fn record_metrics() -> anyhow::Result<PrometheusHandle> {
    const SECONDS: &[f64] =
        &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];
    const FUEL: &[f64] = &[1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_fuel".to_owned()), FUEL)?
        .install_recorder()
        .context("starting the metrics")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_for_timestamps_is_the_configs() {
        let token = "0123456789abcdef0123456789abcdef";
        let text = format!("data_dir = \"d\"\noperator.token = \"{token}\"\nweixin.timestamp_window_hours = 5");
        let config = Config::parse(std::path::Path::new("fangshi.toml"), &text, &|_| None).unwrap();
        assert_eq!(callback_limits(&config).window, 5 * 3_600);
    }
}
