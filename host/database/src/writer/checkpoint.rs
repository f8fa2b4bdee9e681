//! Bringing the log back into the database file, beside the writer.
//!
//! SQLite would do it inside the commit that makes the log too long, and hold up every acknowledgement while thousands
//! of pages are copied and synced. Here another connection does it while groups are written; then the writer brings back
//! the few pages that came meanwhile, so that the log can begin anew.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, SqliteConnection};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Never waits for readers or for the writer, and brings back what they leave.
const CHECKPOINT: &str = "PRAGMA wal_checkpoint(PASSIVE)";
/// Pages in the log, about, before they are brought back: 32 MiB.
const PAGES: u64 = 8192;

/// When the next one is due, and whether one is under way.
#[derive(Default)]
pub(super) struct Checkpoints {
    /// Pages written since the last, about.
    pages: u64,
    under_way: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// After a commit. A group touches the ends of some indexes however small it is; with more rows it fills pages.
    pub(super) fn count(&mut self, rows: u64, writes: u64) {
        self.pages += 8 + rows / 2 + writes * 4;
    }

    /// Between two groups: starts one if it is due, or finishes the one that has ended.
    pub(super) async fn step(&mut self, own: &mut SqliteConnection, other: &SqliteConnectOptions, server: &Handle) {
        match self.under_way.take() {
            Some(running) if !running.is_finished() => self.under_way = Some(running),
            Some(_) => {
                // What fails here is tried again by the next one, and by SQLite when the log grows too long.
                let _ = own.execute(CHECKPOINT).await;
            }
            None if self.pages >= PAGES => {
                self.pages = 0;
                let other = other.clone();
                self.under_way = Some(server.spawn(async move {
                    if let Err(error) = beside(&other).await {
                        tracing::warn!(%error, "the log could not be brought back beside the writer");
                    }
                }));
            }
            None => {}
        }
    }

    /// Returns when none is under way.
    pub(super) async fn end(&mut self) {
        if let Some(running) = self.under_way.take() {
            let _ = running.await;
        }
    }
}

async fn beside(options: &SqliteConnectOptions) -> Result<(), sqlx::Error> {
    let mut connection = options.clone().thread_name(|_| "fangshi-checkpoint".to_owned()).connect().await?;
    connection.execute(CHECKPOINT).await?;
    connection.close().await
}
