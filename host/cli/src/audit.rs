//! `fangshi audit`: the chain, read beside a running host or without one. Changes nothing.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use fangshi_database::open_to_read;
use fangshi_tenants::{Restored, Vault};

use crate::config::Config;

/// Exported heads, in the data folder.
pub const HEADS_FOLDER: &str = "audit-heads";
/// The exit code of a chain that holds but for exported heads that a restore cut off.
const CUT_BY_A_RESTORE: u8 = 3;

#[derive(Subcommand)]
pub enum AuditCommand {
    /// Check the whole chain and say the first entry that does not hold (exit code 1), or which exported heads a restore cut
    /// off (exit code 3).
    Verify {
        /// The host's config file (TOML).
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// A copy of exported heads that was kept elsewhere; those of the data folder are checked in any case.
        #[arg(long, value_name = "FILE")]
        heads: Option<PathBuf>,
        /// The day (UTC) of a restore of yours whose entry doesn't seal it, as builds wrote it before they did: `17=2026-01-31`.
        #[arg(long, value_name = "ENTRY=DATE", value_parser = restored)]
        restored: Vec<Restored>,
    },
    /// Print number and hash of the last entry.
    Head {
        /// The host's config file (TOML).
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// Runs one of them.
pub fn run(command: AuditCommand) -> anyhow::Result<ExitCode> {
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    executor.block_on(async {
        match command {
            AuditCommand::Verify { config, heads, restored } => verify(&Config::load(&config)?, heads, &restored).await,
            AuditCommand::Head { config } => head(&Config::load(&config)?).await,
        }
    })
}

/// Reads `17=2026-01-31`.
fn restored(text: &str) -> anyhow::Result<Restored> {
    let (number, date) = text.split_once('=').context("expected ENTRY=DATE, such as 17=2026-01-31")?;
    let of_a_day = |at: usize, byte: u8| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    let is_day = date.len() == 10 && date.bytes().enumerate().all(|(at, byte)| of_a_day(at, byte));
    anyhow::ensure!(is_day, "{date} is no day, such as 2026-01-31");
    Ok(Restored { number: number.parse().context("the entry's number")?, date: date.to_owned() })
}

async fn verify(config: &Config, copy: Option<PathBuf>, dated: &[Restored]) -> anyhow::Result<ExitCode> {
    let store = open_to_read(&config.data_dir).await?;
    let kek = crate::keys::existing(config)?;
    let vault = Vault::load(&store, &kek).await?;
    let mut exported = fangshi_tenants::read_heads(&config.data_dir.join(HEADS_FOLDER))?;
    if let Some(copy) = copy {
        anyhow::ensure!(copy.exists(), "--heads {}: there is no such file", copy.display());
        exported.extend(fangshi_tenants::read_heads(&copy)?);
    }
    // A copy holds the lines of the data folder as well.
    exported.sort_by(|one, other| (one.number, &one.date, one.hash).cmp(&(other.number, &other.date, other.hash)));
    exported.dedup();
    let outcome = fangshi_tenants::verify(&store, &vault, &exported, dated).await.context("reading the audit")?;
    let mut out = std::io::stdout().lock();
    match outcome {
        Ok(verified) => {
            let (number, hash) =
                verified.head.map_or((0, "none".to_owned()), |head| (head.number, head.hash.to_string()));
            writeln!(out, "the audit holds: {number} entries, head {hash}")?;
            writeln!(
                out,
                "{} exported heads fit; details of {} entries fit, of {} were deleted with their tenant's key",
                verified.heads, verified.details, verified.deleted
            )?;
            for cut in &verified.cut {
                writeln!(
                    out,
                    "cut by the restore at entry {}: on {} the chain went up to entry {}",
                    cut.restored, cut.head.date, cut.head.number
                )?;
            }
            Ok(if verified.cut.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(CUT_BY_A_RESTORE) })
        }
        Err(broken) => {
            writeln!(out, "the audit is broken at {broken}")?;
            for entry in &broken.undated {
                writeln!(
                    out,
                    "entry {entry} tells of a restore and does not seal its day: if that restore was yours, say \
                     --restored {entry}=DATE, and heads up to that day are held against it"
                )?;
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn head(config: &Config) -> anyhow::Result<ExitCode> {
    let store = open_to_read(&config.data_dir).await?;
    let mut out = std::io::stdout().lock();
    match fangshi_tenants::head(&store).await.context("reading the audit")? {
        Some(head) => writeln!(out, "{} {}", head.number, head.hash)?,
        None => writeln!(out, "the audit is empty")?,
    }
    Ok(ExitCode::SUCCESS)
}
