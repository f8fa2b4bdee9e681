//! Another program holds the lock of the file: for a moment, or for longer than the writer waits for it.

use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::*;
use crate::{Script, ScriptError};

/// A store whose writer waits for so long.
async fn store_that_waits(busy_timeout: Duration) -> Store {
    let dir = tempfile::tempdir().unwrap();
    let options = OpenOptions { busy_timeout, ..OpenOptions::new(dir.path()) };
    store_with(options, dir).await
}

/// Another program, in the middle of a transaction that writes.
async fn another(store: &Store) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(store.db.path()).busy_timeout(Duration::from_secs(60));
    let mut other = options.connect().await.unwrap();
    other.execute("BEGIN IMMEDIATE; INSERT INTO marks (key, value, body) VALUES (-1, 0, x'')").await.unwrap();
    other
}

fn script(store: &Store, key: i64) -> JoinHandle<Result<(), ScriptError>> {
    let writer = store.db.writer().clone();
    tokio::spawn(async move {
        let mut script = Script::new();
        let _ = script.add("INSERT INTO marks (key, value, body) VALUES ($1, 0, x'')").bind(key);
        writer.run(script, false).await.map(drop)
    })
}

fn is_locked(told: &WriteError) -> bool {
    matches!(told, WriteError::Commit(_)) && told.to_string().contains("database is locked")
}

#[tokio::test]
async fn what_is_held_for_a_moment_is_waited_for() {
    let store = store_that_waits(Duration::from_secs(600)).await;
    let other = another(&store).await;
    let (row, script) = (insert(&store, Mark::new(1)), script(&store, 2));
    queued().await;
    assert!(!row.is_finished() && !script.is_finished());
    other.close().await.unwrap();
    assert!(!row.await.unwrap().unwrap().duplicate);
    script.await.unwrap().unwrap();
    assert_eq!(store.db.writer().stats().failed_commits, 0);
    assert_eq!(ask(&store.db, "SELECT count(*) FROM marks").await, 2);
}

#[tokio::test]
async fn what_is_held_for_longer_fails_what_waits_and_costs_no_connection() {
    let store = store_that_waits(Duration::from_millis(20)).await;
    let writer = store.db.writer();
    // There for this connection alone.
    run(writer, "CREATE TEMP TABLE kept (number INTEGER)").await.unwrap();
    let mut other = another(&store).await;
    for round in 0..3 {
        // Whatever a group begins with: a row, a write, a script, or several of them.
        let error = store.marks.insert(Mark::new(round)).await.unwrap_err();
        assert!(is_locked(&error), "{error}");
        let error = run(writer, "INSERT INTO kept VALUES (0)").await.unwrap_err();
        assert!(is_locked(&error), "{error}");
        let error = script(&store, round).await.unwrap().unwrap_err();
        assert!(matches!(&error, ScriptError::Write(error) if is_locked(error)), "{error}");
        let (row, scripts) = (insert(&store, Mark::new(round)), [3, 4].map(|key| script(&store, key)));
        assert!(row.await.unwrap().is_err());
        for script in scripts {
            assert!(script.await.unwrap().is_err());
        }
    }
    other.execute("ROLLBACK").await.unwrap();
    run(writer, "INSERT INTO kept VALUES (1)").await.unwrap();
    store.marks.insert(Mark::new(1)).await.unwrap();
    script(&store, 2).await.unwrap().unwrap();
    assert_eq!(ask(&store.db, "SELECT count(*) FROM marks").await, 2, "nothing of what was refused");
    assert!(writer.stats().failed_commits >= 9);
    other.close().await.unwrap();
}
