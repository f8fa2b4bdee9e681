//! What leaves before the sync of the log, and what waits for it.

use std::io;
use std::sync::mpsc;

use futures_util::FutureExt;
use futures_util::future::join;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::*;
use crate::Script;
use crate::lock::FolderLock;

/// A store whose log is synced when the test says so.
struct Synced {
    path: std::path::PathBuf,
    writer: Writer,
    marks: Rows<Mark>,
    /// Told when a sync begins.
    begun: mpsc::Receiver<()>,
    /// What the next sync gives.
    gives: mpsc::Sender<io::Result<()>>,
    dir: TempDir,
}

fn options(path: &std::path::Path) -> SqliteConnectOptions {
    use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
}

async fn synced() -> Synced {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let mut connection = options(&path).connect().await.unwrap();
    connection.execute("CREATE TABLE marks (id INTEGER PRIMARY KEY AUTOINCREMENT, key INTEGER NOT NULL UNIQUE, value INTEGER NOT NULL, body BLOB NOT NULL)").await.unwrap();
    let ((tell, begun), (gives, given)) = (mpsc::channel(), mpsc::channel::<io::Result<()>>());
    let sync_log = Box::new(move || {
        let _ = tell.send(());
        // A test that is over lets everything go.
        given.recv().unwrap_or(Ok(()))
    });
    let lock = FolderLock::take(dir.path(), false).unwrap();
    let writer = Writer::start_with(connection, options(&path), lock, sync_log);
    let marks = writer.rows::<Mark>();
    Synced { path, writer, marks, begun, gives, dir }
}

impl Synced {
    /// A row on its way.
    fn row(&self, key: i64) -> JoinHandle<Result<Inserted, WriteError>> {
        let marks = self.marks.clone();
        tokio::spawn(async move { marks.insert(Mark::new(key)).await })
    }

    /// A script on its way.
    fn script(&self, key: i64, synced: bool) -> JoinHandle<Result<(), crate::ScriptError>> {
        let writer = self.writer.clone();
        tokio::spawn(async move {
            let mut script = Script::new();
            let _ = script.add("INSERT INTO marks (key, value, body) VALUES ($1, 0, x'')").bind(key);
            writer.run(script, synced).await.map(drop)
        })
    }

    /// Keys that whoever reads finds.
    async fn seen(&self) -> Vec<i64> {
        let mut reader = options(&self.path).connect().await.unwrap();
        sqlx::query_scalar("SELECT key FROM marks ORDER BY key").fetch_all(&mut reader).await.unwrap()
    }

    async fn commits(&self, count: u64) {
        while self.writer.stats().commits < count {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_is_answered_after_a_sync_that_began_later() {
    let store = synced().await;
    let submitted = {
        let writer = store.writer.clone();
        tokio::spawn(async move { run(&writer, "INSERT INTO marks (key, value, body) VALUES (1, 0, x'')").await })
    };
    store.commits(1).await;
    store.begun.recv().unwrap();
    assert_eq!(store.seen().await, [1], "committed, and readers see it");
    assert!(!submitted.is_finished());
    // What is committed while that sync is under way is not made durable by it, so it is answered after the next.
    let script = store.script(2, true);
    store.commits(2).await;
    assert_eq!(store.seen().await, [1, 2], "a group is written while the log is synced");
    store.gives.send(Ok(())).unwrap();
    submitted.await.unwrap().unwrap();
    store.begun.recv().unwrap();
    assert!(!script.is_finished());
    // Few rows are not worth a sync of their own.
    let mut rows = Box::pin(join(store.marks.insert(Mark::new(3)), store.marks.insert(Mark::new(4))));
    assert!((&mut rows).now_or_never().is_none(), "both are queued");
    store.gives.send(Ok(())).unwrap();
    script.await.unwrap().unwrap();
    store.begun.recv().unwrap();
    assert_eq!((store.writer.stats().commits, store.seen().await.len()), (3, 4));
    assert!((&mut rows).now_or_never().is_none());
    store.gives.send(Ok(())).unwrap();
    assert!(matches!(rows.await, (Ok(_), Ok(_))));
    assert!(store.begun.try_recv().is_err(), "one sync for both");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_need_not_wait_is_answered_at_once_and_synced_soon() {
    let store = synced().await;
    store.script(1, false).await.unwrap().unwrap();
    assert_eq!(store.seen().await, [1]);
    // Nobody waits for it, and it comes.
    store.begun.recv().unwrap();
    for _ in 0..200 {
        store.gives.send(Ok(())).unwrap();
    }
    for key in 2..=200 {
        store.script(key, false).await.unwrap().unwrap();
    }
    assert_eq!(store.seen().await.len(), 200);
    drop(store.gives);
    store.writer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_synced_begins_anew_before_anything_is_answered() {
    let store = synced().await;
    let row = store.row(1);
    store.begun.recv().unwrap();
    store.gives.send(Err(io::Error::other("the disk broke"))).unwrap();
    // Brought back into the store and emptied, then synced again.
    store.begun.recv().unwrap();
    assert!(!row.is_finished());
    let log = std::fs::metadata(store.dir.path().join("store.db-wal")).unwrap();
    assert_eq!(log.len(), 0, "what may not have been written is read by nobody any more");
    store.gives.send(Ok(())).unwrap();
    assert!(!row.await.unwrap().unwrap().duplicate);
    assert_eq!(store.seen().await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stops_over_a_broken_log_tells_nobody_that_anything_is_durable() {
    let store = synced().await;
    let row = store.row(1);
    store.begun.recv().unwrap();
    // What a stopping host waits for must hear of it, or it never comes to close the store.
    store.writer.stopping();
    let broken = || Err(io::Error::other("the disk broke"));
    store.gives.send(broken()).unwrap();
    for _ in 0..100 {
        let _ = store.gives.send(broken());
    }
    assert!(matches!(row.await.unwrap(), Err(WriteError::Closed)));
    store.writer.close().await;
}

#[tokio::test]
async fn the_log_of_an_open_store_is_synced_by_its_writer() {
    let store = store().await;
    let settings: Result<(i64, String), WriteError> = store
        .db
        .writer()
        .submit(|c| {
            Box::pin(async move {
                let synchronous = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *c).await?;
                Ok((synchronous, sqlx::query_scalar("PRAGMA journal_mode").fetch_one(c).await?))
            })
        })
        .await;
    assert_eq!(
        settings.unwrap(),
        (1, "wal".to_owned()),
        "1 is NORMAL: SQLite syncs what it brings back, and its log before"
    );
}

#[tokio::test]
async fn a_log_in_the_place_of_another_is_no_sync_of_that_one() {
    let folder = tempfile::tempdir().unwrap();
    let (database, log) = (folder.path().join("store.db"), folder.path().join("store.db-wal"));
    std::fs::write(&log, "old").unwrap();
    let mut sync = super::super::sync::log_of(&database);
    sync().unwrap();
    std::fs::rename(&log, folder.path().join("away")).unwrap();
    assert_eq!(sync().unwrap_err().kind(), io::ErrorKind::NotFound);
    std::fs::write(&log, "new").unwrap();
    assert!(sync().unwrap_err().to_string().contains("another file"));
    // What is in it since then is known.
    sync().unwrap();
}
