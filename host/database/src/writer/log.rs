//! The log of the store as a file: room in it ahead of the writer.
//!
//! A log that grows with a commit makes its sync write the length of the file as well: that took five times as long as the
//! sync of room that had been there (ext4). So once the log has grown, zeros are put behind its end. SQLite reads a log up
//! to the first frame that is not of it: zeros are, like what an older log left behind, no part of it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Bytes put behind the end at first, and at most: twice as many each time.
const FIRST: u64 = 256 * 1024;
const LARGEST: u64 = 8 * 1024 * 1024;
/// A log is brought back into the store before it is longer than this: see `wal_autocheckpoint`.
const ENOUGH: u64 = 100 * 1024 * 1024;

/// The log, and how long it is known to be.
pub(super) struct Log {
    file: PathBuf,
    length: u64,
    step: u64,
    /// No more room before it is longer than this.
    not_before: u64,
}

/// The log of this database.
pub(super) fn file_of(database: &Path) -> PathBuf {
    let mut file = database.as_os_str().to_owned();
    file.push("-wal");
    file.into()
}

impl Log {
    /// Of this database.
    pub(super) fn of(database: &Path) -> Log {
        Log { file: file_of(database), length: 0, step: FIRST, not_before: 0 }
    }

    /// Whether commits have made it grow since the last look.
    pub(super) fn is_short(&mut self) -> bool {
        let now = std::fs::metadata(&self.file).map_or(0, |log| log.len());
        let grew = now > self.length && self.length > 0;
        self.length = now;
        grew && now >= self.not_before && now < ENOUGH
    }

    /// Puts zeros behind its end; the caller holds the transaction that alone may write there. On a full disk the log stays
    /// as it was.
    pub(super) fn make_room(&mut self) {
        match self.lengthen() {
            Ok(length) => {
                self.length = length;
                self.step = (2 * self.step).min(LARGEST);
            }
            Err(error) => {
                tracing::debug!(%error, "no room ahead in the log: commits take a little longer");
                self.step = FIRST;
                self.not_before = self.length + LARGEST;
            }
        }
    }

    fn lengthen(&self) -> io::Result<u64> {
        let mut log = OpenOptions::new().append(true).open(&self.file)?;
        let end = log.metadata()?.len();
        zeros(&mut log, self.step).inspect_err(|_| {
            // What was written of them takes the space that the next commits need.
            let _ = log.set_len(end);
        })?;
        Ok(end + self.step)
    }
}

fn zeros(log: &mut File, count: u64) -> io::Result<()> {
    let piece = [0; 64 * 1024];
    for _ in 0..count / piece.len() as u64 {
        log.write_all(&piece)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{ConnectOptions, Connection, Executor};

    use crate::{Database, WriteError};

    async fn write(database: &Database, sql: &'static str) {
        let written: Result<(), WriteError> =
            database.writer().submit(move |c| Box::pin(async move { Ok(c.execute(sql).await.map(drop)?) })).await;
        written.unwrap();
    }

    async fn count(file: &std::path::Path) -> i64 {
        let mut copy = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
        let count = sqlx::query_scalar("SELECT count(*) FROM things").fetch_one(&mut copy).await.unwrap();
        copy.close().await.unwrap();
        count
    }

    #[tokio::test]
    async fn commits_find_room_in_the_log_and_what_a_crash_leaves_is_read_as_before() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(crate::OpenOptions::new(folder.path())).await.unwrap();
        let log = folder.path().join("fangshi.db-wal");
        let length = || std::fs::metadata(&log).unwrap().len();
        write(&database, "CREATE TABLE things (body BLOB)").await;
        let (mut grown, mut last) = (0, length());
        for done in 1..=300 {
            write(&database, "INSERT INTO things VALUES (randomblob(3000))").await;
            if length() != last {
                (grown, last) = (grown + 1, length());
            }
            if done % 100 == 0 {
                // As a crash would leave it: the log with the zeros behind its end.
                let crashed = tempfile::tempdir().unwrap();
                for name in ["fangshi.db", "fangshi.db-wal"] {
                    std::fs::copy(folder.path().join(name), crashed.path().join(name)).unwrap();
                }
                assert_eq!(count(&crashed.path().join("fangshi.db")).await, done);
            }
        }
        assert!(grown <= 12, "the log grew with {grown} of 300 commits");
        // Another program may write between two commits, and room is made behind what it wrote.
        let mut other = SqliteConnectOptions::new().filename(database.path()).connect().await.unwrap();
        for _ in 0..300 {
            other.execute("INSERT INTO things VALUES (randomblob(3000))").await.unwrap();
            write(&database, "INSERT INTO things VALUES (randomblob(3000))").await;
        }
        other.close().await.unwrap();
        assert!(database.empty_log().await.unwrap());
        write(&database, "INSERT INTO things VALUES (randomblob(3000))").await;
        let path = database.path().to_owned();
        database.close().await;
        assert_eq!(count(&path).await, 901);
    }
}
