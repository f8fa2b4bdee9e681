//! `fangshi audit`: the chain, read beside a running host or without one. Changes nothing.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use fangshi_database::open_to_read;
use fangshi_tenants::Vault;

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
            AuditCommand::Verify { config, heads } => verify(&Config::load(&config)?, heads).await,
            AuditCommand::Head { config } => head(&Config::load(&config)?).await,
        }
    })
}

async fn verify(config: &Config, copy: Option<PathBuf>) -> anyhow::Result<ExitCode> {
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
    let outcome = fangshi_tenants::verify(&store, &vault, &exported).await.context("reading the audit")?;
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
