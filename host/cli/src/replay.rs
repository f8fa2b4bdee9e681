//! `fangshi replay` and `fangshi backtest`: what was, executed again from the store of a host that is down. A running
//! host does the same at POST /api/v1/tenants/{id}/runs/{run}/replay and …/backtests. Nothing is sent: there is no way
//! to the platform from here.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use fangshi_database::{Clock, Database, Digest, InstallationId, OpenOptions, RunId};
use fangshi_journal::Journal;
use fangshi_lanes::{Backtest, ReplayVerdict, Replayed, Replays, WasmGuests};
use fangshi_runtime::{Runtime, RuntimeConfig};
use fangshi_tenants::{TenantId, Tenants};

use crate::config::Config;
use crate::grants::spelled;
use crate::keys;

#[derive(Args)]
pub struct ReplayArguments {
    /// The config file (TOML).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The tenant, such as t1.
    #[arg(long, value_name = "ID")]
    tenant: TenantId,
    /// The run, such as r1.
    #[arg(long, value_name = "ID")]
    run: RunId,
    /// The attempt, from 1; the last one if absent.
    #[arg(long, value_name = "NUMBER")]
    attempt: Option<u32>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct BacktestArguments {
    /// The config file (TOML).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The tenant, such as t1.
    #[arg(long, value_name = "ID")]
    tenant: TenantId,
    /// The installation that the version would work for, such as i1.
    #[arg(long, value_name = "ID")]
    installation: InstallationId,
    /// The sha256 in hex of an uploaded version of the installation's plugin.
    #[arg(long, value_name = "SHA256")]
    version: Digest,
    /// How many of the tenant's last events that call a hook.
    #[arg(long, value_name = "N", default_value_t = 100)]
    last: u32,
    /// What the version would be granted, with commas between; what the installation is granted now if absent.
    #[arg(long, value_name = "GRANTS", value_delimiter = ',')]
    grants: Option<Vec<String>>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Executes one attempt again. Exit code 1 if it diverged.
pub fn replay(arguments: &ReplayArguments) -> anyhow::Result<ExitCode> {
    let config = Config::load(&arguments.config)?;
    on_store(&config, async |_, replays| {
        let replayed = replays.replay(arguments.tenant, arguments.run, arguments.attempt).await?;
        let mut out = std::io::stdout().lock();
        if arguments.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&replayed)?)?;
        } else {
            print(&mut out, &replayed)?;
        }
        let diverged = matches!(replayed.verdict, ReplayVerdict::Diverged(_));
        Ok(if diverged { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    })
}

/// Tries a version on recorded events.
pub fn backtest(arguments: &BacktestArguments) -> anyhow::Result<ExitCode> {
    let config = Config::load(&arguments.config)?;
    on_store(&config, async |tenants, replays| {
        let BacktestArguments { tenant, installation, version, last, grants, json, .. } = arguments;
        let grants = grants.as_deref().map(spelled).transpose()?;
        let ask = Backtest::of(tenants.registry(), *tenant, *installation, *version, *last, grants).await?;
        let report = replays.backtest(&ask).await?;
        let mut out = std::io::stdout().lock();
        match json {
            true => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
            false => write!(out, "{}", report.table())?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Opens the store, works on it, and closes it.
fn on_store(
    config: &Config,
    work: impl AsyncFnOnce(&Tenants, &Replays) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let executor = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    executor.block_on(async {
        let database = Database::open(OpenOptions::new(&config.data_dir)).await?;
        let done = async {
            let clock = Clock::system();
            let kek = keys::of_config(&database, config).await?;
            let tenants = Tenants::open(database.clone(), kek, None, clock.clone()).await?;
            let journal = Journal::open(database.clone(), tenants.clone(), clock);
            let settings = RuntimeConfig {
                max_concurrent_runs: 1,
                max_component_bytes: config.max_plugin_bytes,
                ..RuntimeConfig::default()
            };
            let runtime = Runtime::new(settings).context("starting the sandbox")?;
            let replays = Replays::new(journal, Arc::new(WasmGuests::new(runtime, tenants.clone())));
            work(&tenants, &replays).await
        }
        .await;
        database.close().await;
        done
    })
}

fn print(out: &mut impl Write, replayed: &Replayed) -> anyhow::Result<()> {
    let verdict = match &replayed.verdict {
        ReplayVerdict::Same => "the same".to_owned(),
        ReplayVerdict::SameSoFar => "the same as far as the journal goes".to_owned(),
        ReplayVerdict::Diverged(text) => format!("diverged: {text}"),
    };
    let then = replayed.outcome_then.as_deref().unwrap_or("none: cut off, or under way");
    writeln!(out, "attempt  {} of {}, version {}", replayed.attempt, replayed.run, replayed.version)?;
    writeln!(out, "verdict  {verdict}")?;
    writeln!(out, "outcome  then {then}, now {}", replayed.outcome_now)?;
    writeln!(out, "calls    then {}, now {}", replayed.calls_then, replayed.calls_now)?;
    let fuel = replayed.fuel_then.map_or("unknown".to_owned(), |fuel| fuel.to_string());
    writeln!(out, "fuel     then {fuel}, now {}", replayed.fuel_now)?;
    writeln!(out, "engine   then {}, now {}", replayed.engine_then, replayed.engine_now)?;
    Ok(())
}
