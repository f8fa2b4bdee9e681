//! `fangshi backup` and `fangshi restore`: a copy of the store beside a running host, and back.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use fangshi_database::{Clock, Database, DatabaseError, OpenOptions, back_up, open_to_read, put_back, stage};
use fangshi_journal::{Journal, Restore, last_restore};
use fangshi_tenants::{Actor, Deletion, ErasedList, KeyWrap, Tenants};

use crate::config::{Config, KEY_VARIABLE, KeySource};
use crate::serve::release_file;

/// How long a running host may take to end the hold.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Args)]
pub struct BackupArguments {
    /// The host's config file (TOML).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The file to make; only its owner may read it.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

#[derive(Args)]
pub struct RestoreArguments {
    /// The host's config file (TOML). Its data_dir must hold no store, and nothing that one left behind.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The backup. The host must be down.
    #[arg(long, value_name = "FILE", required_unless_present = "release", conflicts_with = "release")]
    from: Option<PathBuf>,
    /// End the hold of a restored store: lanes work again. The host may be running.
    #[arg(long)]
    release: bool,
    /// With --release: even if tokens and orders were not read again yet.
    #[arg(long, requires = "release")]
    force: bool,
}

/// Copies the store.
pub fn backup(arguments: &BackupArguments) -> anyhow::Result<ExitCode> {
    let config = Config::load(&arguments.config)?;
    let bytes = block_on(async { Ok(back_up(&config.data_dir, &arguments.to).await?) })?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}: {bytes} bytes, the store as it was at one moment", arguments.to.display())?;
    writeln!(out, "no key is in it: it opens with the key of now alone, which is to be kept elsewhere")?;
    match &config.key {
        KeySource::File(file) => writeln!(out, "that key is in {}", file.display())?,
        KeySource::Text(_) => writeln!(out, "that key is in the environment's {KEY_VARIABLE}")?,
    }
    writeln!(out, "who is deleted from now on is in {}: keep it, a restore needs it", config.erased_file.display())?;
    Ok(ExitCode::SUCCESS)
}

/// Puts a backup back, or ends the hold.
pub fn restore(arguments: &RestoreArguments) -> anyhow::Result<ExitCode> {
    let config = Config::load(&arguments.config)?;
    block_on(async {
        match &arguments.from {
            Some(from) => restore_from(&config, from).await,
            None => release(&config, arguments.force).await,
        }
    })
}

async fn restore_from(config: &Config, from: &Path) -> anyhow::Result<ExitCode> {
    // Asked first: without the right key the copy is of no use, and none may be made for it.
    let kek = crate::keys::existing(config)?;
    let id = KeyWrap::id(&kek);
    let list = ErasedList::new(config.erased_file.clone());
    let staged = stage(from, &config.data_dir).await?;
    let database = Database::open(OpenOptions::new(&staged)).await?;
    let held = async {
        let clock = Clock::system();
        let tenants = Tenants::open(database.clone(), kek, None, clock.clone()).await?;
        let journal = Journal::open(database.clone(), tenants.clone(), clock);
        journal.hold(Actor::Operator(None)).await?;
        delete_again(&tenants.by(Actor::Operator(None)), &journal, &list).await
    }
    .await;
    database.close().await;
    let erased = held?;
    // A word that an earlier release left behind is not meant for this hold.
    let _ = std::fs::remove_file(release_file(&config.data_dir));
    put_back(&config.data_dir)?;
    if let Some(repeated) = erased.as_ref().filter(|repeated| !repeated.carried_out.is_empty()) {
        // Not before: a restore that is given up has decided nothing.
        let noted = list.note(&repeated.carried_out, &|_| false);
        noted.with_context(|| list.file().display().to_string())?;
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "the store is back in {}, under the key {id}, and held", config.data_dir.display())?;
    match erased {
        Some(Repeated { tenants, unreadable, begun, .. }) => {
            writeln!(out, "{tenants} tenants that were deleted since the backup are deleted again")?;
            for appid in begun {
                writeln!(
                    out,
                    "WARNING: the host ended while it deleted {appid}; whether it did is not known. It is deleted now"
                )?;
            }
            if unreadable > 0 {
                writeln!(out, "WARNING: {unreadable} lines of {} can't be read", config.erased_file.display())?;
            }
        }
        None => {
            writeln!(out, "WARNING: there is no list of deletions {}:", config.erased_file.display())?;
            writeln!(
                out,
                "tenants that were deleted since the backup are back with all their data; delete them again"
            )?;
        }
    }
    writeln!(
        out,
        "start the host: callbacks are recorded, tokens and the orders of unfinished events are read again,"
    )?;
    writeln!(out, "and no plugin runs until `fangshi restore --release`")?;
    writeln!(
        out,
        "sessions and unused links of the merchant page were ended. API tokens are as the backup had them: those revoked since"
    )?;
    writeln!(out, "work again. Read GET /api/v1/tokens and revoke them anew")?;
    Ok(ExitCode::SUCCESS)
}

/// What became of the list of deletions.
struct Repeated {
    /// Tenants that the backup had brought back.
    tenants: usize,
    /// Lines that can't be read.
    unreadable: usize,
    /// Appids of those among the tenants whose deletion may not have been carried out before.
    begun: Vec<String>,
    /// All that the list says, if something in it is left as intended.
    carried_out: Vec<Deletion>,
}

/// Repeats the deletions of the list in the store, rows included; none if there is no list.
async fn delete_again(tenants: &Tenants, journal: &Journal, list: &ErasedList) -> anyhow::Result<Option<Repeated>> {
    let Some(erased) = list.read().with_context(|| list.file().display().to_string())? else { return Ok(None) };
    let mut repeated =
        Repeated { tenants: 0, unreadable: erased.unreadable, begun: Vec::new(), carried_out: Vec::new() };
    for deletion in &erased.deletions {
        repeated.tenants += usize::from(tenants.delete_again(deletion).await?);
    }
    for deletion in &erased.intended {
        if tenants.delete_again(deletion).await? {
            repeated.tenants += 1;
            repeated.begun.push(deletion.appid.clone());
        }
    }
    if !erased.intended.is_empty() {
        repeated.carried_out = erased.deletions.into_iter().chain(erased.intended).collect();
    }
    journal.erase_deleted(journal.clock().now()).await?;
    Ok(Some(repeated))
}

async fn release(config: &Config, force: bool) -> anyhow::Result<ExitCode> {
    let Some(restored) = restored(config).await?.filter(Restore::is_held) else {
        bail!("the store is not held: there is nothing to release");
    };
    if !restored.is_ready() && !force {
        let done = |at: Option<i64>| if at.is_some() { "read again" } else { "not read again yet" };
        bail!(
            "not ready: tokens are {}, orders of unfinished events are {}. The running host does both; --force ends the \
             hold without",
            done(restored.tokens_at),
            done(restored.orders_at)
        );
    }
    match Database::open(OpenOptions::new(&config.data_dir)).await {
        Ok(database) => {
            let released = release_on(&database, config).await;
            database.close().await;
            released?;
        }
        Err(DatabaseError::Locked { .. }) => tell_the_host(config).await?,
        Err(error) => return Err(error.into()),
    }
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "the hold is over: {} orders were read again, {} could not be",
        restored.orders, restored.unreadable
    )?;
    writeln!(out, "runs of the backup's events send nothing but what the platform shows to be missing")?;
    Ok(ExitCode::SUCCESS)
}

async fn release_on(database: &Database, config: &Config) -> anyhow::Result<()> {
    let clock = Clock::system();
    let kek = crate::keys::of_config(database, config).await?;
    let tenants = Tenants::open(database.clone(), kek, None, clock.clone()).await?;
    Journal::open(database.clone(), tenants, clock).release(Actor::Operator(None)).await?;
    Ok(())
}

/// The host alone writes its store: it is told by a file, and looks for it every second.
async fn tell_the_host(config: &Config) -> anyhow::Result<()> {
    let file = release_file(&config.data_dir);
    std::fs::write(&file, "").with_context(|| file.display().to_string())?;
    let waiting = async {
        while restored(config).await?.is_some_and(|restored| restored.is_held()) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, waiting).await.context("the running host did not end the hold: see its log")?
}

async fn restored(config: &Config) -> anyhow::Result<Option<Restore>> {
    let store = open_to_read(&config.data_dir).await?;
    let restored = last_restore(&store).await;
    store.close().await;
    Ok(restored?)
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(work)
}
