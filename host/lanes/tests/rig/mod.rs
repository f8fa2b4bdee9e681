//! Lanes over real SQLite, with scripted guests, a shop in memory and a clock moved by hand.
#![allow(dead_code)]

mod scripts;
mod shop;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fangshi_database::{
    BoxFuture, Clock, Database, Digest, EventSeq, InstallationId, ManualClock, OpenOptions, TenantId,
};
use fangshi_journal::{Journal, LaneKey, NewEvent, RunFilter, RunState, RunView, Source};
use fangshi_lanes::{
    Directory, Finished, Guest, Guests, Lanes, LanesConfig, Parts, Seat, Standing, Subscriber, Throughput,
};
use fangshi_runtime::{Outcome, RunHost, RunInput, RunReport};
use fangshi_tenants::{Credentials, Kek, NewTenant, Platform, Stop, Tenants};
use serde_json::{Value, json};

#[allow(unused_imports, reason = "no test uses all of them")]
pub use scripts::{note_after_read, outcome_of, phone_code, send_out, set_note, ship, shipment};
#[allow(unused_imports, reason = "no test uses all of them")]
pub use shop::{FakeShop, Mood, refused};

pub const ORDER: &str = "3705115058471208928";

pub type Script = Arc<dyn for<'a> Fn(&'a RunInput, &'a mut dyn RunHost) -> BoxFuture<'a, Outcome> + Send + Sync>;

/// A guest's behaviour from an async closure over the host.
#[macro_export]
macro_rules! script {
    (|$input:ident, $host:ident| $body:expr) => {{
        let script: $crate::rig::Script = std::sync::Arc::new(move |$input, $host| Box::pin(async move { $body }));
        script
    }};
    ([$($kept:ident),*] |$input:ident, $host:ident| $body:expr) => {{
        let script: $crate::rig::Script = std::sync::Arc::new(move |$input, $host| {
            $(let $kept = $kept.clone();)*
            Box::pin(async move { $body })
        });
        script
    }};
}

/// Versions and what they do.
#[derive(Default)]
pub struct Scripts {
    scripts: Mutex<HashMap<Digest, (bool, Script)>>,
    pub loads_fail: AtomicU32,
    /// So often a version is not loaded yet.
    pub loads_take: AtomicU32,
    /// Versions that are being loaded until they are taken out, by the numbers of their installations.
    pub being_loaded: Mutex<BTreeSet<u8>>,
    pub running: AtomicUsize,
    pub most_running: AtomicUsize,
    /// Lanes with a run under way: two at once are a defect. The envelope does not name the tenant, so the order does.
    busy: Mutex<BTreeMap<String, u32>>,
    /// (event, hook's order, version, attempt) of every run, in their order.
    pub runs: Mutex<Vec<Ran>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Ran {
    pub event: String,
    pub order: String,
    pub version: u8,
    pub attempt: u32,
    pub is_last: bool,
    pub seed: [u8; 32],
    pub clock_ms: i64,
    pub had_order: bool,
}

impl Scripts {
    /// What a version does; it reads no order.
    pub fn install(&self, version: Digest, script: Script) {
        self.scripts.lock().unwrap().insert(version, (false, script));
    }

    /// What a version does that reads the order first.
    pub fn install_reader(&self, version: Digest, script: Script) {
        self.scripts.lock().unwrap().insert(version, (true, script));
    }
}

struct Scripted {
    scripts: Arc<Scripts>,
    version: Digest,
    reads_order: bool,
    asks: BTreeSet<String>,
    script: Script,
}

pub struct ScriptedGuests(pub Arc<Scripts>);

#[async_trait]
impl Guests for ScriptedGuests {
    fn engine(&self) -> String {
        "scripted 1".into()
    }

    async fn load_soon(&self, tenant: TenantId, version: Digest) -> Result<Option<Arc<dyn Guest>>, String> {
        if self.0.being_loaded.lock().unwrap().contains(&version.0[0]) {
            return Ok(None);
        }
        if self.0.loads_take.load(Ordering::SeqCst) > 0 {
            self.0.loads_take.fetch_sub(1, Ordering::SeqCst);
            return Ok(None);
        }
        self.load(tenant, version).await.map(Some)
    }

    async fn load(&self, _: TenantId, version: Digest) -> Result<Arc<dyn Guest>, String> {
        if self.0.loads_fail.load(Ordering::SeqCst) > 0 {
            self.0.loads_fail.fetch_sub(1, Ordering::SeqCst);
            return Err("no memory to compile".into());
        }
        let scripts = self.0.scripts.lock().unwrap();
        let (reads_order, script) = scripts.get(&version).ok_or("no such version")?;
        Ok(Arc::new(Scripted {
            scripts: self.0.clone(),
            version,
            reads_order: *reads_order,
            asks: BTreeSet::from(["notes".to_owned()]),
            script: script.clone(),
        }))
    }
}

/// Counts a run out however it ends, dropped ones included.
struct Inside<'a>(&'a Scripts, String);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        *self.0.busy.lock().unwrap().get_mut(&self.1).unwrap() -= 1;
    }
}

#[async_trait]
impl Guest for Scripted {
    fn reads_order(&self) -> bool {
        self.reads_order
    }

    fn asks(&self) -> &BTreeSet<String> {
        &self.asks
    }

    async fn run(&self, input: RunInput, mut host: Box<dyn RunHost>) -> RunReport {
        let order = input.envelope.order_id.clone();
        {
            let mut busy = self.scripts.busy.lock().unwrap();
            let inside = busy.entry(order.clone()).or_default();
            *inside += 1;
            assert!(*inside == 1 || order.is_empty(), "two runs at once in a lane");
        }
        let now = self.scripts.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.scripts.most_running.fetch_max(now, Ordering::SeqCst);
        let _inside = Inside(&self.scripts, order.clone());
        self.scripts.runs.lock().unwrap().push(Ran {
            event: input.envelope.id.clone(),
            order,
            version: self.version.0[0],
            attempt: input.envelope.attempt,
            is_last: input.envelope.is_last_attempt,
            seed: input.seed,
            clock_ms: input.clock_ms,
            had_order: input.order.is_some(),
        });
        let outcome = (self.script)(&input, &mut *host).await;
        RunReport {
            // Scripts take no time themselves: what ends at its deadline waited for a call.
            waiting: outcome == Outcome::Deadline,
            outcome,
            fuel_used: 1_000,
            peak_memory: 65_536,
            host_calls: 1,
            log_bytes: 0,
            log_bytes_cut: 0,
            border_bytes: 0,
            wall_ms: 1,
        }
    }
}

/// Who is subscribed, as the test says.
#[derive(Default)]
pub struct Seats {
    pub of: Mutex<HashMap<TenantId, Vec<Seat>>>,
    /// Done once, the next time anybody asks: between a drain's first look at a lane and its entering it.
    pub meanwhile: Mutex<Option<BoxFuture<'static, ()>>>,
    /// Left out once, the next time anybody asks: as if it was made after the list was read.
    pub overlooked: Mutex<Option<InstallationId>>,
    /// How much of each tenant may go on, if the test says so.
    pub throughput: Mutex<Option<Throughput>>,
    /// Faults in a row that put an installation into quarantine; 0: none are counted.
    pub quarantine_after: AtomicU32,
}

impl Seats {
    /// Does `change` when somebody asks for the `nth` time from now, from 1.
    pub fn at_ask(self: &Arc<Seats>, nth: u32, change: impl FnOnce(&Seats) + Send + 'static) {
        let seats = self.clone();
        let then: BoxFuture<'static, ()> = match nth {
            0 | 1 => Box::pin(async move { change(&seats) }),
            _ => Box::pin(async move { seats.at_ask(nth - 1, change) }),
        };
        *self.meanwhile.lock().unwrap() = Some(then);
    }

    pub fn stand(&self, id: i64, standing: Standing) {
        for seat in self.of.lock().unwrap().values_mut().flatten() {
            if seat.subscriber.installation.0 == id {
                seat.subscriber.standing = standing;
            }
        }
    }

    /// Another version takes the place of the one that it has, whose runs do not go on.
    pub fn stop(&self, id: i64, stop: Stop) {
        for seat in self.of.lock().unwrap().values_mut().flatten() {
            if seat.subscriber.installation.0 == id {
                seat.stopped.insert(Digest([id as u8; 32]), stop);
            }
        }
    }

    /// Runs of its own version go on again.
    pub fn let_go(&self, id: i64) {
        for seat in self.of.lock().unwrap().values_mut().flatten() {
            if seat.subscriber.installation.0 == id {
                seat.stopped.clear();
            }
        }
    }

    pub fn remove(&self, id: i64) {
        for seats in self.of.lock().unwrap().values_mut() {
            seats.retain(|seat| seat.subscriber.installation.0 != id);
        }
    }

    /// Takes a grant back.
    pub fn withdraw(&self, id: i64, grant: &str) {
        for seat in self.of.lock().unwrap().values_mut().flatten() {
            if seat.subscriber.installation.0 == id {
                seat.grants.remove(grant);
            }
        }
    }
}

#[async_trait]
impl Directory for Seats {
    async fn seats(&self, tenant: TenantId) -> Result<Arc<Vec<Seat>>, String> {
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile.await;
        }
        let mut seats = self.of.lock().unwrap().get(&tenant).cloned().unwrap_or_default();
        // Every number hears every hook here, so those that nobody installed count as removed.
        for id in (1..=INSTALLATIONS).map(|id| InstallationId(id.into())) {
            if !seats.iter().any(|seat| seat.subscriber.installation == id) {
                let subscriber = Subscriber { installation: id, standing: Standing::Gone, echoes: false };
                seats.push(Seat {
                    subscriber,
                    stopped: BTreeMap::new(),
                    grants: BTreeSet::new(),
                    settings: Arc::default(),
                    secrets: BTreeSet::new(),
                    limits: Value::Null,
                });
            }
        }
        let overlooked = self.overlooked.lock().unwrap().take();
        seats.retain(|seat| Some(seat.subscriber.installation) != overlooked);
        Ok(Arc::new(seats))
    }

    fn quarantine_after(&self, _tenant: TenantId) -> u32 {
        self.quarantine_after.load(Ordering::SeqCst)
    }

    fn throughput(&self, _tenant: TenantId) -> Option<Throughput> {
        *self.throughput.lock().unwrap()
    }
}

pub struct Rig {
    dir: tempfile::TempDir,
    pub db: Database,
    pub tenants: Tenants,
    pub journal: Journal,
    pub lanes: Lanes,
    pub clock: Clock,
    pub hand: ManualClock,
    pub tenant: TenantId,
    pub other: TenantId,
    pub scripts: Arc<Scripts>,
    pub shop: Arc<FakeShop>,
    pub seats: Arc<Seats>,
    pub config: LanesConfig,
    next_event: AtomicU32,
}

/// What the installations of a rig are granted.
pub const GRANTS: [&str; 9] =
    ["notes", "presents", "search", "delivery", "kv", "order-summary", "shop-phone", "decode", "http:a.example"];

/// Numbers up to this may be installed.
const INSTALLATIONS: u8 = 20;

pub const HOOKS: [&str; 3] = ["on-pay", "on-new", "on-ext-info-update"];

impl Rig {
    pub async fn new() -> Rig {
        Rig::with(LanesConfig { sweep_every: None, ..LanesConfig::default() }).await
    }

    pub async fn with(config: LanesConfig) -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::manual();
        let db = Database::open(OpenOptions::new(dir.path())).await.unwrap();
        let tenants = Tenants::open(db.clone(), Kek::from_bytes(&[7; 32]), None, clock.clone()).await.unwrap();
        let tenant = tenants.create(new_tenant(1)).await.unwrap().id;
        let other = tenants.create(new_tenant(2)).await.unwrap().id;
        subscribe(&db, &[tenant, other]).await;
        let journal = Journal::open(db.clone(), tenants.clone(), clock.clone());
        let scripts = Arc::new(Scripts::default());
        let shop = Arc::new(FakeShop {
            orders: Mutex::default(),
            ledger: Mutex::default(),
            moods: Mutex::default(),
            by: Mutex::default(),
            reads_fail: AtomicU32::new(0),
            reads: AtomicU32::new(0),
            looks_fail: AtomicU32::new(0),
            unreadable: Mutex::default(),
            hanging: tokio::sync::Notify::new(),
            kept: Mutex::default(),
            outside_meanwhile: Mutex::default(),
            outside_says: Mutex::default(),
            outside_hangs: AtomicBool::new(false),
            clock: clock.clone(),
        });
        let seats = Arc::new(Seats::default());
        let lanes = start(&journal, &seats, &scripts, &shop, &clock, &config).await;
        let next_event = AtomicU32::new(1);
        Rig { dir, db, tenants, journal, lanes, clock, hand, tenant, other, scripts, shop, seats, config, next_event }
    }

    /// Ends the lanes at once, as a crash would, and starts them again over the same store.
    pub async fn restart(&mut self) {
        self.lanes.stop(Duration::ZERO).await;
        self.journal = Journal::open(self.db.clone(), self.tenants.clone(), self.clock.clone());
        self.lanes = start(&self.journal, &self.seats, &self.scripts, &self.shop, &self.clock, &self.config).await;
    }

    /// Ends the lanes at once and leaves them down.
    pub async fn crash(&self) {
        self.lanes.stop(Duration::ZERO).await;
    }

    /// Installs a script for all hooks of interest.
    pub fn install(&self, id: i64, reads_order: bool, script: Script) {
        self.install_for(self.tenant, id, reads_order, json!({}), script);
    }

    pub fn install_for(&self, tenant: TenantId, id: i64, reads_order: bool, limits: Value, script: Script) {
        let version = Digest([id as u8; 32]);
        self.scripts.scripts.lock().unwrap().insert(version, (reads_order, script));
        let mut seats = self.seats.of.lock().unwrap();
        let seats = seats.entry(tenant).or_default();
        seats.retain(|seat| seat.subscriber.installation.0 != id);
        seats.push(Seat {
            subscriber: Subscriber {
                installation: InstallationId(id),
                standing: Standing::Open,
                echoes: limits.get("echoes").and_then(Value::as_bool).unwrap_or(false),
            },
            stopped: BTreeMap::new(),
            grants: GRANTS.map(str::to_owned).into(),
            settings: Arc::new(json!({"from": 1})),
            secrets: BTreeSet::new(),
            limits,
        });
        seats.sort_by_key(|seat| seat.subscriber.installation);
    }

    /// How much of every tenant may go on from now on.
    pub fn throughput(&self, throughput: Throughput) {
        *self.seats.throughput.lock().unwrap() = Some(throughput);
    }

    pub fn stand(&self, id: i64, standing: Standing) {
        self.seats.stand(id, standing);
    }

    /// Takes a grant back.
    pub fn withdraw(&self, id: i64, grant: &str) {
        self.seats.withdraw(id, grant);
    }

    pub async fn count(&self, text: &'static str) -> i64 {
        sqlx::query_scalar(text).fetch_one(self.db.reader()).await.unwrap()
    }

    pub fn remove(&self, id: i64) {
        self.seats.remove(id);
    }

    /// Records an event of an order, for the tenant.
    pub async fn push(&self, event: &str, order: &str, ext_type: Option<i64>) -> EventSeq {
        self.push_for(self.tenant, event, order, ext_type).await
    }

    pub async fn push_for(&self, tenant: TenantId, event: &str, order: &str, ext_type: Option<i64>) -> EventSeq {
        let ext = ext_type.map(|ext_type| json!({"type": ext_type})).unwrap_or(json!({}));
        self.record(tenant, event, order, ext_type, ext, Source::Callback, self.clock.now_s()).await
    }

    /// An event with members of its own.
    pub async fn push_detail(&self, event: &str, order: &str, detail: Value) -> EventSeq {
        self.record(self.tenant, event, order, None, detail, Source::Callback, self.clock.now_s()).await
    }

    /// A callback of what happened at a time comes now, unix seconds.
    pub async fn push_of(&self, event: &str, order: &str, created_at: i64) -> EventSeq {
        self.record(self.tenant, event, order, None, json!({}), Source::Callback, created_at).await
    }

    /// Reconciliation makes an event of what happened at a time, unix seconds.
    pub async fn reconcile(&self, event: &str, order: &str, created_at: i64) -> EventSeq {
        self.record(self.tenant, event, order, None, json!({}), Source::Reconciled, created_at).await
    }

    #[allow(clippy::too_many_arguments, reason = "what an event is made of, said once by each caller above")]
    async fn record(
        &self,
        tenant: TenantId,
        event: &str,
        order: &str,
        ext_type: Option<i64>,
        mut info: Value,
        source: Source,
        created_at: i64,
    ) -> EventSeq {
        let n = self.next_event.fetch_add(1, Ordering::SeqCst);
        let mut dedup = [0; 32];
        dedup[..4].copy_from_slice(&n.to_be_bytes());
        info["order_id"] = json!(order);
        let body = json!({"Event": event, "CreateTime": created_at, "order_info": info});
        let new = NewEvent {
            tenant,
            event: event.into(),
            order_id: order.into(),
            source,
            ext_type,
            created_at,
            received_at: self.clock.now(),
            dedup,
            body: body.to_string().into_bytes(),
        };
        self.journal.record_event(new).await.unwrap().seq
    }

    pub async fn pay(&self, order: &str) -> EventSeq {
        self.push("channels_ec_order_pay", order, None).await
    }

    pub async fn settle(&self) {
        tokio::time::timeout(Duration::from_secs(60), self.lanes.settle()).await.expect("the lanes do not settle");
    }

    /// Moves the clock and lets everything that is due then happen.
    pub async fn advance(&self, seconds: i64) {
        self.hand.advance(seconds * 1_000);
        self.lanes.nudge();
        self.settle().await;
    }

    /// All runs, oldest first.
    pub async fn runs(&self) -> Vec<RunView> {
        let mut runs = Vec::new();
        for tenant in [self.tenant, self.other] {
            let mut filter = RunFilter { limit: 200, ..RunFilter::default() };
            loop {
                let page = self.journal.runs(tenant, &filter).await.unwrap();
                runs.extend(page.items);
                match page.next {
                    Some(next) => filter.before = Some(next),
                    None => break,
                }
            }
        }
        runs.sort_by_key(|run| run.id);
        runs
    }

    pub async fn states(&self) -> Vec<RunState> {
        self.runs().await.iter().map(|run| run.state).collect()
    }

    pub fn ran(&self) -> Vec<Ran> {
        self.scripts.runs.lock().unwrap().clone()
    }

    pub fn lane(&self, order: &str) -> LaneKey {
        LaneKey::new(self.tenant, order)
    }

    pub fn finished(&self) -> tokio::sync::broadcast::Receiver<Finished> {
        self.lanes.finished()
    }
}

/// Every number hears every hook from the first event on; who is installed, the seats tell.
async fn subscribe(db: &Database, tenants: &[TenantId]) {
    let mut rows = Vec::new();
    for tenant in tenants {
        for (id, hook) in (1..=INSTALLATIONS).flat_map(|id| HOOKS.map(|hook| (id, hook))) {
            rows.push((*tenant, hook, i64::from(id), Digest([id; 32])));
        }
    }
    hear(db, rows).await;
}

/// Which installation hears which hook from the first event on, and in which version.
pub async fn hear(db: &Database, rows: Vec<(TenantId, &'static str, i64, Digest)>) {
    let written: Result<(), fangshi_database::WriteError> = db
        .writer()
        .submit(move |c| {
            Box::pin(async move {
                for (tenant, hook, id, version) in rows {
                    sqlx::query(
                        "INSERT INTO subscriptions (tenant_id, hook, installation_id, version, from_seq) \
                         VALUES ($1, $2, $3, $4, 0)",
                    )
                    .bind(tenant.0)
                    .bind(hook)
                    .bind(id)
                    .bind(version.0.as_slice())
                    .execute(&mut *c)
                    .await?;
                }
                Ok(())
            })
        })
        .await;
    written.unwrap();
}

async fn start(
    journal: &Journal,
    seats: &Arc<Seats>,
    scripts: &Arc<Scripts>,
    shop: &Arc<FakeShop>,
    clock: &Clock,
    config: &LanesConfig,
) -> Lanes {
    let parts = Parts {
        journal: journal.clone(),
        directory: seats.clone(),
        guests: Arc::new(ScriptedGuests(scripts.clone())),
        shop: shop.clone(),
        clock: clock.clone(),
        config: config.clone(),
    };
    Lanes::start(parts).await.unwrap()
}

fn new_tenant(n: u32) -> NewTenant {
    NewTenant {
        platform: Platform::Weixin,
        appid: format!("wx{n:016}"),
        user_name: Some(format!("gh_{n}")),
        name: format!("shop {n}"),
        credentials: Credentials::Authorized { access_token: None, expires_in: None, refresh_token: None },
    }
}
