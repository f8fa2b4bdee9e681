//! The real rooms behind HTTP (store, registry, lanes, sandbox, operations) against the fake platform, with both clocks
//! moved by hand. A crash drops whatever is under way; a start goes on over the same store.
#![allow(dead_code, reason = "each test program uses a part of it")]
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fangshi_database::{Clock, Database, Digest, ManualClock, OpenOptions, TenantId};
use fangshi_journal::{Journal, NewEvent, RunDetail, RunFilter, Source};
use fangshi_lanes::{Installed, Lanes, LanesConfig, Parts, WasmGuests};
use fangshi_operations::{HOSTS_SECTION, Operations, OperationsConfig, OutsideConfig, hosts_asked};
use fangshi_platform::{Fault, NewOrder, NewShop, Settings, Step, Target};
use fangshi_runtime::{Runtime, RuntimeConfig, digest_of};
use fangshi_tenants::{
    ComponentCredentials, Credentials, GrantAsked, Kek, ManifestRecord, NewInstallation, NewTenant, Platform, Tenants,
};
use secrecy::SecretString;
use serde_json::{Value, json};

const START: i64 = 1_764_642_403;
pub const NOTES: &str = "/channels/ec/order/merchantnotes/update";
pub const SHIP: &str = "/channels/ec/order/delivery/send";
pub const PAY: &str = "channels_ec_order_pay";

pub struct Rig {
    pub platform: fangshi_platform::Platform,
    pub appid: String,
    pub tenant: TenantId,
    pub journal: Journal,
    pub lanes: Lanes,
    db: Database,
    tenants: Tenants,
    runtime: Runtime,
    clock: Clock,
    hand: ManualClock,
    events: AtomicU32,
    outside: OutsideConfig,
    folder: tempfile::TempDir,
}

/// How a guest is installed besides, and what lies outside of the platform.
pub struct Outfit {
    pub outside: OutsideConfig,
    /// Hosts that are approved besides those that the guest declares.
    pub hosts: Vec<String>,
    pub settings: Value,
    pub limits: Value,
}

impl Default for Outfit {
    fn default() -> Outfit {
        Outfit { outside: OutsideConfig::default(), hosts: Vec::new(), settings: json!({}), limits: json!({}) }
    }
}

impl Rig {
    /// One shop with one guest installed, granted what it asks for.
    pub async fn with(guest: &str) -> Rig {
        Rig::outfitted(guest, Outfit::default()).await
    }

    /// The same, with more.
    pub async fn outfitted(guest: &str, outfit: Outfit) -> Rig {
        let platform = fangshi_platform::Platform::start(Settings::manual(START)).await.unwrap();
        let shop = platform.add_shop(NewShop::authorized()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::manual();
        hand.set(START * 1_000);
        let db = Database::open(OpenOptions::new(folder.path())).await.unwrap();
        let component = platform.component();
        let component = ComponentCredentials {
            appid: component.appid.clone(),
            appsecret: SecretString::from(component.appsecret()),
        };
        let kek = Kek::from_bytes(&[9; 32]);
        let tenants = Tenants::open(db.clone(), kek, Some(component), clock.clone()).await.unwrap();
        let issued = platform.issue_tokens(&shop.appid).unwrap();
        let new = NewTenant {
            platform: Platform::Weixin,
            appid: shop.appid.clone(),
            user_name: Some(shop.user_name.clone()),
            name: "a shop".into(),
            credentials: Credentials::Authorized {
                access_token: Some(SecretString::from(issued.access())),
                expires_in: None,
                refresh_token: issued.refresh().map(SecretString::from),
            },
        };
        let tenant = tenants.create(new).await.unwrap().id;
        // Shared with the other checks, so that a guest is compiled once.
        let code_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target/guest-checks");
        let config = RuntimeConfig {
            max_concurrent_runs: 4,
            code_dir: Some(code_dir),
            code_key: [1; 32].into(),
            ..RuntimeConfig::default()
        };
        let runtime = Runtime::new(config).unwrap();
        let journal = Journal::open(db.clone(), tenants.clone(), clock.clone());
        let outside = outfit.outside.clone();
        let lanes = start(&journal, &tenants, &runtime, &platform, &clock, &outside).await;
        let appid = shop.appid;
        let events = AtomicU32::new(0);
        let rig =
            Rig { platform, appid, tenant, journal, lanes, db, tenants, runtime, clock, hand, events, outside, folder };
        rig.install(guest, outfit).await;
        rig
    }

    async fn install(&self, guest: &str, outfit: Outfit) {
        let wasm = fangshi_harness::guest(guest).unwrap();
        let manifest = self.runtime.inspect(&wasm).unwrap();
        let mut asked: Vec<GrantAsked> =
            manifest.grants.into_iter().map(|one| GrantAsked { name: one.name, functions: one.functions }).collect();
        let declared = hosts_asked(&fangshi_runtime::sections(&wasm, HOSTS_SECTION)).unwrap();
        asked.extend(declared.into_iter().map(|name| GrantAsked { name, functions: Vec::new() }));
        let named = asked.iter().map(|one| one.name.clone()).filter(|name| name != "http");
        let grants = named.chain(outfit.hosts.iter().map(|host| format!("http:{host}"))).collect();
        let record = ManifestRecord { hooks: manifest.hooks, grants: asked };
        let registry = self.tenants.registry();
        let added = registry.add_version(self.tenant, guest, Digest(digest_of(&wasm)), record, &wasm).await;
        let (plugin, version, _) = added.unwrap();
        let Outfit { settings, limits, .. } = outfit;
        let schedules = Vec::new();
        let new = NewInstallation { plugin, version: version.digest, grants, settings, limits, schedules };
        registry.install(self.tenant, new).await.unwrap();
    }

    /// A paid order, and its event recorded.
    pub async fn paid(&self) -> String {
        let order = self.platform.add_order(&self.appid, NewOrder::default()).unwrap();
        self.platform.drive(&order, Step::Pay).unwrap();
        self.record(&order).await;
        order
    }

    /// Records that an order was paid; again and again if asked.
    pub async fn record(&self, order: &str) {
        let number = self.events.fetch_add(1, Ordering::SeqCst);
        let mut dedup = [0; 32];
        dedup[..4].copy_from_slice(&number.to_be_bytes());
        let info = json!({"order_id": order, "pay_time": START});
        let body = json!({"Event": PAY, "CreateTime": START, "order_info": info});
        let event = NewEvent {
            tenant: self.tenant,
            event: PAY.into(),
            order_id: order.into(),
            source: Source::Callback,
            ext_type: None,
            created_at: self.clock.now_s(),
            received_at: self.clock.now(),
            dedup,
            body: body.to_string().into_bytes(),
        };
        self.journal.record_event(event).await.unwrap();
    }

    /// The next calls of a path fail.
    pub fn fail(&self, path: &str, times: u64, fault: Fault) {
        self.platform.fail_next(Target::path(path), times, fault);
    }

    /// Waits until nothing is under way or due.
    pub async fn settle(&self) {
        tokio::time::timeout(Duration::from_secs(120), self.lanes.settle()).await.expect("the lanes do not settle");
    }

    /// Both clocks go on, and what is due then happens.
    pub async fn advance(&self, seconds: u64) {
        self.platform.advance(Duration::from_secs(seconds)).await;
        self.hand.advance(seconds as i64 * 1_000);
        self.lanes.nudge();
        self.settle().await;
    }

    /// Waits until the platform was called that often on a path, then drops what is under way, as a kill would.
    pub async fn crash_in(&self, path: &str, times: usize) {
        self.crash_once(|| self.calls(path) >= times).await;
    }

    /// Waits until something has happened, then drops what is under way, as a kill would.
    pub async fn crash_once(&self, happened: impl Fn() -> bool) {
        let called = async {
            while !happened() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), called).await.expect("the call is not made");
        self.lanes.stop(Duration::ZERO).await;
    }

    /// Starts again over the same store.
    pub async fn start_again(&mut self) {
        self.platform.heal();
        self.journal = Journal::open(self.db.clone(), self.tenants.clone(), self.clock.clone());
        self.lanes =
            start(&self.journal, &self.tenants, &self.runtime, &self.platform, &self.clock, &self.outside).await;
        self.settle().await;
    }

    /// The runs of an order, oldest first.
    pub async fn runs(&self, order: &str) -> Vec<RunDetail> {
        let filter = RunFilter { order_id: Some(order.to_owned()), limit: 100, ..RunFilter::default() };
        let page = self.journal.runs(self.tenant, &filter).await.unwrap();
        let mut runs = Vec::new();
        for run in page.items.iter().rev() {
            runs.push(self.journal.run(self.tenant, run.id).await.unwrap().unwrap());
        }
        runs
    }

    /// The one run of an order.
    pub async fn run(&self, order: &str) -> RunDetail {
        let mut runs = self.runs(order).await;
        assert_eq!(runs.len(), 1);
        runs.remove(0)
    }

    /// Requests that changed an order, by the platform's ledger.
    pub fn applied(&self, order: &str) -> Vec<Value> {
        self.platform.ledger().applied_on(order).into_iter().map(|call| call.request.clone()).collect()
    }

    /// Whether some file of the store holds these bytes.
    pub fn keeps_in_clear(&self, text: &str) -> bool {
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let holds = |path: std::path::PathBuf| {
            let bytes = std::fs::read(path).unwrap();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        };
        files.filter(|path| path.is_file()).any(holds)
    }

    /// How often a path was called.
    pub fn calls(&self, path: &str) -> usize {
        self.platform.ledger().calls.iter().filter(|call| call.path == path).count()
    }
}

/// Log lines of each attempt.
pub fn logs(run: &RunDetail) -> Vec<Vec<&str>> {
    run.attempt_list.iter().map(|attempt| attempt.logs.iter().map(|line| line.text.as_str()).collect()).collect()
}

/// How each attempt ended.
pub fn outcomes(run: &RunDetail) -> Vec<&str> {
    run.attempt_list.iter().map(|attempt| attempt.outcome.as_deref().unwrap_or("open")).collect()
}

async fn start(
    journal: &Journal,
    tenants: &Tenants,
    runtime: &Runtime,
    platform: &fangshi_platform::Platform,
    clock: &Clock,
    outside: &OutsideConfig,
) -> Lanes {
    let config = OperationsConfig {
        api_base: platform.base_url(),
        clock: clock.clone(),
        outside: outside.clone(),
        ..OperationsConfig::default()
    };
    let parts = Parts {
        journal: journal.clone(),
        directory: Arc::new(Installed::new(tenants.clone(), Arc::default())),
        guests: Arc::new(WasmGuests::new(runtime.clone(), tenants.clone())),
        shop: Arc::new(Operations::new(config, tenants.clone()).unwrap()),
        clock: clock.clone(),
        config: LanesConfig { sweep_every: None, ..LanesConfig::default() },
    };
    Lanes::start(parts).await.unwrap()
}
