//! A restored store is held: callbacks are recorded, and no lane works. Meanwhile tokens are read again from the platform's
//! list, and the orders of unfinished events from the platform; then it waits for `fangshi restore --release`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fangshi_journal::JournalError;
use fangshi_lanes::Lanes;
use fangshi_operations::Operations;
use fangshi_tenants::Actor;
use tokio::task::JoinHandle;

use super::reread::{Reread, Rereading};

/// A file in the data folder by which the command tells a running host to end the hold.
const RELEASE_FILE: &str = "release";
/// Between looks for it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks between two tries of what failed: doubled by every try, up to a minute.
const MOST_LOOKS: u32 = 60;

/// Where the command leaves its word.
pub fn release_file(data_dir: &Path) -> PathBuf {
    data_dir.join(RELEASE_FILE)
}

/// What the task works with.
pub struct Hold {
    pub rereading: Rereading<Operations>,
    pub lanes: Lanes,
}

impl Hold {
    /// Works until the hold is over; does nothing if the store is not held.
    pub fn start(self) -> JoinHandle<()> {
        tokio::spawn(async move {
            if !self.lanes.is_held() {
                return;
            }
            tracing::warn!("the store was restored and is held: callbacks are recorded, no plugin runs");
            let (mut reread, mut failed, mut looks) = (Reread::default(), 0, 0);
            loop {
                if looks == 0 {
                    match self.rereading.prepare(&mut reread).await {
                        Ok(()) => failed = 0,
                        Err(error) => {
                            failed += 1;
                            looks = looks_after(failed);
                            tracing::warn!(error, looks, "what is to be read again before the release waits");
                        }
                    }
                } else {
                    looks -= 1;
                }
                match self.released().await {
                    Ok(true) => return,
                    Ok(false) => {}
                    Err(error) => tracing::error!(%error, "the hold can't be ended"),
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        })
    }

    /// Ends the hold if the command said so.
    async fn released(&self) -> Result<bool, JournalError> {
        let file = release_file(&self.rereading.data_dir);
        if !file.exists() {
            return Ok(false);
        }
        self.rereading.journal.release(Actor::Operator(None)).await?;
        self.lanes.release().await;
        let _ = std::fs::remove_file(&file);
        tracing::warn!("the hold is over: lanes work");
        Ok(true)
    }
}

/// Looks to wait for after so many tries that failed.
fn looks_after(failed: u32) -> u32 {
    (1 << failed.min(16)).min(MOST_LOOKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_come_further_and_further_apart() {
        assert_eq!([1, 2, 5, 6, 40].map(looks_after), [2, 4, 32, 60, 60]);
    }
}
