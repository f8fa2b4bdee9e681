//! Opening the store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqlitePool};

use crate::lock::FolderLock;
use crate::writer::Writer;
use crate::{DatabaseError, schema};

/// The database file inside the data folder.
pub(crate) const DATABASE_FILE: &str = "fangshi.db";

/// How to open a store.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// The data folder; made if missing. One process at a time.
    pub data_dir: PathBuf,
    /// Read connections, at least 1. Default 4.
    pub readers: u32,
    /// How long a statement waits for a lock held by another program (a backup, `sqlite3`). Default 2 s: a callback must be
    /// answered within 5.
    pub busy_timeout: Duration,
    /// Beside other processes that open it like this; never beside a host. For tests and tools that use no lanes: lanes
    /// and the journal's caches count on being alone. Default false.
    pub shared: bool,
}

impl OpenOptions {
    /// The defaults for a data folder.
    pub fn new(data_dir: impl Into<PathBuf>) -> OpenOptions {
        OpenOptions { data_dir: data_dir.into(), readers: 4, busy_timeout: Duration::from_secs(2), shared: false }
    }
}

/// The open store. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Database {
    path: Arc<PathBuf>,
    readers: SqlitePool,
    writer: Writer,
    /// For a connection of its own now and then.
    to_write: Arc<SqliteConnectOptions>,
}

impl Database {
    /// Locks the data folder, opens `fangshi.db` in it (WAL; every commit is synced before it is answered), brings the
    /// schema up to date and starts the writer.
    ///
    /// # Errors
    /// [`DatabaseError::Locked`], [`DatabaseError::NewerSchema`] and the others, each with what to do.
    pub async fn open(options: OpenOptions) -> Result<Database, DatabaseError> {
        make_folder(&options.data_dir)?;
        let lock = FolderLock::take(&options.data_dir, options.shared)?;
        let path = options.data_dir.join(DATABASE_FILE);
        let sql = |cause| DatabaseError::Sql { path: path.clone(), cause };

        let to_write = writing(&path, &options);
        let mut connection = to_write.connect().await.map_err(sql)?;
        if let Err(refused) = schema::migrate(&mut connection, &path).await {
            // Closed before the lock is given back, so that nobody finds the file still open.
            let _ = connection.close().await;
            return Err(refused);
        }
        let readers = SqlitePoolOptions::new()
            .max_connections(options.readers.max(1))
            .test_before_acquire(false)
            .connect_with(reading(&path, &options))
            .await
            .map_err(sql)?;
        let writer = Writer::start(connection, to_write.clone(), lock);
        Ok(Database { path: Arc::new(path), readers, writer, to_write: Arc::new(to_write) })
    }

    /// Read connections. They cannot write, and each statement sees what was committed before it.
    pub fn reader(&self) -> &SqlitePool {
        &self.readers
    }

    /// The one writer.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The newest migration that this binary knows.
    pub fn schema_version() -> i64 {
        schema::known()
    }

    /// Brings the log into the database file and empties it, so that what was written over is in neither. Most is moved
    /// while writes go on; the rest takes the lock of the writer for a moment.
    ///
    /// # Errors
    /// The file cannot be opened or written. False: a reader or a writer was in the way, try again later.
    pub async fn empty_log(&self) -> Result<bool, sqlx::Error> {
        truncate_log(&self.to_write).await
    }

    /// The host stops, and closes this before long. Writes go on; only a log that can't be synced holds nobody up any more.
    pub fn stopping(&self) {
        self.writer.stopping();
    }

    /// Commits what waits, closes every connection and frees the data folder. Writes through other clones of this
    /// database then answer [`WriteError::Closed`](crate::WriteError::Closed).
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

pub(crate) fn make_folder(data_dir: &Path) -> Result<(), DatabaseError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    // Order data lies here, sealed or not: nobody else's to list.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(data_dir).map_err(|cause| DatabaseError::Folder { path: data_dir.to_owned(), cause })
}

fn writing(path: &Path, options: &OpenOptions) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // The writer syncs the log after each commit by itself, while the next group is written; SQLite still does so
        // around what it brings back into the store.
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true)
        .busy_timeout(options.busy_timeout)
        // 16 MiB of pages: the ends of the indexes that every event is entered in. Not more, since SQLite looks through all
        // cached pages at nearly every commit.
        .pragma("cache_size", "-16384")
        // What a statement of many rows could undo is kept in memory, and not in a file.
        .pragma("temp_store", "MEMORY")
        // 96 MiB of log: a page that many groups touch is then copied back once, and whoever waits for a group meets the
        // pause of a checkpoint seldom. Below the size that a log may keep, so that it isn't grown anew each time.
        .pragma("wal_autocheckpoint", "24576")
        // What is deleted is written over where that costs no write of its own; a deletion of a tenant asks for more.
        .pragma("secure_delete", "FAST")
        // A log that a slow reader made grow gives its space back.
        .pragma("journal_size_limit", "134217728")
        .statement_cache_capacity(256)
        .row_buffer_size(128)
        .thread_name(|_| "fangshi-writer".to_owned())
        // Statements carry no values here, but nobody needs a line per statement either.
        .disable_statement_logging()
}

/// A checkpoint holds the writer's lock while it waits for readers: not for long.
const CHECKPOINT_WAIT: Duration = Duration::from_millis(100);

fn checkpointing(to_write: &SqliteConnectOptions) -> SqliteConnectOptions {
    to_write.clone().busy_timeout(CHECKPOINT_WAIT)
}

/// Brings the log into the store and empties it. False: somebody was in the way.
pub(crate) async fn truncate_log(to_write: &SqliteConnectOptions) -> Result<bool, sqlx::Error> {
    let mut connection = checkpointing(to_write).connect().await?;
    let mut emptied = false;
    for step in ["PRAGMA wal_checkpoint(PASSIVE)", "PRAGMA wal_checkpoint(TRUNCATE)"] {
        let (busy, _, _): (i64, i64, i64) = sqlx::query_as(step).fetch_one(&mut connection).await?;
        emptied = busy == 0;
    }
    connection.close().await?;
    Ok(emptied)
}

fn reading(path: &Path, options: &OpenOptions) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .foreign_keys(true)
        .busy_timeout(options.busy_timeout)
        .pragma("cache_size", "-16384")
        .statement_cache_capacity(256)
        .thread_name(|id| format!("fangshi-read-{id}"))
        .disable_statement_logging()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn change(dir: &Path, sql: &'static str) {
        let options = SqliteConnectOptions::new().filename(dir.join(DATABASE_FILE));
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    #[tokio::test]
    async fn one_process_per_data_folder() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Database::open(OpenOptions::new(dir.path()));
        let first = open().await.unwrap();
        let refused = open().await.unwrap_err();
        assert!(matches!(refused, DatabaseError::Locked { .. }));
        let text = refused.to_string();
        assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
        assert!(text.contains(&dir.path().display().to_string()) && text.contains("data_dir"), "{text}");
        first.close().await;
        open().await.unwrap();
    }

    #[tokio::test]
    async fn tools_share_a_folder_among_themselves_and_with_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let open = |shared| {
            let mut options = OpenOptions::new(dir.path());
            options.shared = shared;
            Database::open(options)
        };
        let (first, second) = (open(true).await.unwrap(), open(true).await.unwrap());
        assert!(matches!(open(false).await.unwrap_err(), DatabaseError::Locked { .. }));
        first.close().await;
        second.close().await;
        let host = open(false).await.unwrap();
        assert!(matches!(open(true).await.unwrap_err(), DatabaseError::Locked { .. }));
        host.close().await;
    }

    #[tokio::test]
    async fn dropping_the_last_handle_frees_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        drop(Database::open(OpenOptions::new(dir.path())).await.unwrap());
        // The writer ends in its own task.
        for _ in 0..100 {
            match Database::open(OpenOptions::new(dir.path())).await {
                Err(DatabaseError::Locked { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
                opened => return drop(opened.unwrap()),
            }
        }
        panic!("still locked after a second");
    }

    #[tokio::test]
    async fn a_newer_schema_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        Database::open(OpenOptions::new(dir.path())).await.unwrap().close().await;
        change(
            dir.path(),
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'from the future', 1, x'00', 0)",
        )
        .await;
        let refused = Database::open(OpenOptions::new(dir.path())).await.unwrap_err();
        let text = refused.to_string();
        let DatabaseError::NewerSchema { found, known, .. } = refused else { panic!("{text}") };
        assert_eq!((found, known), (9999, Database::schema_version()));
        assert!(text.contains("newer binary") && text.contains("backup"), "{text}");

        // The refusal gives the folder back, and changed nothing.
        change(dir.path(), "DELETE FROM _sqlx_migrations WHERE version = 9999").await;
        Database::open(OpenOptions::new(dir.path())).await.unwrap();
    }

    #[tokio::test]
    async fn a_schema_of_another_making_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Database::open(OpenOptions::new(dir.path())).await.unwrap().close().await;
        change(dir.path(), "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1").await;
        let refused = Database::open(OpenOptions::new(dir.path())).await.unwrap_err();
        assert!(matches!(refused, DatabaseError::ForeignSchema { .. }), "{refused}");
    }

    #[tokio::test]
    async fn a_damaged_store_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(DATABASE_FILE), "no database ".repeat(100)).unwrap();
        let refused = Database::open(OpenOptions::new(dir.path())).await.unwrap_err();
        assert!(matches!(&refused, DatabaseError::Sql { .. }), "{refused}");
        assert!(refused.to_string().contains("`fangshi restore`"), "{refused}");
    }

    #[tokio::test]
    async fn a_data_folder_that_cannot_be_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "not a folder").unwrap();
        let refused = Database::open(OpenOptions::new(file.join("data"))).await.unwrap_err();
        assert!(matches!(refused, DatabaseError::Folder { .. }), "{refused}");
        assert!(refused.to_string().contains("data_dir"));
    }

    #[tokio::test]
    async fn readers_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(OpenOptions::new(dir.path())).await.unwrap();
        let refused = sqlx::query("DELETE FROM tenants").execute(db.reader()).await.unwrap_err();
        assert!(refused.to_string().contains("readonly"), "{refused}");
    }

    #[tokio::test]
    async fn emptying_the_log_gives_way_to_a_reader_and_does_not_hold_the_writer_up() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(OpenOptions::new(dir.path())).await.unwrap();
        let mut waits = checkpointing(&db.to_write).connect().await.unwrap();
        let waited: i64 = sqlx::query_scalar("PRAGMA busy_timeout").fetch_one(&mut waits).await.unwrap();
        assert_eq!(waited, 100, "milliseconds; the writer waits for as long");
        let written = |number: i64| {
            db.writer().submit(move |c| {
                Box::pin(async move {
                    let row = "INSERT INTO refusals (tenant_id, reason, count, last_at) VALUES (0, $1, 1, 0)";
                    sqlx::query(row).bind(number.to_string()).execute(c).await?;
                    Ok::<_, crate::WriteError>(())
                })
            })
        };
        written(1).await.unwrap();
        let mut reading = db.reader().begin().await.unwrap();
        let _: i64 = sqlx::query_scalar("SELECT count(*) FROM refusals").fetch_one(&mut *reading).await.unwrap();
        written(2).await.unwrap();
        assert!(!db.empty_log().await.unwrap(), "a reader is in the way");
        written(3).await.unwrap();
        reading.rollback().await.unwrap();
        assert!(db.empty_log().await.unwrap());
        let log = std::fs::metadata(dir.path().join("fangshi.db-wal")).unwrap();
        assert_eq!(log.len(), 0);
    }
}
