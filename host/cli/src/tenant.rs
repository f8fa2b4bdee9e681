//! `fangshi tenant`: one tenant's data, while the host is down.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use fangshi_database::{Clock, Database, OpenOptions};
use fangshi_journal::Journal;
use fangshi_tenants::{Action, Actor, Entry, TenantId, Tenants};

use crate::config::Config;
use crate::keys;

/// Writes everything of one tenant, in clear, into a new file that its owner alone can read.
pub fn export(config: &Path, tenant: TenantId, to: &Path) -> anyhow::Result<ExitCode> {
    let config = Config::load(config)?;
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    executor.block_on(async {
        let database = Database::open(OpenOptions::new(&config.data_dir)).await?;
        let done = export_from(&database, &config, tenant, to).await;
        database.close().await;
        done
    })
}

async fn export_from(database: &Database, config: &Config, tenant: TenantId, to: &Path) -> anyhow::Result<ExitCode> {
    let kek = keys::of_config(database, config).await?;
    let clock = Clock::system();
    let tenants = Tenants::open(database.clone(), kek, None, clock.clone()).await?;
    if tenants.get(tenant).is_none() {
        bail!("there is no tenant {tenant}");
    }
    let entry = Entry::new(Actor::Operator(None), Action::TenantExported, tenant).about(tenant);
    tenants.audit().record(entry).await?;
    let journal = Journal::open(database.clone(), tenants.clone(), clock);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file =
        options.open(to).with_context(|| format!("{}: expected a file that does not exist", to.display()))?;
    let mut pages = fangshi_console::export_lines(tenants, journal, tenant);
    while let Some(page) = pages.recv().await {
        let page = page.map_err(anyhow::Error::msg).with_context(|| format!("{} is not whole", to.display()))?;
        file.write_all(&page)?;
    }
    file.sync_all()?;
    writeln!(std::io::stdout().lock(), "{tenant} is in {}, in clear: buyer data included", to.display())?;
    Ok(ExitCode::SUCCESS)
}
