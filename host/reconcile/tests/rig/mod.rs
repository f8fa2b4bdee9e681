//! Tenants, journal and operations over real SQLite and the fake platform; both clocks are moved by hand, and rounds of
//! reconciliation are called for.
#![allow(dead_code)]

use std::sync::Arc;
use std::time::Duration;

use fangshi_database::{Clock, Database, EventSeq, ManualClock, OpenOptions};
use fangshi_journal::{EventFilter, EventView, Journal, NewEvent, Recorded, Source, Standing};
use fangshi_operations::{Operations, OperationsConfig};
use fangshi_platform::{NewShop, Platform, Settings};
use fangshi_reconcile::{ReconcileConfig, Reconciler};
use fangshi_tenants::{ComponentCredentials, Credentials, Kek, NewTenant, Platform as Kind, TenantId, Tenants};
use secrecy::SecretString;
use serde_json::json;

pub struct Rig {
    pub platform: Platform,
    pub appid: String,
    pub tenant: TenantId,
    pub db: Database,
    pub tenants: Tenants,
    pub journal: Journal,
    pub operations: Operations,
    pub clock: Clock,
    hand: ManualClock,
    pub config: ReconcileConfig,
    pub reconciler: Reconciler,
    pub folder: tempfile::TempDir,
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

impl Rig {
    /// A shop at a time, unix seconds; nobody hears its events yet. The platform has no URL to push to.
    pub async fn new(start_s: i64, config: ReconcileConfig) -> Rig {
        let platform = Platform::start(Settings::manual(start_s)).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::manual();
        hand.set(start_s * 1_000);
        let db = Database::open(OpenOptions::new(folder.path())).await.unwrap();
        let component = platform.component();
        let component =
            ComponentCredentials { appid: component.appid.clone(), appsecret: secret(component.appsecret()) };
        let tenants =
            Tenants::open(db.clone(), Kek::from_bytes(&[9; 32]), Some(component), clock.clone()).await.unwrap();
        let journal = Journal::open(db.clone(), tenants.clone(), clock.clone());
        let shop = platform.add_shop(NewShop::authorized()).unwrap();
        let issued = platform.issue_tokens(&shop.appid).unwrap();
        let new = NewTenant {
            platform: Kind::Weixin,
            appid: shop.appid.clone(),
            user_name: Some(shop.user_name.clone()),
            name: "shop".into(),
            credentials: Credentials::Authorized {
                access_token: Some(secret(issued.access())),
                expires_in: None,
                refresh_token: issued.refresh().map(secret),
            },
        };
        let tenant = tenants.create(new).await.unwrap().id;
        let of_clock =
            OperationsConfig { api_base: platform.base_url(), clock: clock.clone(), ..OperationsConfig::default() };
        let operations = Operations::new(of_clock, tenants.clone()).unwrap();
        let reconciler = reconciler(&journal, &tenants, &operations, &clock, &config);
        let appid = shop.appid;
        Rig { platform, appid, tenant, db, tenants, journal, operations, clock, hand, config, reconciler, folder }
    }

    /// A process that was started again: nothing but the store is left.
    pub fn restart(&mut self) {
        self.reconciler = reconciler(&self.journal, &self.tenants, &self.operations, &self.clock, &self.config);
    }

    /// Time passes on both sides.
    pub async fn pass(&self, seconds: i64) {
        self.advance_to(self.clock.now_s() + seconds).await;
    }

    /// Both clocks show this time, unix seconds.
    pub async fn advance_to(&self, unix_s: i64) {
        self.platform.advance(Duration::from_secs((unix_s - self.platform.now()).max(0) as u64)).await;
        self.hand.set(self.platform.now().max(unix_s) * 1_000);
        // Tickets and tokens run out within hours.
        let ticket = self.platform.issue_ticket();
        self.tenants.custody().keep_ticket(secret(&ticket), self.clock.now_s()).await.unwrap();
    }

    /// The host's clock alone shows this time, unix seconds.
    pub fn set_clock(&self, unix_s: i64) {
        self.hand.set(unix_s * 1_000);
    }

    /// Another tenant, which the fake platform does not know.
    pub async fn add_tenant(&self) -> TenantId {
        let new = NewTenant {
            platform: Kind::Weixin,
            appid: "wx00000000000000aa".into(),
            user_name: None,
            name: "other".into(),
            credentials: Credentials::Authorized { access_token: None, expires_in: None, refresh_token: None },
        };
        self.tenants.create(new).await.unwrap().id
    }

    pub async fn standing(&self) -> Standing {
        self.journal.standing(self.tenant).await.unwrap().unwrap_or_default()
    }

    /// Rounds until no pass is under way. Time passes as the budget of calls wants it.
    pub async fn settle(&self) -> Standing {
        for _ in 0..200 {
            self.reconciler.round().await;
            let standing = self.standing().await;
            if standing.incremental.walk.is_none() && standing.full.walk.is_none() {
                return standing;
            }
            self.pass(60).await;
        }
        panic!("passes do not end: {:?}", self.standing().await);
    }

    /// A whole interval later, with its pass.
    pub async fn next_pass(&self) -> Standing {
        self.pass(self.config.interval.as_secs() as i64 + 1).await;
        self.settle().await
    }

    /// The tenant's events, oldest first.
    pub async fn events(&self) -> Vec<EventView> {
        let filter = EventFilter { limit: 200, ..EventFilter::default() };
        let mut events = self.journal.events(self.tenant, &filter).await.unwrap().items;
        events.reverse();
        events
    }

    /// (Event without its common beginning, type) of the reconciled events of an order.
    pub async fn reconciled(&self, order: &str) -> Vec<(String, Option<i64>)> {
        let events = self.events().await.into_iter().filter(|event| event.order_id == order);
        events
            .filter(|event| event.source == Source::Reconciled)
            .map(|event| (event.event.trim_start_matches("channels_ec_order_").to_owned(), event.ext_type))
            .collect()
    }

    /// A callback comes in: CreateTime in unix seconds.
    pub async fn callback(&self, order: &str, event: &str, ext_type: Option<i64>, created_at: i64) -> Recorded {
        self.journal.record_event(self.event(order, event, ext_type, created_at)).await.unwrap()
    }

    /// The event of a callback that comes now.
    pub fn event(&self, order: &str, event: &str, ext_type: Option<i64>, created_at: i64) -> NewEvent {
        let event = format!("channels_ec_order_{event}");
        let mut dedup = [7; 32];
        dedup[..8].copy_from_slice(&created_at.to_be_bytes());
        dedup[8..16].copy_from_slice(&ext_type.unwrap_or(-1).to_be_bytes());
        dedup[16] = event.len() as u8;
        let body = json!({"CreateTime": created_at.to_string(), "Event": event,
            "order_info": {"order_id": order, "type": ext_type.map(|it| it.to_string())}});
        NewEvent {
            tenant: self.tenant,
            event,
            order_id: order.to_owned(),
            source: Source::Callback,
            ext_type,
            created_at,
            received_at: self.clock.now(),
            dedup,
            body: body.to_string().into_bytes(),
        }
    }
}

/// Whether an event of the list came to a run.
pub fn runs_of(events: &[EventView], seq: EventSeq) -> u32 {
    events.iter().find(|event| event.seq == seq).map_or(0, |event| event.runs)
}

fn reconciler(
    journal: &Journal,
    tenants: &Tenants,
    operations: &Operations,
    clock: &Clock,
    config: &ReconcileConfig,
) -> Reconciler {
    let shop = Arc::new(operations.clone());
    Reconciler::new(journal.clone(), tenants.clone(), shop, clock.clone(), config.clone())
}
