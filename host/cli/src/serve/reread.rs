//! What a held store lacks: tokens and the orders of unfinished events, read again from the platform before the release.

use std::collections::HashSet;
use std::path::PathBuf;

use async_trait::async_trait;
use fangshi_journal::{Journal, LaneKey, SnapshotRow};
use fangshi_operations::{Class, Fault, Operations, Sent};
use fangshi_tenants::{TenantId, Tenants};
use serde_json::Value;

use super::hold::release_file;

/// Readings of one order that get no usable answer before it counts as unreadable.
const TRIES: u32 = 3;
/// Orders read from the journal at once.
const PAGE: u32 = 200;

/// The platform, as far as a held store asks it.
#[async_trait]
pub trait Platform: Send + Sync {
    /// getorder's `order` object.
    async fn read_order(&self, tenant: TenantId, order_id: &str) -> Result<Value, Fault>;

    /// Puts the refresh tokens of the platform's list into custody; gives how many.
    async fn reread_tokens(&self, tenants: &Tenants) -> Result<u32, String>;
}

#[async_trait]
impl Platform for Operations {
    async fn read_order(&self, tenant: TenantId, order_id: &str) -> Result<Value, Fault> {
        Operations::read_order(self, tenant, order_id).await
    }

    async fn reread_tokens(&self, tenants: &Tenants) -> Result<u32, String> {
        if !tenants.has_component() {
            return Ok(0);
        }
        let planted = tenants.onboarding().reread_tokens(&self.authorizer()).await;
        planted.map_err(|error| error.to_string())
    }
}

/// What reads again.
pub struct Rereading<P> {
    pub tenants: Tenants,
    pub journal: Journal,
    pub platform: P,
    pub data_dir: PathBuf,
}

/// How far the reading of orders came: kept between tries.
#[derive(Default)]
pub struct Reread {
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

impl<P: Platform> Rereading<P> {
    /// Goes on until everything was read again; an error is for the log, and the next try goes on from there.
    pub async fn prepare(&self, reread: &mut Reread) -> Result<(), String> {
        let restored = self.journal.restored().await.map_err(|error| error.to_string())?;
        let Some(restored) = restored.filter(|restored| restored.is_held()) else { return Ok(()) };
        if restored.tokens_at.is_none() {
            let planted = self.platform.reread_tokens(&self.tenants).await?;
            tracing::info!(planted, "refresh tokens were read again from the platform's list");
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
        let fault = match self.platform.read_order(tenant, &lane.order_id).await {
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, VecDeque};
    use std::sync::Mutex;

    use fangshi_journal::{Clock, NewEvent, Source};
    use fangshi_tenants::{Actor, Credentials, Digest, Kek, ManifestRecord, NewInstallation, NewTenant};
    use serde_json::json;

    use super::*;

    /// Answers from a list, faults first to last; then every order is shown.
    #[derive(Default)]
    struct Script {
        faults: Mutex<VecDeque<Fault>>,
        asked: Mutex<Vec<(TenantId, String)>>,
    }

    #[async_trait]
    impl Platform for Script {
        async fn read_order(&self, tenant: TenantId, order_id: &str) -> Result<Value, Fault> {
            self.asked.lock().unwrap().push((tenant, order_id.to_owned()));
            match self.faults.lock().unwrap().pop_front() {
                Some(fault) => Err(fault),
                None => Ok(json!({"order_id": order_id, "status": 20})),
            }
        }

        async fn reread_tokens(&self, _: &Tenants) -> Result<u32, String> {
            Ok(0)
        }
    }

    impl Script {
        fn asked(&self) -> Vec<String> {
            self.asked.lock().unwrap().iter().map(|(tenant, order)| format!("{tenant} {order}")).collect()
        }
    }

    /// A held store with two unfinished orders of one shop and one of another.
    async fn held(faults: Vec<Fault>) -> (Rereading<Script>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::manual();
        hand.set(1_764_642_403_000);
        let options = fangshi_database::OpenOptions::new(folder.path());
        let database = fangshi_database::Database::open(options).await.unwrap();
        let tenants = Tenants::open(database.clone(), Kek::from_bytes(&[7; 32]), None, clock.clone()).await.unwrap();
        let journal = Journal::open(database.clone(), tenants.clone(), clock.clone());
        for (n, orders) in [(1, &["1", "2"][..]), (2, &["3"])] {
            let new = NewTenant {
                platform: fangshi_tenants::Platform::Weixin,
                appid: format!("wx{n:016}"),
                user_name: None,
                name: "shop".into(),
                credentials: Credentials::Authorized { access_token: None, expires_in: None, refresh_token: None },
            };
            let tenant = tenants.create(new).await.unwrap().id;
            install(&tenants, tenant).await;
            for order in orders {
                let mut dedup = [n as u8; 32];
                dedup[0] = order.as_bytes()[0];
                let event = NewEvent {
                    tenant,
                    event: "channels_ec_order_pay".into(),
                    order_id: (*order).to_owned(),
                    source: Source::Callback,
                    ext_type: None,
                    created_at: clock.now_s(),
                    received_at: clock.now(),
                    dedup,
                    body: b"{}".to_vec(),
                };
                journal.record_event(event).await.unwrap();
            }
        }
        journal.hold(Actor::Operator(None)).await.unwrap();
        let platform = Script { faults: Mutex::new(faults.into()), asked: Mutex::default() };
        (Rereading { tenants, journal, platform, data_dir: folder.path().to_owned() }, folder)
    }

    /// Somebody hears the tenant's events: they are not finished at once.
    async fn install(tenants: &Tenants, tenant: TenantId) {
        let manifest = ManifestRecord { hooks: vec!["on-pay".into()], grants: Vec::new() };
        let registry = tenants.registry();
        let added = registry.add_version(tenant, "hears", Digest::of(b"code"), manifest, b"code").await.unwrap();
        let (plugin, version, _) = added;
        let (settings, limits) = (json!({}), json!({}));
        let (grants, schedules) = (BTreeSet::new(), Vec::new());
        let new = NewInstallation { plugin, version: version.digest, grants, settings, limits, schedules };
        registry.install(tenant, new).await.unwrap();
    }

    async fn counts(held: &Rereading<Script>) -> Option<(i64, i64)> {
        let restored = held.journal.restored().await.unwrap().unwrap();
        restored.orders_at.map(|_| (restored.orders, restored.unreadable))
    }

    fn fault(class: Class, sent: Sent) -> Fault {
        Fault::new(class, sent, "no")
    }

    #[tokio::test]
    async fn an_outage_ends_the_try_and_the_next_one_goes_on_at_the_same_order() {
        let (held, _folder) = held(vec![fault(Class::Unreachable, Sent::NotSent); 5]).await;
        let mut reread = Reread::default();
        for _ in 0..5 {
            assert!(held.prepare(&mut reread).await.is_err());
            assert_eq!(counts(&held).await, None);
        }
        held.prepare(&mut reread).await.unwrap();
        assert_eq!(held.platform.asked(), ["t1 1", "t1 1", "t1 1", "t1 1", "t1 1", "t1 1", "t1 2", "t2 3"]);
        assert_eq!(counts(&held).await, Some((3, 0)));
    }

    #[tokio::test]
    async fn an_order_without_an_answer_is_tried_three_times() {
        let (held, _folder) = held(vec![fault(Class::Unanswered, Sent::Unknown); 3]).await;
        let mut reread = Reread::default();
        for _ in 0..2 {
            assert!(held.prepare(&mut reread).await.is_err());
        }
        held.prepare(&mut reread).await.unwrap();
        assert_eq!(held.platform.asked(), ["t1 1", "t1 1", "t1 1", "t1 2", "t2 3"]);
        assert_eq!(counts(&held).await, Some((3, 1)));
    }

    #[tokio::test]
    async fn a_used_up_quota_of_the_day_closes_that_shop_alone() {
        let (held, _folder) = held(vec![fault(Class::DayQuota, Sent::Answered)]).await;
        held.prepare(&mut Reread::default()).await.unwrap();
        assert_eq!(held.platform.asked(), ["t1 1", "t2 3"]);
        assert_eq!(counts(&held).await, Some((3, 2)));
    }

    #[tokio::test]
    async fn a_release_stops_the_reading() {
        let (held, _folder) = held(Vec::new()).await;
        std::fs::write(release_file(&held.data_dir), "").unwrap();
        held.prepare(&mut Reread::default()).await.unwrap();
        assert!(held.platform.asked().is_empty());
        assert_eq!(counts(&held).await, None);
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
