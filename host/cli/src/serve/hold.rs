//! A restored store is held: callbacks are recorded, and no lane works. Meanwhile tokens are read again from the platform's
//! list, and the orders of unfinished events from the platform; then it waits for `fangshi restore --release`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fangshi_journal::{Journal, JournalError, LaneKey, SnapshotRow};
use fangshi_lanes::Lanes;
use fangshi_operations::{Class, Operations};
use fangshi_tenants::{Actor, Tenants};
use tokio::task::JoinHandle;

/// A file in the data folder by which the command tells a running host to end the hold.
const RELEASE_FILE: &str = "release";
/// Between looks for it, and between tries of what failed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Orders read from the journal at once.
const PAGE: u32 = 200;

/// Where the command leaves its word.
pub fn release_file(data_dir: &Path) -> PathBuf {
    data_dir.join(RELEASE_FILE)
}

/// What the task works with.
pub struct Hold {
    pub tenants: Tenants,
    pub journal: Journal,
    pub operations: Operations,
    pub lanes: Lanes,
    pub data_dir: PathBuf,
}

impl Hold {
    /// Works until the hold is over; does nothing if the store is not held.
    pub fn start(self) -> JoinHandle<()> {
        tokio::spawn(async move {
            if !self.lanes.is_held() {
                return;
            }
            tracing::warn!("the store was restored and is held: callbacks are recorded, no plugin runs");
            loop {
                if let Err(error) = self.prepare().await {
                    tracing::warn!(error, "what is to be read again before the release waits");
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

    async fn prepare(&self) -> Result<(), String> {
        let restored = self.journal.restored().await.map_err(|error| error.to_string())?;
        let Some(restored) = restored.filter(|restored| restored.is_held()) else { return Ok(()) };
        if restored.tokens_at.is_none() {
            if self.tenants.has_component() {
                let platform = self.operations.authorizer();
                let planted = self.tenants.onboarding().reread_tokens(&platform).await;
                let planted = planted.map_err(|error| error.to_string())?;
                tracing::info!(planted, "refresh tokens were read again from the platform's list");
            }
            self.journal.tokens_reread().await.map_err(|error| error.to_string())?;
        }
        if restored.orders_at.is_none() {
            let (orders, unreadable) = self.reread_orders().await?;
            self.journal.orders_reread(orders, unreadable).await.map_err(|error| error.to_string())?;
            tracing::info!(orders, unreadable, "orders of unfinished events were read again: ready to be released");
        }
        Ok(())
    }

    /// Reads every order with unfinished events. One that cannot be read now fails it all, to be tried again; one that the
    /// platform does not show, or whose shop is stopped, is counted.
    async fn reread_orders(&self) -> Result<(u32, u32), String> {
        let (mut orders, mut unreadable) = (0, 0);
        let mut after: Option<LaneKey> = None;
        loop {
            let page = self.journal.unfinished_orders(after.as_ref(), PAGE).await;
            let page = page.map_err(|error| error.to_string())?;
            let Some(last) = page.last().cloned() else { return Ok((orders, unreadable)) };
            after = Some(last);
            for lane in page {
                orders += 1;
                match self.operations.read_order(lane.tenant, &lane.order_id).await {
                    Ok(json) => {
                        let snapshot = SnapshotRow::new(&lane.order_id, json, self.journal.clock().now());
                        let kept = self.journal.keep_snapshot(lane.tenant, &snapshot).await;
                        kept.map_err(|error| error.to_string())?;
                    }
                    Err(fault) => match fault.class {
                        Class::NotFound
                        | Class::Invalid
                        | Class::Permission
                        | Class::Revoked
                        | Class::Reauthorize
                        | Class::Suspended
                        | Class::Other => unreadable += 1,
                        _ => return Err(format!("an order of {} can't be read: {}", lane.tenant, fault.message)),
                    },
                }
            }
        }
    }

    /// Ends the hold if the command said so.
    async fn released(&self) -> Result<bool, JournalError> {
        let file = release_file(&self.data_dir);
        if !file.exists() {
            return Ok(false);
        }
        self.journal.release(Actor::Operator(None)).await?;
        self.lanes.release().await;
        let _ = std::fs::remove_file(&file);
        tracing::warn!("the hold is over: lanes work");
        Ok(true)
    }
}
