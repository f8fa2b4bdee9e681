//! What the platform says about tokens and quotas, for one shop, a tenth and all of 200 while their runs are under way: each
//! code has its class and its action, the other shops go on meanwhile, and no version of a token is refreshed twice.
#![allow(unused_braces, clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod rig;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fangshi_database::{Clock, Database, Digest, InstallationId, ManualClock, OpenOptions};
use fangshi_journal::{Journal, NewEvent, RunFilter, RunState, Source};
use fangshi_lanes::{Lanes, LanesConfig, Parts, Seat, Standing, Subscriber};
use fangshi_operations::{Operations, OperationsConfig};
use fangshi_platform::{Fault, NewOrder, NewShop, Settings, Step, Target};
use fangshi_runtime::{CallError, Outcome};
use fangshi_tenants::{
    Authorizer, ComponentCredentials, Credentials, Kek, NewTenant, Platform, TenantId, TenantPatch, TenantState,
    Tenants,
};
use rig::{ScriptedGuests, Scripts, Seats, hear, set_note};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::watch;

/// 2025-12-02 23:00 in Beijing, an hour before the quotas of a day begin anew.
const START: i64 = 1_764_687_600;
const SHOPS: usize = 200;
const ORDERS: usize = 2;
const NOTES: &str = "/channels/ec/order/merchantnotes/update";
const REFRESH: &str = "/cgi-bin/component/api_authorizer_token";

/// What guests heard, by order: the code of the error, or ok.
type Heard = Arc<Mutex<HashMap<String, Vec<&'static str>>>>;

struct Stage {
    platform: fangshi_platform::Platform,
    shops: Vec<(String, TenantId)>,
    tenants: Tenants,
    authorizer: Arc<dyn Authorizer>,
    journal: Journal,
    lanes: Lanes,
    hand: ManualClock,
    heard: Heard,
    /// Orders whose runs wait after their call until the gate opens.
    held: Arc<Mutex<BTreeSet<String>>>,
    gate: watch::Sender<bool>,
    events: std::sync::atomic::AtomicU32,
    _folder: tempfile::TempDir,
}

/// What the SDKs' plugins end with: what would fail the same way again is given up for good.
fn outcome_of(answer: Result<Value, CallError>) -> Outcome {
    match answer {
        Ok(_) => Outcome::Done,
        Err(CallError::Abort(abort)) => Outcome::Aborted(abort),
        Err(CallError::Limited { retry_after }) => {
            Outcome::RetryLater { reason: "limited".to_owned(), after: retry_after }
        }
        Err(error @ (CallError::Unavailable(_) | CallError::Conflict(_))) => {
            Outcome::RetryLater { reason: error.to_string(), after: None }
        }
        Err(error) => Outcome::Reject { reason: error.to_string() },
    }
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

impl Stage {
    async fn new() -> Stage {
        let platform = fangshi_platform::Platform::start(Settings::manual(START)).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::manual();
        hand.set(START * 1000);
        let db = Database::open(OpenOptions::new(folder.path())).await.unwrap();
        let component = platform.component();
        let component =
            ComponentCredentials { appid: component.appid.clone(), appsecret: secret(component.appsecret()) };
        let tenants =
            Tenants::open(db.clone(), Kek::from_bytes(&[9; 32]), Some(component), clock.clone()).await.unwrap();
        let journal = Journal::open(db.clone(), tenants.clone(), clock.clone());
        tenants.custody().keep_ticket(secret(&platform.issue_ticket()), START).await.unwrap();

        let (gate, opened) = watch::channel(true);
        let (heard, held) = (Heard::default(), Arc::<Mutex<BTreeSet<String>>>::default());
        let scripts = Arc::new(Scripts::default());
        let version = Digest([1; 32]);
        let (told, waiting) = (heard.clone(), held.clone());
        let script = script!(
            [told, waiting, opened] | input,
            host | {
                let order = input.envelope.order_id.clone();
                let answer = set_note(host, &order, "large").await;
                told.lock().unwrap().entry(order.clone()).or_default().push(match &answer {
                    Ok(_) => "ok",
                    Err(CallError::Denied(_)) => "denied",
                    Err(CallError::Limited { .. }) => "limited",
                    Err(CallError::Unavailable(_)) => "unavailable",
                    Err(_) => "other",
                });
                let waits = waiting.lock().unwrap().contains(&order);
                if waits {
                    let mut opened = opened.clone();
                    let _ = opened.wait_for(|open| *open).await;
                }
                outcome_of(answer)
            }
        );
        scripts.install(version, script);
        let seats = Arc::new(Seats::default());
        let (mut shops, mut heard_by) = (Vec::new(), Vec::new());
        for n in 0..SHOPS {
            let shop = platform.add_shop(NewShop::authorized()).unwrap();
            let issued = platform.issue_tokens(&shop.appid).unwrap();
            let credentials = Credentials::Authorized {
                access_token: Some(secret(issued.access())),
                expires_in: None,
                refresh_token: issued.refresh().map(secret),
            };
            let new = NewTenant {
                platform: Platform::Weixin,
                appid: shop.appid.clone(),
                user_name: Some(shop.user_name.clone()),
                name: format!("shop {n}"),
                credentials,
            };
            let tenant = tenants.create(new).await.unwrap().id;
            seats.of.lock().unwrap().insert(tenant, vec![seat(n as i64 + 1)]);
            heard_by.push((tenant, "on-pay", n as i64 + 1, version));
            shops.push((shop.appid, tenant));
        }
        hear(&db, heard_by).await;
        let config =
            OperationsConfig { api_base: platform.base_url(), clock: clock.clone(), ..OperationsConfig::default() };
        let operations = Operations::new(config, tenants.clone()).unwrap();
        let authorizer = operations.authorizer();
        let lanes = Lanes::start(Parts {
            journal: journal.clone(),
            directory: seats,
            guests: Arc::new(ScriptedGuests(scripts)),
            shop: Arc::new(operations),
            clock,
            config: LanesConfig { sweep_every: None, ..LanesConfig::default() },
        })
        .await
        .unwrap();
        let events = 0.into();
        Stage { platform, shops, tenants, authorizer, journal, lanes, hand, heard, held, gate, events, _folder: folder }
    }

    /// Paid orders of a shop.
    fn orders(&self, appid: &str) -> Vec<String> {
        let paid = |_| {
            let order = self.platform.add_order(appid, NewOrder::default()).unwrap();
            self.platform.drive(&order, Step::Pay).unwrap();
            order
        };
        (0..ORDERS).map(paid).collect()
    }

    async fn record(&self, tenant: TenantId, order: &str) {
        let n = self.events.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let mut dedup = [0; 32];
        dedup[..4].copy_from_slice(&n.to_be_bytes());
        let body = json!({"Event": "channels_ec_order_pay", "CreateTime": START, "order_info": {"order_id": order}});
        let new = NewEvent {
            tenant,
            event: "channels_ec_order_pay".into(),
            order_id: order.into(),
            source: Source::Callback,
            ext_type: None,
            created_at: self.journal.clock().now_s(),
            received_at: self.journal.clock().now(),
            dedup,
            body: body.to_string().into_bytes(),
        };
        self.journal.record_event(new).await.unwrap();
    }

    async fn settle(&self) {
        tokio::time::timeout(Duration::from_secs(120), self.lanes.settle()).await.expect("the lanes do not settle");
    }

    fn refreshes(&self, calls_before: usize) -> HashMap<String, usize> {
        let ledger = self.platform.ledger_after(calls_before, 0);
        let mut counts = HashMap::new();
        for call in ledger.calls.iter().filter(|call| call.path == REFRESH) {
            *counts.entry(call.appid.clone().unwrap()).or_default() += 1;
        }
        counts
    }
}

fn seat(id: i64) -> Seat {
    Seat {
        subscriber: Subscriber { installation: InstallationId(id), standing: Standing::Open, echoes: false },
        stopped: Default::default(),
        grants: BTreeSet::from(["notes".to_owned()]),
        settings: Arc::new(json!({})),
        secrets: Default::default(),
        limits: json!({}),
    }
}

/// What is to be seen of one code.
struct Expected {
    /// What the failing shops' guests hear at first: one of them the first of these at least, the others any.
    heard: &'static [&'static str],
    /// Refresh calls of each failing shop.
    refreshes: usize,
    state: &'static str,
}

/// A code, and how many refreshes in a row hear it where it is a refresh that does.
type Trouble = (i64, u64);

/// The platform refuses good refresh tokens at times; the same one is tried once more.
const ONCE: u64 = 1;
/// More often than a refresh token is tried.
const LASTING: u64 = 3;

fn expected((code, times): Trouble) -> Expected {
    match code {
        // Refreshed once, repeated once: the guest notices nothing.
        40001 | 42001 | 40014 => Expected { heard: &["ok"], refreshes: 1, state: "active" },
        45009 => Expected { heard: &["limited"], refreshes: 0, state: "active" },
        61023 if times == ONCE => Expected { heard: &["ok"], refreshes: 2, state: "active" },
        61023 => Expected { heard: &["unavailable"], refreshes: 2, state: "suspended" },
        42007 => Expected { heard: &["unavailable"], refreshes: 1, state: "suspended" },
        // The platform is asked once more before the shop is stopped.
        61003 => Expected { heard: &["unavailable"], refreshes: 0, state: "revoked" },
        other => panic!("{other}"),
    }
}

impl Stage {
    async fn arm(&self, (code, times): Trouble, appid: &str, tenant: TenantId) {
        match code {
            // Somebody else had a newer one issued: the host's is no longer the latest.
            40001 => drop(self.platform.issue_tokens(appid).unwrap()),
            42001 => assert!(self.platform.expire_tokens(appid) > 0),
            40014 => {
                let access_token = Some((secret("nonsense"), Some(7200)));
                self.tenants.update(tenant, TenantPatch { access_token, ..TenantPatch::default() }).await.unwrap();
            }
            45009 => self.platform.fail_next(Target::shop_path(appid, NOTES), ORDERS as u64, Fault::Errcode { code }),
            61023 => {
                self.platform.expire_tokens(appid);
                self.platform.fail_next(Target::shop_path(appid, REFRESH), times, Fault::Errcode { code });
            }
            42007 => self.platform.change_password(appid),
            61003 => assert!(self.platform.revoke(appid)),
            other => panic!("{other}"),
        }
    }

    /// The merchant authorizes again, or the operator plants what works.
    async fn heal(&self, trouble: Trouble, appid: &str, tenant: TenantId) {
        if matches!(trouble.0, 42007 | 61003) {
            self.platform.authorize(appid, &[130, 131], "").unwrap();
        }
        if expected(trouble).state != "active" {
            let issued = self.platform.issue_tokens(appid).unwrap();
            let patch = TenantPatch {
                access_token: Some((secret(issued.access()), None)),
                refresh_token: issued.refresh().map(secret),
                ..TenantPatch::default()
            };
            assert!(self.tenants.update(tenant, patch).await.unwrap().is_active());
        }
    }

    async fn scene(&self, trouble: Trouble, failing: usize) {
        let (expected, code) = (expected(trouble), trouble.0);
        self.heard.lock().unwrap().clear();
        let (calls_before, _) = self.platform.ledger_len();
        let orders: Vec<Vec<String>> = self.shops.iter().map(|(appid, _)| self.orders(appid)).collect();
        for (n, (appid, tenant)) in self.shops.iter().enumerate().take(failing) {
            self.arm(trouble, appid, *tenant).await;
            self.held.lock().unwrap().extend(orders[n].iter().cloned());
        }
        // The failing runs wait after their call, as long as the others are not done.
        let others = (SHOPS - failing) * ORDERS;
        self.gate.send_replace(others == 0);
        let mut finished = self.lanes.finished();
        // The first order of every shop, then the second.
        for round in 0..ORDERS {
            for (orders, (_, tenant)) in orders.iter().zip(&self.shops) {
                self.record(*tenant, &orders[round]).await;
            }
        }
        let mut done = 0;
        while done < others {
            let one =
                tokio::time::timeout(Duration::from_secs(120), finished.recv()).await.expect("others are held up");
            let one = one.unwrap();
            assert!(self.shops[failing..].iter().any(|(_, tenant)| *tenant == one.tenant), "a held run ended");
            assert_eq!((one.outcome, one.attempt), ("done", 1), "{code}: another shop was disturbed");
            done += 1;
        }
        self.gate.send_replace(true);
        self.settle().await;

        while self.tenants.onboarding().step(&self.authorizer).await.unwrap().handled > 0 {}

        let refreshes = self.refreshes(calls_before);
        for (n, (appid, tenant)) in self.shops.iter().enumerate() {
            let first = |order: &String| self.heard.lock().unwrap()[order][0];
            let count = refreshes.get(appid).copied().unwrap_or(0);
            let state = self.tenants.get(*tenant).unwrap().state.clone();
            if n < failing {
                let heard: Vec<_> = orders[n].iter().map(first).collect();
                assert!(heard.iter().all(|one| expected.heard.contains(one)), "{code}: {heard:?}");
                assert!(heard.contains(&expected.heard[0]), "{code}: {heard:?}");
                assert_eq!(count, expected.refreshes, "{code}: refreshes of a failing shop");
                assert_eq!(state.code(), expected.state, "{code}: {state:?}");
            } else {
                assert!(orders[n].iter().all(|order| first(order) == "ok"), "{code}");
                assert_eq!((count, &state), (0, &TenantState::Active), "{code}: another shop was touched");
            }
        }
        // No two refreshes of one shop at once, and the component's token is one for all.
        let ledger = self.platform.ledger_after(calls_before, 0);
        let mut spans: HashMap<&str, u64> = HashMap::new();
        for call in ledger.calls.iter().filter(|call| call.path == REFRESH) {
            let last = spans.entry(call.appid.as_deref().unwrap()).or_default();
            assert!(call.began > *last, "{code}: two refreshes at once");
            *last = call.ended;
        }
        assert!(ledger.calls_of("api_component_token").len() <= 1, "{code}");

        // What was refused goes through after the cure, by itself.
        self.platform.heal();
        for (appid, tenant) in &self.shops[..failing] {
            self.heal(trouble, appid, *tenant).await;
        }
        // A quota of a day is not tried again before midnight in Beijing.
        self.hand.advance(if code == 45009 { 4_700_000 } else { 10_000 });
        self.lanes.nudge();
        self.settle().await;
        for (n, (_, tenant)) in self.shops.iter().enumerate().take(failing) {
            for order in &orders[n] {
                let filter = RunFilter { order_id: Some(order.clone()), limit: 10, ..RunFilter::default() };
                let runs = self.journal.runs(*tenant, &filter).await.unwrap().items;
                assert!(runs.iter().all(|run| run.state == RunState::Done), "{code}: {runs:?}");
            }
        }
    }
}

async fn every_code(failing: usize) {
    let stage = Stage::new().await;
    let once = [40001, 42001, 40014, 61023].map(|code| (code, ONCE));
    let others = [42007, 61003, 45009].map(|code| (code, ONCE));
    for trouble in once.into_iter().chain([(61023, LASTING)]).chain(others) {
        stage.scene(trouble, failing).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_one_shop() {
    every_code(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_tenth_of_the_shops() {
    every_code(SHOPS / 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_all_shops() {
    every_code(SHOPS).await;
}
