//! A store that a newer Fangshi wrote: the process refuses it, says what to do, and leaves it alone.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::{path::Path, process::Command};

use fangshi_harness::{HostProcess, binary, callbacks};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

async fn change(folder: &Path, text: &'static str) {
    let store = folder.join("data/fangshi.db");
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(store)).await.unwrap();
    sqlx::query(text).execute(&pool).await.unwrap();
    pool.close().await;
}

#[tokio::test]
async fn a_start_with_a_newer_schema_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (_, config) = callbacks::component();
    let host = HostProcess::start(folder.path(), &config).unwrap();
    assert_eq!(host.terminate().unwrap(), Some(0));
    change(
        folder.path(),
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'from the future', 1, x'00', 0)",
    )
    .await;

    let refused = Command::new(binary("fangshi").unwrap())
        .args(["serve", "--config"])
        .arg(folder.path().join("fangshi.toml"))
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap();
    let told = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(refused.stdout.is_empty(), "it never listened");
    for part in ["schema 9999", "this binary knows schemas up to", "newer binary", "backup", "fangshi.db"] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }

    change(folder.path(), "DELETE FROM _sqlx_migrations WHERE version = 9999").await;
    let host = HostProcess::start_again(folder.path(), &[]).unwrap();
    assert_eq!(host.terminate().unwrap(), Some(0), "nothing was changed");
}
