//! `fangshi keys`: the key-encryption key, while the host is down.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use fangshi_database::{Clock, Database, OpenOptions};
use fangshi_tenants::{Kek, KeyWrap, rotate};

use crate::config::{Config, KEY_VARIABLE, KeySource};

/// The key that a config names.
pub async fn of_config(database: &Database, config: &Config) -> anyhow::Result<Kek> {
    Ok(match &config.key {
        KeySource::Text(text) => Kek::from_text(text, KEY_VARIABLE)?,
        KeySource::File(file) => Kek::at_start(database, file).await?,
    })
}

/// The same for a store that others may have open: a key that is not there is not made.
pub fn existing(config: &Config) -> anyhow::Result<Kek> {
    Ok(match &config.key {
        KeySource::Text(text) => Kek::from_text(text, KEY_VARIABLE)?,
        KeySource::File(file) => Kek::from_file(file)?,
    })
}

/// Wraps every data key anew under the key of another file, which is made if it does not exist.
pub fn rotate_to(config: &Path, to: &Path) -> anyhow::Result<ExitCode> {
    let config = Config::load(config)?;
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    executor.block_on(async {
        let database = Database::open(OpenOptions::new(&config.data_dir)).await?;
        let done = rotate_on(&database, &config, to).await;
        database.close().await;
        done
    })
}

async fn rotate_on(database: &Database, config: &Config, to: &Path) -> anyhow::Result<ExitCode> {
    let old = of_config(database, config).await?;
    // Durable before the store is under it; a rotation that was cut off finds it here and goes on with it.
    let new = match to.try_exists().with_context(|| to.display().to_string())? {
        true => Kek::from_file(to)?,
        false => Kek::create_file(to)?,
    };
    let rotated = rotate(database, &old, &new, &Clock::system()).await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} data keys are under {} now ({})", rotated.keys, KeyWrap::id(&new), to.display())?;
    match &config.key {
        KeySource::File(file) => {
            writeln!(out, "set [custody] key_file to that file before the next start: the store no longer opens with")?;
            writeln!(
                out,
                "{} ({}); keep that one as long as backups from before are kept",
                rotated.old,
                file.display()
            )?;
        }
        KeySource::Text(_) => {
            writeln!(out, "put that key into {KEY_VARIABLE} before the next start: the store no longer opens with")?;
            writeln!(out, "{}; keep that one as long as backups from before are kept", rotated.old)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
