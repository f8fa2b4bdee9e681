//! How many durable rows a second the writer takes: rows of 1.5 KB with a random unique key, many waiters at once.
//!
//! `cargo run -p fangshi-database --example writer_rate [WAITERS] [SECONDS]`
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fangshi_database::{BatchInsert, Database, Digest, OpenOptions, WriteError};
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Executor};

struct Sample {
    key: Vec<u8>,
    body: Vec<u8>,
}

impl BatchInsert for Sample {
    const INTO: &'static str = "samples (tenant_id, key, at, body)";
    const VALUES: &'static str = "(?, ?, ?, ?)";
    const BOUND: usize = 4;
    const UNIQUE: &'static str = "tenant_id, key";
    const EXISTING: &'static str = "SELECT id FROM samples WHERE tenant_id = $1 AND key = $2";
    const MARK: &'static str = "UPDATE samples SET at = 1 WHERE id BETWEEN FIRST AND LAST AND at = 0 RETURNING id";

    fn bind(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        arguments.add(i64::from(self.key[0]))?;
        arguments.add(self.key.clone())?;
        arguments.add(1_767_225_600_000_i64)?;
        arguments.add(self.body.clone())
    }

    fn bind_key(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        arguments.add(i64::from(self.key[0]))?;
        arguments.add(self.key.clone())
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().unwrap());
    let (waiters, seconds) = (arguments.next().unwrap_or(256), arguments.next().unwrap_or(5));
    let dir = std::env::temp_dir().join(format!("fangshi-writer-rate-{}", std::process::id()));
    let db = Database::open(OpenOptions::new(&dir)).await.unwrap();
    let create = "CREATE TABLE samples (id INTEGER PRIMARY KEY AUTOINCREMENT, tenant_id INTEGER NOT NULL, key BLOB NOT NULL, \
                  at INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE (tenant_id, key))";
    let created: Result<(), WriteError> =
        db.writer().submit(move |c| Box::pin(async move { Ok(c.execute(create).await.map(|_| ())?) })).await;
    created.unwrap();

    let samples = db.writer().rows::<Sample>();
    let (next, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let before = db.writer().stats();
    let start = Instant::now();
    let tasks: Vec<_> = (0..waiters)
        .map(|_| {
            let (samples, next, stop) = (samples.clone(), Arc::clone(&next), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let key = Digest::of(&number.to_le_bytes()).as_bytes().to_vec();
                    let inserted = samples.insert(Sample { key, body: vec![7; 1500] }).await.unwrap();
                    assert!(!inserted.duplicate);
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let took = start.elapsed().as_secs_f64();
    let after = db.writer().stats();
    let (rows, commits) = (after.rows - before.rows, after.commits - before.commits);
    println!("{rows} rows in {commits} commits, largest group {}", after.largest_group);
    println!("figure writer_rows {:.0} rows/s", rows as f64 / took);
    db.close().await;
    std::fs::remove_dir_all(dir).unwrap();
}
