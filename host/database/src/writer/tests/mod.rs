//! The writer against real SQLite files.

mod busy;
mod scripts;
mod syncs;

use std::sync::Arc;

use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Executor};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{BatchInsert, Inserted, Rows, Writer};
use crate::{Database, OpenOptions, WriteError};

/// A row that the table refuses if `value` is negative, and that cannot even be bound if it is `UNBINDABLE`.
#[derive(Clone)]
struct Mark {
    key: i64,
    value: i64,
    body: Vec<u8>,
}

const UNBINDABLE: i64 = i64::MAX;
/// Binding it panics, which no row may do: it takes the writer with it.
const DEADLY: i64 = i64::MAX - 1;

impl Mark {
    fn new(key: i64) -> Mark {
        Mark { key, value: 0, body: Vec::new() }
    }
}

impl BatchInsert for Mark {
    const INTO: &'static str = "marks (key, value, body)";
    const VALUES: &'static str = "(?, ?, ?)";
    const BOUND: usize = 3;
    const UNIQUE: &'static str = "key";
    const EXISTING: &'static str = "SELECT id FROM marks WHERE key = $1";
    const MARK: &'static str =
        "UPDATE marks SET value = value WHERE id BETWEEN FIRST AND LAST AND value = 7 RETURNING id";

    fn bind(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        if self.value == UNBINDABLE {
            return Err("unbindable".into());
        }
        assert_ne!(self.value, DEADLY, "a defect of the row's kind");
        arguments.add(self.key)?;
        arguments.add(self.value)?;
        arguments.add(self.body.clone())
    }

    fn bind_key(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        arguments.add(self.key)
    }
}

struct Store {
    db: Database,
    marks: Rows<Mark>,
    _dir: TempDir,
}

async fn store() -> Store {
    store_in(tempfile::tempdir().unwrap()).await
}

async fn store_in(dir: TempDir) -> Store {
    store_with(OpenOptions::new(dir.path()), dir).await
}

async fn store_with(options: OpenOptions, dir: TempDir) -> Store {
    let db = Database::open(options).await.unwrap();
    run(db.writer(), "CREATE TABLE marks (id INTEGER PRIMARY KEY AUTOINCREMENT, key INTEGER NOT NULL UNIQUE, value INTEGER NOT NULL CHECK (value >= 0), body BLOB NOT NULL)").await.unwrap();
    let marks = db.writer().rows::<Mark>();
    Store { db, marks, _dir: dir }
}

async fn run(writer: &Writer, sql: &'static str) -> Result<(), WriteError> {
    writer.submit(move |c| Box::pin(async move { Ok(c.execute(sql).await.map(|_| ())?) })).await
}

async fn ask(db: &Database, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(db.reader()).await.unwrap()
}

/// Holds the writer inside a group until the sender is used, so that what is queued meanwhile makes one group.
async fn hold(writer: &Writer) -> oneshot::Sender<()> {
    let (release, held) = oneshot::channel::<()>();
    let (entered, is_held) = oneshot::channel();
    let writer = writer.clone();
    tokio::spawn(async move {
        let _: Result<(), WriteError> = writer
            .submit(move |_| {
                Box::pin(async move {
                    let _ = entered.send(());
                    let _ = held.await;
                    Ok(())
                })
            })
            .await;
    });
    is_held.await.unwrap();
    release
}

fn insert(store: &Store, mark: Mark) -> JoinHandle<Result<Inserted, WriteError>> {
    let marks = store.marks.clone();
    tokio::spawn(async move { marks.insert(mark).await })
}

/// Lets every spawned task reach the queue.
async fn queued() {
    for _ in 0..2000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_waits_together_is_committed_together() {
    let store = store().await;
    let release = hold(store.db.writer()).await;
    let before = store.db.writer().stats();
    let waiting: Vec<_> = (0..100).map(|key| insert(&store, Mark::new(key))).collect();
    queued().await;
    release.send(()).unwrap();
    for waiter in waiting {
        assert!(!waiter.await.unwrap().unwrap().duplicate);
    }
    let after = store.db.writer().stats();
    assert_eq!(after.commits - before.commits, 2, "the held group, and one for all the rest");
    assert_eq!(after.rows - before.rows, 100);
    assert_eq!(after.largest_group, 100);
    assert_eq!(ask(&store.db, "SELECT count(*) FROM marks").await, 100);
}

#[tokio::test]
async fn an_answer_comes_after_the_commit() {
    // Another connection sees only what is committed: so whoever has an answer must find the row.
    let store = Arc::new(store().await);
    let waiting: Vec<_> = (0..400)
        .map(|key| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let number = store.marks.insert(Mark::new(key)).await.unwrap().number;
                let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM marks WHERE id = $1 AND key = $2")
                    .bind(number)
                    .bind(key)
                    .fetch_one(store.db.reader())
                    .await
                    .unwrap();
                assert_eq!(seen, 1, "key {key}");
            })
        })
        .collect();
    for waiter in waiting {
        waiter.await.unwrap();
    }
}

#[tokio::test]
async fn one_bad_row_fails_alone() {
    let store = store().await;
    for bad in [-1, UNBINDABLE] {
        let release = hold(store.db.writer()).await;
        let before = store.db.writer().stats();
        let base = ask(&store.db, "SELECT count(*) FROM marks").await * 1000;
        let waiting: Vec<_> = (0..100)
            .map(|n| insert(&store, Mark { value: if n == 37 { bad } else { 0 }, ..Mark::new(base + n) }))
            .collect();
        queued().await;
        release.send(()).unwrap();
        for (n, waiter) in waiting.into_iter().enumerate() {
            match waiter.await.unwrap() {
                Ok(inserted) => assert!(n != 37 && !inserted.duplicate),
                Err(error) => assert!(n == 37 && matches!(error, WriteError::Row(_)), "{n}: {error}"),
            }
        }
        assert_eq!(store.db.writer().stats().commits - before.commits, 2, "still one group");
    }
    assert_eq!(ask(&store.db, "SELECT count(*) FROM marks").await, 198);
}

#[tokio::test]
async fn a_key_is_inserted_once_and_every_waiter_learns_its_number() {
    let seed = 20_260_101;
    println!("seed {seed}");
    let mut random = Random(seed);
    let store = store().await;
    let mut numbers = std::collections::HashMap::new();
    for _ in 0..20 {
        let release = hold(store.db.writer()).await;
        let waiting: Vec<_> = (0..random.below(150))
            .map(|_| {
                let mark = Mark { value: random.below(12) - 1, ..Mark::new(random.below(400)) };
                (mark.key, mark.value, insert(&store, mark))
            })
            .collect();
        queued().await;
        release.send(()).unwrap();
        for (key, value, waiter) in waiting {
            match waiter.await.unwrap() {
                Ok(Inserted { number, duplicate, marked }) => {
                    assert_eq!(marked, value == 7 && !duplicate, "key {key}");
                    let known = numbers.insert(key, number);
                    assert_eq!(known.is_some(), duplicate, "key {key}");
                    assert!(known.is_none_or(|known| known == number), "key {key}");
                }
                Err(error) => assert!(value < 0, "key {key}: {error}"),
            }
        }
    }
    let rows: Vec<(i64, i64)> = sqlx::query_as("SELECT key, id FROM marks").fetch_all(store.db.reader()).await.unwrap();
    assert_eq!(rows.into_iter().collect::<std::collections::HashMap<_, _>>(), numbers);
}

#[tokio::test]
async fn a_write_that_fails_or_panics_is_rolled_back_alone() {
    let store = store().await;
    let writer = store.db.writer();
    let release = hold(writer).await;
    let write = |key: i64, end: fn() -> Result<(), WriteError>| {
        let writer = writer.clone();
        tokio::spawn(async move {
            writer
                .submit(move |c| {
                    Box::pin(async move {
                        sqlx::query("INSERT INTO marks (key, value, body) VALUES ($1, 0, x'')")
                            .bind(key)
                            .execute(c)
                            .await?;
                        end()
                    })
                })
                .await
        })
    };
    let (good, bad, panics, also_good) = (
        write(1, || Ok(())),
        write(2, || Err(sqlx::Error::RowNotFound.into())),
        write(3, || panic!("as asked")),
        write(4, || Ok(())),
    );
    let row = insert(&store, Mark::new(5));
    queued().await;
    release.send(()).unwrap();
    assert!(good.await.unwrap().is_ok() && also_good.await.unwrap().is_ok() && row.await.unwrap().is_ok());
    assert!(matches!(bad.await.unwrap(), Err(WriteError::Row(_))));
    assert!(matches!(panics.await.unwrap(), Err(WriteError::Panicked)));
    assert_eq!(ask(&store.db, "SELECT group_concat(key, '') + 0 FROM (SELECT key FROM marks ORDER BY key)").await, 145);
}

#[tokio::test]
async fn a_commit_that_fails_fails_its_group_and_no_other() {
    let store = store().await;
    let writer = store.db.writer();
    // A deferred constraint is the one thing that SQLite checks at the commit itself.
    run(writer, "CREATE TABLE bad (parent INTEGER REFERENCES marks (id) DEFERRABLE INITIALLY DEFERRED)").await.unwrap();
    let release = hold(writer).await;
    let poison = tokio::spawn({
        let writer = writer.clone();
        async move { run(&writer, "INSERT INTO bad VALUES (99)").await }
    });
    let waiting: Vec<_> = (0..70).map(|key| insert(&store, Mark::new(key))).collect();
    queued().await;
    release.send(()).unwrap();
    assert!(matches!(poison.await.unwrap(), Err(WriteError::Commit(_))));
    for waiter in waiting {
        assert!(matches!(waiter.await.unwrap(), Err(WriteError::Commit(_))));
    }
    assert_eq!(ask(&store.db, "SELECT count(*) FROM marks").await, 0, "nothing is half-done");
    assert_eq!(writer.stats().failed_commits, 1);
    // And the writer goes on.
    assert!(!store.marks.insert(Mark::new(0)).await.unwrap().duplicate);
    assert_eq!(ask(&store.db, "SELECT count(*) FROM marks").await, 1);
}

#[tokio::test]
async fn a_full_disk_refuses_rows_and_recovers() {
    let store = store().await;
    let writer = store.db.writer();
    let big = |key| Mark { body: vec![7; 20_000], ..Mark::new(key) };
    for key in 0..20 {
        store.marks.insert(big(key)).await.unwrap();
    }
    // The file may not grow by a page: what SQLite then says is what it says on a full disk.
    let mut kept = 20;
    for round in 0..3 {
        // Each round anew: after a refusal the writer may have opened another connection.
        run(writer, "PRAGMA max_page_count = 1").await.unwrap();
        let release = hold(writer).await;
        let waiting: Vec<_> = (0..100).map(|n| insert(&store, big(1000 + round * 1000 + n))).collect();
        queued().await;
        release.send(()).unwrap();
        for waiter in waiting {
            match waiter.await.unwrap() {
                Ok(_) => kept += 1,
                Err(error) => assert!(error.is_full(), "{error}"),
            }
        }
        assert_eq!(ask(&store.db, "SELECT count(*) FROM marks").await, kept, "stored is exactly what was answered so");
    }
    assert!(kept < 25, "the disk was not full: {kept}");
    run(writer, "PRAGMA max_page_count = 1").await.unwrap();
    let refused = run(writer, "INSERT INTO marks (key, value, body) VALUES (-1, 0, zeroblob(9000000))").await;
    assert!(refused.unwrap_err().is_full());

    run(writer, "PRAGMA max_page_count = 1073741823").await.unwrap();
    assert!(!store.marks.insert(big(1001)).await.unwrap().duplicate);
    let ok: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(store.db.reader()).await.unwrap();
    assert_eq!(ok, "ok");
}

/// `mount -t tmpfs -o size=24m none /mnt/small; FANGSHI_SMALL_DISK=/mnt/small cargo test -- --ignored full_file_system`
#[tokio::test]
#[ignore = "needs a file system of about 24 MB in FANGSHI_SMALL_DISK"]
async fn a_full_file_system_refuses_groups_and_recovers() {
    let disk = std::path::PathBuf::from(std::env::var_os("FANGSHI_SMALL_DISK").unwrap());
    let dir = tempfile::tempdir_in(&disk).unwrap();
    let store = store_in(dir).await;
    let ballast = disk.join("ballast");
    std::fs::write(&ballast, vec![1; 8_000_000]).unwrap();
    let mut kept = 0;
    let mut refused = 0;
    for round in 0..40 {
        let waiting: Vec<_> =
            (0..100).map(|n| insert(&store, Mark { body: vec![7; 20_000], ..Mark::new(round * 100 + n) })).collect();
        for waiter in waiting {
            match waiter.await.unwrap() {
                Ok(_) => kept += 1,
                Err(_) => refused += 1,
            }
        }
        assert_eq!(ask(&store.db, "SELECT count(*) FROM marks").await, kept);
    }
    println!("{kept} kept, {refused} refused, {:?}", store.db.writer().stats());
    assert!(refused > 0 && store.db.writer().stats().failed_commits > 0);
    std::fs::remove_file(ballast).unwrap();
    assert!(store.marks.insert(Mark::new(-1)).await.is_ok(), "space again, so it writes again");
    assert_eq!(ask(&store.db, "SELECT count(*) FROM marks").await, kept + 1);
    let ok: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(store.db.reader()).await.unwrap();
    assert_eq!(ok, "ok");
}

#[tokio::test]
async fn rows_do_not_wait_behind_writes() {
    let store = store().await;
    let writer = store.db.writer();
    let release = hold(writer).await;
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let slow: Vec<_> = (0..400)
        .map(|n| {
            let (writer, order) = (writer.clone(), Arc::clone(&order));
            tokio::spawn(async move {
                run(&writer, "SELECT 1").await.unwrap();
                order.lock().unwrap().push(format!("write {n}"));
            })
        })
        .collect();
    queued().await;
    let ack = tokio::spawn({
        let (marks, order) = (store.marks.clone(), Arc::clone(&order));
        async move {
            marks.insert(Mark::new(1)).await.unwrap();
            order.lock().unwrap().push("ack".to_owned());
        }
    });
    queued().await;
    release.send(()).unwrap();
    ack.await.unwrap();
    for write in slow {
        write.await.unwrap();
    }
    let order = order.lock().unwrap();
    let place = order.iter().position(|what| what == "ack").unwrap();
    assert!(place <= 128, "queued last of 401, answered with the first group: {place}");
}

#[tokio::test]
async fn a_closed_writer_has_written_what_waited_and_says_closed() {
    let store = store().await;
    let release = hold(store.db.writer()).await;
    let waiting: Vec<_> = (0..50).map(|key| insert(&store, Mark::new(key))).collect();
    queued().await;
    let close = tokio::spawn({
        let db = store.db.clone();
        async move { db.close().await }
    });
    queued().await;
    release.send(()).unwrap();
    close.await.unwrap();
    for waiter in waiting {
        assert!(waiter.await.unwrap().is_ok());
    }
    assert!(matches!(store.marks.insert(Mark::new(50)).await, Err(WriteError::Closed)));
    assert!(matches!(run(store.db.writer(), "SELECT 1").await, Err(WriteError::Closed)));
}

#[tokio::test]
async fn a_caller_that_gives_up_does_not_take_its_row_back() {
    let store = store().await;
    let release = hold(store.db.writer()).await;
    let waiter = insert(&store, Mark::new(1));
    queued().await;
    waiter.abort();
    release.send(()).unwrap();
    store.marks.insert(Mark::new(2)).await.unwrap();
    assert_eq!(ask(&store.db, "SELECT count(*) FROM marks").await, 2);
}

/// Small, seeded, the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from(self.0 >> 33).unwrap() % bound
    }
}

#[tokio::test]
async fn a_commit_that_fails_with_the_last_rows_fails_all_of_them() {
    let store = store().await;
    run(
        store.db.writer(),
        "CREATE TABLE parents (id INTEGER PRIMARY KEY); \
         CREATE TRIGGER orphan AFTER UPDATE ON marks BEGIN INSERT INTO children VALUES (new.id); END; \
         CREATE TABLE children (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)",
    )
    .await
    .unwrap();
    let release = hold(store.db.writer()).await;
    // Marking the second makes a child without a parent: only the commit finds it out.
    let rows = [0, 7, 0].into_iter().enumerate();
    let waiting: Vec<_> = rows.map(|(key, value)| insert(&store, Mark { value, ..Mark::new(key as i64) })).collect();
    queued().await;
    release.send(()).unwrap();
    for waiter in waiting {
        let told = waiter.await.unwrap();
        assert!(matches!(told, Err(WriteError::Commit(_))), "{told:?}");
    }
    assert_eq!(ask(&store.db, "SELECT count(*) FROM marks").await, 0);
    assert!(!insert(&store, Mark::new(9)).await.unwrap().unwrap().duplicate, "the writer goes on");
}

#[tokio::test]
async fn a_row_that_fails_in_the_statement_that_begins_the_group_fails_alone() {
    for bad in [-1, UNBINDABLE] {
        let store = store().await;
        let release = hold(store.db.writer()).await;
        let rows = [0, bad, 0].into_iter().enumerate();
        let waiting: Vec<_> =
            rows.map(|(key, value)| insert(&store, Mark { value, ..Mark::new(key as i64) })).collect();
        queued().await;
        release.send(()).unwrap();
        let mut refused = Vec::new();
        for waiter in waiting {
            refused.push(waiter.await.unwrap().is_err());
        }
        assert_eq!(refused, [false, true, false], "{bad}");
        assert_eq!(ask(&store.db, "SELECT count(*) FROM marks").await, 2);
    }
}

#[tokio::test]
async fn a_writer_that_died_is_seen_and_refuses_every_write() {
    let store = store().await;
    let writer = store.db.writer().clone();
    assert!(writer.is_alive());
    let died = store.marks.insert(Mark { value: DEADLY, ..Mark::new(1) }).await;
    assert!(matches!(died, Err(WriteError::Closed)), "{died:?}");
    writer.ended().await;
    assert!(!writer.is_alive());
    assert!(matches!(run(&writer, "DELETE FROM marks").await, Err(WriteError::Closed)));
    assert!(matches!(store.marks.insert(Mark::new(2)).await, Err(WriteError::Closed)));
    // Closing waits for nobody who is gone.
    store.db.close().await;
}

#[tokio::test]
async fn a_closed_store_takes_no_writes() {
    let store = store().await;
    let writer = store.db.writer().clone();
    store.db.close().await;
    writer.ended().await;
    assert!(!writer.is_alive());
}

#[tokio::test]
async fn fresh_rows_are_marked_wherever_duplicates_stand_among_them() {
    let store = store().await;
    let writer = store.db.writer();
    let marked = |key| Mark { value: 7, ..Mark::new(key) };
    store.marks.insert(marked(1)).await.unwrap();
    // 0 for the one that is there, else a new key.
    for (n, order) in [[1, 0, 1], [0, 1, 1], [1, 1, 0], [0, 0, 1], [1, 0, 0], [0, 0, 0]].into_iter().enumerate() {
        let release = hold(writer).await;
        let keys: Vec<_> = order.iter().enumerate().map(|(at, new)| (10 * n + 10 + at) as i64 * new).collect();
        let waiting: Vec<_> = keys.iter().map(|key| insert(&store, marked(if *key == 0 { 1 } else { *key }))).collect();
        queued().await;
        release.send(()).unwrap();
        for (waiter, key) in waiting.into_iter().zip(keys) {
            let told = waiter.await.unwrap().unwrap();
            assert_eq!((told.duplicate, told.marked), (key == 0, key != 0), "{order:?}");
        }
    }
}
