//! A copy of a store, taken beside the host that works on it, and put back into an empty data folder.
//!
//! The copy is one read of SQLite (`VACUUM INTO`): the store as it was at one moment, while writes go on. It holds no key:
//! what is sealed in it opens with the key-encryption key of that moment alone.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::database::{DATABASE_FILE, make_folder};
use crate::lock::FolderLock;
use crate::{DatabaseError, open_to_read};

/// Where a store is put together before it takes its place.
const STAGING: &str = "restoring";

/// Writes a copy of the store of a data folder into `to`, a file that does not exist, readable by its owner alone; durable
/// when this returns. Gives its size in bytes. A host may be at work on the store; its log grows until the copy is done.
///
/// # Errors
/// There is no store, or of another schema; the file exists or cannot be written; or the copy does not hold together.
pub async fn back_up(data_dir: &Path, to: &Path) -> Result<u64, DatabaseError> {
    let failed = |cause| DatabaseError::Folder { path: to.to_owned(), cause };
    if fs::exists(to).map_err(failed)? {
        return Err(failed(std::io::Error::new(std::io::ErrorKind::AlreadyExists, "a backup replaces no file")));
    }
    let store = open_to_read(data_dir).await?;
    let beside = beside(to);
    let _ = fs::remove_file(&beside);
    let copied = copy(&store, &beside).await;
    store.close().await;
    let finished = match copied {
        Ok(()) => check(&beside).await.and_then(|()| into_place(&beside, to).map_err(failed)),
        Err(error) => Err(error),
    };
    if finished.is_err() {
        let _ = fs::remove_file(&beside);
    }
    finished?;
    Ok(fs::metadata(to).map_err(failed)?.len())
}

async fn copy(store: &sqlx::SqlitePool, beside: &Path) -> Result<(), DatabaseError> {
    // SQLite fills an empty file, and keeps its mode.
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(beside).map_err(|cause| DatabaseError::Folder { path: beside.to_owned(), cause })?;
    let name = beside.to_str().ok_or_else(|| DatabaseError::Folder {
        path: beside.to_owned(),
        cause: std::io::Error::new(std::io::ErrorKind::InvalidInput, "the path is not UTF-8"),
    })?;
    let copied = sqlx::query("VACUUM INTO $1").bind(name).execute(store).await;
    copied.map(drop).map_err(|cause| DatabaseError::Sql { path: beside.to_owned(), cause })
}

/// Whether a copy holds together and is a store.
async fn check(file: &Path) -> Result<(), DatabaseError> {
    let sql = |cause| DatabaseError::Sql { path: file.to_owned(), cause };
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let mut connection = options.connect().await.map_err(sql)?;
    let said: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut connection).await.map_err(sql)?;
    let known: Result<i64, _> =
        sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations").fetch_one(&mut connection).await;
    connection.close().await.map_err(sql)?;
    known.map_err(sql)?;
    if said != "ok" {
        return Err(DatabaseError::ForeignSchema { path: file.to_owned(), cause: said });
    }
    Ok(())
}

/// Copies a backup into a folder of its own within the data folder, where it can be opened and changed before it takes its
/// place with [`put_back`]. Gives that folder.
///
/// # Errors
/// The data folder holds a store already, or the log of one, or is in use; the backup is no store, or cannot be copied.
pub async fn stage(backup: &Path, data_dir: &Path) -> Result<PathBuf, DatabaseError> {
    make_folder(data_dir)?;
    let _lock = FolderLock::take(data_dir, false)?;
    refuse_a_store(data_dir)?;
    check(backup).await?;
    let staging = data_dir.join(STAGING);
    let failed = |cause| DatabaseError::Folder { path: staging.clone(), cause };
    // What is left of a restore that was cut off never took its place.
    if fs::exists(&staging).map_err(failed)? {
        fs::remove_dir_all(&staging).map_err(failed)?;
    }
    fs::create_dir(&staging).map_err(failed)?;
    fs::copy(backup, staging.join(DATABASE_FILE)).map_err(failed)?;
    Ok(staging)
}

/// Puts the closed store of [`stage`] in its place: until this returns, the data folder holds no store.
///
/// # Errors
/// As [`stage`].
pub fn put_back(data_dir: &Path) -> Result<(), DatabaseError> {
    let _lock = FolderLock::take(data_dir, false)?;
    refuse_a_store(data_dir)?;
    let staging = data_dir.join(STAGING);
    let failed = |cause| DatabaseError::Folder { path: staging.clone(), cause };
    let log = staging.join(format!("{DATABASE_FILE}-wal"));
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return Err(failed(std::io::Error::other("the staged store was not closed")));
    }
    into_place(&staging.join(DATABASE_FILE), &data_dir.join(DATABASE_FILE)).map_err(failed)?;
    fs::remove_dir_all(&staging).map_err(failed)
}

/// What a store is made of, by what follows its name. A log that is left alone is no less dangerous than a store: SQLite would
/// bring what it holds of the lost store into the one that takes its place.
const PARTS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Refuses a data folder that holds a store, or what a store that was moved away has left behind.
fn refuse_a_store(data_dir: &Path) -> Result<(), DatabaseError> {
    let mut found = Vec::new();
    for part in PARTS {
        let name = format!("{DATABASE_FILE}{part}");
        let path = data_dir.join(&name);
        match fs::symlink_metadata(&path) {
            Ok(_) => found.push(name),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
            Err(cause) => return Err(DatabaseError::Folder { path, cause }),
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    let found = found.join(", ");
    let text = format!("a store, or what is left of one, is there: move away {found}, or name another data_dir");
    let cause = std::io::Error::new(std::io::ErrorKind::AlreadyExists, text);
    Err(DatabaseError::Folder { path: data_dir.to_owned(), cause })
}

fn beside(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    to.with_file_name(name)
}

/// Durable, and then under its name.
fn into_place(from: &Path, to: &Path) -> std::io::Result<()> {
    File::open(from)?.sync_all()?;
    fs::rename(from, to)?;
    match to.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Database, OpenOptions};

    async fn count(dir: &Path) -> i64 {
        let store = open_to_read(dir).await.unwrap();
        let count = sqlx::query_scalar("SELECT count(*) FROM refusals").fetch_one(&store).await.unwrap();
        store.close().await;
        count
    }

    async fn refuse(host: &Database, n: i64) {
        let written: Result<(), crate::WriteError> = host
            .writer()
            .submit(move |c| {
                Box::pin(async move {
                    sqlx::query("INSERT INTO refusals VALUES ($1, 'window', 1, 1)").bind(n).execute(c).await?;
                    Ok(())
                })
            })
            .await;
        written.unwrap();
    }

    #[tokio::test]
    async fn a_copy_is_the_store_at_one_moment_and_goes_back_into_an_empty_folder() {
        let (dir, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let host = Database::open(OpenOptions::new(dir.path())).await.unwrap();
        refuse(&host, 1).await;
        let file = away.path().join("copy.db");
        let size = back_up(dir.path(), &file).await.unwrap();
        assert!(size > 0 && size == fs::metadata(&file).unwrap().len());
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions()) & 0o777, 0o600);
        refuse(&host, 2).await;
        assert!(back_up(dir.path(), &file).await.is_err(), "a backup replaces no file");
        let refused = stage(&file, dir.path()).await.unwrap_err();
        assert!(matches!(refused, DatabaseError::Locked { .. }), "a host is at work there: {refused}");
        host.close().await;
        assert!(stage(&file, dir.path()).await.unwrap_err().to_string().contains("move away fangshi.db"));

        let fresh = away.path().join("data");
        let staged = stage(&file, &fresh).await.unwrap();
        assert!(!fresh.join(DATABASE_FILE).exists(), "not in its place yet");
        Database::open(OpenOptions::new(&staged)).await.unwrap().close().await;
        put_back(&fresh).unwrap();
        assert_eq!((count(&fresh).await, count(dir.path()).await), (1, 2));
        assert!(!staged.exists());
    }

    #[tokio::test]
    async fn the_log_of_a_lost_store_comes_into_no_backup() {
        let (lost, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let host = Database::open(OpenOptions::new(lost.path())).await.unwrap();
        let file = away.path().join("copy.db");
        back_up(lost.path(), &file).await.unwrap();
        refuse(&host, 1).await;
        // As a kill leaves it; the operator moved the store itself away.
        let log = format!("{DATABASE_FILE}-wal");
        let kept = away.path().join(&log);
        fs::copy(lost.path().join(&log), &kept).unwrap();
        host.close().await;

        let fresh = away.path().join("data");
        let staged = stage(&file, &fresh).await.unwrap();
        Database::open(OpenOptions::new(&staged)).await.unwrap().close().await;
        let told = |refused: Result<(), DatabaseError>| refused.unwrap_err().to_string();
        for part in ["-wal", "-shm", "-journal"] {
            let left = fresh.join(format!("{DATABASE_FILE}{part}"));
            fs::copy(&kept, &left).unwrap();
            let named = format!("move away {DATABASE_FILE}{part}, or");
            let refused = told(stage(&file, &fresh).await.map(drop));
            assert!(refused.contains(&named), "{refused}");
            let refused = told(put_back(&fresh));
            assert!(refused.contains(&named), "{refused}");
            assert!(!fresh.join(DATABASE_FILE).exists());
            fs::remove_file(left).unwrap();
        }
        fs::write(fresh.join(format!("{DATABASE_FILE}-shm")), "").unwrap();
        fs::copy(&kept, fresh.join(&log)).unwrap();
        let refused = told(put_back(&fresh));
        assert!(refused.contains("fangshi.db-wal, fangshi.db-shm"), "all are named: {refused}");
        for part in ["-wal", "-shm"] {
            fs::remove_file(fresh.join(format!("{DATABASE_FILE}{part}"))).unwrap();
        }
        put_back(&fresh).unwrap();
        assert_eq!(count(&fresh).await, 0, "the backup, and nothing of the lost store");
    }

    #[tokio::test]
    async fn what_is_no_store_is_not_restored() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.db");
        fs::write(&file, "not a database, but some text that is long enough").unwrap();
        assert!(stage(&file, &dir.path().join("data")).await.is_err());
        assert!(back_up(dir.path(), &dir.path().join("y.db")).await.is_err(), "there is no store");
        assert!(!dir.path().join("y.db").exists() && !dir.path().join("y.db.partial").exists());
    }
}
