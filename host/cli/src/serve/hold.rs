//! A restored store is held: callbacks are recorded, and no lane works. Meanwhile tokens are read again from the platform's
//! list, and the orders of unfinished events from the platform; then it waits for `fangshi restore --release`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fangshi_journal::{Journal, JournalError, LaneKey, SnapshotRow};
use fangshi_lanes::Lanes;
use fangshi_operations::{Class, Fault, Operations, Sent};
use fangshi_tenants::{Actor, TenantId, Tenants};
use tokio::task::JoinHandle;

/// A file in the data folder by which the command tells a running host to end the hold.
const RELEASE_FILE: &str = "release";
/// Between looks for it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks between two tries of what failed: doubled by every try, up to a minute.
const MOST_LOOKS: u32 = 60;
/// Readings of one order that get no usable answer before it counts as unreadable.
const TRIES: u32 = 3;
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

/// How far the reading of orders came: kept between tries.
#[derive(Default)]
struct Reread {
    after: Option<LaneKey>,
    orders: u32,
    unreadable: u32,
    /// Readings of the order after `after` that failed.
    tries: u32,
    /// Shops that can't be asked: their orders count as unreadable.
    closed: HashSet<TenantId>,
}

/// What a fault means for the reading of orders.
#[derive(Debug, PartialEq, Eq)]
enum Setback {
    /// The platform does not show this order.
    Order,
    /// It shows none of this shop: not authorized, not permitted, or its quota of the day is used up.
    Shop,
    /// It may be about this order: tried again a few times.
    Tried,
    /// Nothing was found out about the order: tried again until it is.
    Later,
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
                    match self.prepare(&mut reread).await {
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

    async fn prepare(&self, reread: &mut Reread) -> Result<(), String> {
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
            if !self.reread_orders(reread).await? {
                return Ok(());
            }
            let (orders, unreadable) = (reread.orders, reread.unreadable);
            self.journal.orders_reread(orders, unreadable).await.map_err(|error| error.to_string())?;
            tracing::info!(orders, unreadable, "orders of unfinished events were read again: ready to be released");
        }
        Ok(())
    }

    /// Goes on reading every order with unfinished events; false if the command ends the hold meanwhile. An order that the
    /// platform does not show, or whose shop can't be asked, is counted; whatever else hinders it is an error, after which
    /// the next try goes on at the same order.
    async fn reread_orders(&self, reread: &mut Reread) -> Result<bool, String> {
        loop {
            let page = self.journal.unfinished_orders(reread.after.as_ref(), PAGE).await;
            let page = page.map_err(|error| error.to_string())?;
            if page.is_empty() {
                return Ok(true);
            }
            for lane in page {
                if release_file(&self.data_dir).exists() {
                    return Ok(false);
                }
                if !self.reread_order(reread, &lane).await? {
                    reread.unreadable += 1;
                }
                reread.orders += 1;
                (reread.after, reread.tries) = (Some(lane), 0);
            }
        }
    }

    /// Reads one order again; false if it can't be read.
    async fn reread_order(&self, reread: &mut Reread, lane: &LaneKey) -> Result<bool, String> {
        let tenant = lane.tenant;
        if reread.closed.contains(&tenant) {
            return Ok(false);
        }
        let fault = match self.operations.read_order(tenant, &lane.order_id).await {
            Ok(json) => {
                let snapshot = SnapshotRow::new(&lane.order_id, json, self.journal.clock().now());
                let kept = self.journal.keep_snapshot(tenant, &snapshot).await;
                return kept.map(|()| true).map_err(|error| error.to_string());
            }
            Err(fault) => fault,
        };
        match setback(&fault) {
            Setback::Order => Ok(false),
            Setback::Shop => {
                reread.closed.insert(tenant);
                tracing::warn!(%tenant, class = fault.class.name(), "the shop can't be asked: its orders stay unread");
                Ok(false)
            }
            Setback::Tried if reread.tries + 1 == TRIES => {
                tracing::warn!(%tenant, order_id = %lane.order_id, class = fault.class.name(), "an order stays unread");
                Ok(false)
            }
            other => {
                if other == Setback::Tried {
                    reread.tries += 1;
                }
                Err(format!("an order of {tenant} can't be read: {}", fault.message))
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

fn setback(fault: &Fault) -> Setback {
    match fault.class {
        Class::NotFound | Class::Invalid | Class::Other => Setback::Order,
        Class::Permission | Class::Revoked | Class::Reauthorize | Class::Suspended | Class::DayQuota => Setback::Shop,
        // Nothing left the host: that says nothing about an order.
        Class::Unreachable if fault.sent == Sent::NotSent => Setback::Later,
        Class::Unreachable
        | Class::Busy
        | Class::TooOften
        | Class::Conflict
        | Class::Unanswered
        | Class::Unreadable
        | Class::Bug => Setback::Tried,
        Class::MinuteQuota | Class::Token | Class::Ticket | Class::Host | Class::Config => Setback::Later,
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

    #[test]
    fn a_shop_that_cannot_be_asked_holds_up_no_other() {
        let of = |class, sent| setback(&Fault::new(class, sent, "refused"));
        for class in [Class::DayQuota, Class::Suspended, Class::Revoked, Class::Permission] {
            assert_eq!(of(class, Sent::Answered), Setback::Shop, "{class:?}");
        }
        assert_eq!(of(Class::NotFound, Sent::Answered), Setback::Order);
        assert_eq!(of(Class::Unreachable, Sent::Answered), Setback::Tried);
        assert_eq!(of(Class::Unreachable, Sent::NotSent), Setback::Later, "an outage says nothing about an order");
    }
}
