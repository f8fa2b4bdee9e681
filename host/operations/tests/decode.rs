//! Decoding through the real client and the real store: one call for all who ask, a budget, and what a refusal or a lost
//! answer costs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use fangshi_database::{Clock, Database, ManualClock, OpenOptions, WriteError};
use fangshi_operations::{Asker, Class, ContractError, Decoded, Fault, Operations, OperationsConfig, Sent, find};
use fangshi_tenants::{
    Action, AuditFilter, CallbackKeys, Credentials, InstallationId, Kek, NewTenant, Platform, TenantId, TenantPatch,
    Tenants,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::Executor;

const DECODE: &str = "/channels/ec/order/sensitiveinfo/decode";

/// How the platform treats the next decodes.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Well,
    TooOften,
    /// Waits for the gate first.
    Gate,
    /// Waits for the gate, and then finds the token stale.
    Stale,
    Garbage,
    /// Waits for the gate before it shows an order.
    SlowToShow,
}

#[derive(Clone)]
struct Shop {
    decodes: Arc<Mutex<Vec<String>>>,
    hash: Arc<Mutex<String>>,
    mood: Arc<Mutex<Mood>>,
    gate: Arc<tokio::sync::Semaphore>,
    /// Tokens given to a self-built shop.
    tokens: Arc<AtomicUsize>,
    /// Orders asked for.
    reads: Arc<AtomicUsize>,
}

impl Shop {
    async fn answer(State(shop): State<Shop>, request: Request) -> Response {
        let path = request.uri().path().to_owned();
        if path == "/cgi-bin/stable_token" {
            let number = shop.tokens.fetch_add(1, Ordering::SeqCst);
            return Json(json!({"access_token": format!("TOKEN-{number}"), "expires_in": 7200})).into_response();
        }
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let order_id = body["order_id"].as_str().unwrap().to_owned();
        let mood = *shop.mood.lock().unwrap();
        if path != DECODE {
            shop.reads.fetch_add(1, Ordering::SeqCst);
            if mood == Mood::SlowToShow {
                let _ = shop.gate.acquire().await.unwrap();
            }
            let hash = shop.hash.lock().unwrap().clone();
            return Json(json!({"errcode": 0, "order": {"order_id": order_id,
                "order_detail": {"delivery_info": {"address_info": {"hash_code": hash}}}}}))
            .into_response();
        }
        shop.decodes.lock().unwrap().push(order_id);
        if matches!(mood, Mood::Gate | Mood::Stale) {
            let _ = shop.gate.acquire().await.unwrap();
        }
        match mood {
            Mood::TooOften => Json(json!({"errcode": 100003, "errmsg": "updated too often"})).into_response(),
            Mood::Stale => Json(json!({"errcode": 42001, "errmsg": "access_token expired"})).into_response(),
            Mood::Garbage => "{\"errcode\":0,\"address_in".into_response(),
            _ => Json(json!({"errcode": 0, "address_info": {"user_name": shop.hash.lock().unwrap().clone()}}))
                .into_response(),
        }
    }
}

struct House {
    shop: Shop,
    db: Database,
    tenants: Tenants,
    operations: Operations,
    tenant: TenantId,
    clock: Clock,
    hand: ManualClock,
    _folder: tempfile::TempDir,
}

async fn house() -> House {
    let shop = Shop {
        decodes: Arc::default(),
        hash: Arc::new(Mutex::new("h1".into())),
        mood: Arc::new(Mutex::new(Mood::Well)),
        gate: Arc::new(tokio::sync::Semaphore::new(0)),
        tokens: Arc::default(),
        reads: Arc::default(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api_base = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(Shop::answer).with_state(shop.clone());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let folder = tempfile::tempdir().unwrap();
    let (clock, hand) = Clock::manual();
    let db = Database::open(OpenOptions::new(folder.path())).await.unwrap();
    let tenants = Tenants::open(db.clone(), Kek::from_bytes(&[7; 32]), None, clock.clone()).await.unwrap();
    let credentials = Credentials::Authorized {
        access_token: Some(SecretString::from("TOKEN")),
        expires_in: None,
        refresh_token: None,
    };
    let new = NewTenant {
        platform: Platform::Weixin,
        appid: "wxa".into(),
        user_name: Some("gh_1".into()),
        name: "shop".into(),
        credentials,
    };
    let tenant = tenants.create(new).await.unwrap().id;
    let config = OperationsConfig { api_base, clock: clock.clone(), ..OperationsConfig::default() };
    let operations = Operations::new(config, tenants.clone()).unwrap();
    House { shop, db, tenants, operations, tenant, clock, hand, _folder: folder }
}

impl House {
    fn asker(&self, installation: i64) -> Asker {
        Asker { tenant: self.tenant, installation: InstallationId(installation) }
    }

    async fn decode(&self, order: &str) -> Result<Decoded, Fault> {
        let op = find("decode", "sensitive-info").unwrap();
        self.operations.decode(self.asker(1), op, &json!({"order_id": order})).await
    }

    async fn kept(&self, order: &str, shown: Option<&Value>) -> Result<Option<Value>, Fault> {
        let op = find("decode", "sensitive-info").unwrap();
        self.operations.kept(self.asker(2), op, &json!({"order_id": order}), shown).await
    }

    fn sent(&self) -> usize {
        self.shop.decodes.lock().unwrap().len()
    }

    async fn used(&self) -> u32 {
        self.tenants.decodes().usage(self.tenant).await.unwrap().used
    }

    async fn sql(&self, sql: &'static str) {
        let done: Result<(), WriteError> =
            self.db.writer().submit(move |c| Box::pin(async move { Ok(c.execute(sql).await.map(|_| ())?) })).await;
        done.unwrap();
    }

    fn set(&self, mood: Mood) {
        *self.shop.mood.lock().unwrap() = mood;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_call_serves_all_who_ask_and_a_caller_that_gives_up_loses_nothing() {
    let house = Arc::new(house().await);
    house.set(Mood::Gate);
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let house = Arc::clone(&house);
            tokio::spawn(async move { house.decode("1").await })
        })
        .collect();
    while house.sent() == 0 {
        tokio::task::yield_now().await;
    }
    // Nobody waits any more, the caller whose call is under way included.
    for call in calls {
        call.abort();
    }
    house.shop.gate.add_permits(64);
    let answer = house.decode("1").await.unwrap();
    assert!(answer.kept);
    assert_eq!(answer.answer["address_info"]["user_name"], "h1");
    assert_eq!((house.sent(), house.used().await), (1, 1));
    assert_eq!(house.kept("1", None).await.unwrap(), Some(answer.answer));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_the_decode_under_way_and_begins_none() {
    let house = Arc::new(house().await);
    house.set(Mood::Gate);
    let caller = {
        let house = Arc::clone(&house);
        tokio::spawn(async move { house.decode("1").await })
    };
    while house.sent() == 0 {
        tokio::task::yield_now().await;
    }
    caller.abort();
    let flights = house.tenants.flights().clone();
    flights.close();
    let fault = house.decode("2").await.unwrap_err();
    assert_eq!((fault.class, fault.sent), (Class::Host, Sent::NotSent), "{fault}");
    house.shop.gate.add_permits(64);
    assert!(flights.land(std::time::Duration::from_secs(3_600)).await);
    assert!(house.kept("1", None).await.unwrap().is_some(), "the scarce answer is kept");
    assert_eq!((house.sent(), house.used().await), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decode_that_has_not_been_sent_when_the_host_stops_is_not_sent_and_costs_nothing() {
    let house = Arc::new(house().await);
    house.set(Mood::SlowToShow);
    let asking = {
        let house = Arc::clone(&house);
        tokio::spawn(async move { house.decode("1").await })
    };
    while house.shop.reads.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let flights = house.tenants.flights().clone();
    flights.close();
    house.shop.gate.add_permits(64);
    assert!(flights.land(std::time::Duration::from_secs(3_600)).await);
    let fault = asking.await.unwrap().unwrap_err();
    assert_eq!((fault.class, fault.sent), (Class::Host, Sent::NotSent), "{fault}");
    assert_eq!((house.sent(), house.used().await), (0, 0));
}

#[tokio::test]
async fn another_address_hash_is_another_decode() {
    let house = house().await;
    assert!(!house.decode("1").await.unwrap().kept);
    *house.shop.hash.lock().unwrap() = "h2".into();
    assert_eq!(house.kept("1", None).await.unwrap(), None);
    assert_eq!(house.decode("1").await.unwrap().answer["address_info"]["user_name"], "h2");
    assert_eq!(house.sent(), 2);
    // A snapshot from before the change does not bring the old address back.
    let old = json!({"order_detail": {"delivery_info": {"address_info": {"hash_code": "h1"}}}});
    assert_eq!(house.kept("1", Some(&old)).await.unwrap(), None);
}

#[tokio::test]
async fn a_refusal_is_limited_and_costs_nothing_and_a_lost_answer_counts() {
    let house = house().await;
    house.set(Mood::TooOften);
    let fault = house.decode("1").await.unwrap_err();
    assert_eq!((fault.class, fault.code, fault.sent), (Class::TooOften, 100_003, Sent::Answered));
    assert_eq!(fault.to_contract(), ContractError::Limited { retry_after: None });
    assert_eq!(house.used().await, 0);
    house.set(Mood::Garbage);
    let fault = house.decode("1").await.unwrap_err();
    assert!(matches!(fault.to_contract(), ContractError::OutcomeUnknown(_)), "{fault}");
    assert_eq!(house.used().await, 1);
    // Retried later: nothing stands in its way.
    house.set(Mood::Well);
    assert!(!house.decode("1").await.unwrap().kept);
    assert_eq!((house.used().await, house.sent()), (2, 3));
}

#[tokio::test]
async fn what_the_audit_can_not_tell_of_reaches_nobody() {
    let house = house().await;
    house.sql("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT raise(ABORT, 'disk full'); END").await;
    let fault = house.decode("1").await.unwrap_err();
    assert_eq!((fault.class, fault.sent), (Class::Host, Sent::Unknown), "{fault}");
    assert!(matches!(fault.to_contract(), ContractError::Unavailable(_)), "{fault}");
    assert_eq!((house.sent(), house.used().await), (1, 1), "it counts");
    assert_eq!(house.kept("1", None).await.unwrap(), None);
    house.sql("DROP TRIGGER full").await;
    house.hand.advance(30_000);
    assert!(!house.decode("1").await.unwrap().kept, "the lease ran out");
    let filter = AuditFilter { limit: 100, ..AuditFilter::default() };
    let told = house.tenants.audit().list(&filter).await.unwrap();
    assert_eq!(told.iter().filter(|entry| entry.action == Action::Decoded.code()).count(), 1);
}

#[tokio::test]
async fn a_used_up_budget_sends_nothing_and_says_when_the_next_day_begins() {
    let house = house().await;
    let patch = TenantPatch { decode_budget: Some(1), ..TenantPatch::default() };
    house.tenants.update(house.tenant, patch).await.unwrap();
    house.decode("1").await.unwrap();
    let until = house.tenants.decodes().usage(house.tenant).await.unwrap().until / 1000;
    let wait = u32::try_from(until - house.clock.now_s()).unwrap();
    for refused in [house.decode("2").await.map(|_| ()), house.kept("2", None).await.map(|_| ())] {
        let fault = refused.unwrap_err();
        assert_eq!((fault.class, fault.sent), (Class::DayQuota, Sent::NotSent));
        assert_eq!(fault.to_contract(), ContractError::Limited { retry_after: Some(wait) });
    }
    assert_eq!(house.sent(), 1);
    assert!(house.kept("1", None).await.unwrap().is_some(), "what is kept is served all the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_lost_its_lease_on_the_way_is_not_sent_again() {
    let mut house = house().await;
    let secret = SecretString::from;
    let new = NewTenant {
        platform: Platform::Weixin,
        appid: "wxown".into(),
        user_name: Some("gh_2".into()),
        name: "own".into(),
        credentials: Credentials::SelfBuilt {
            appsecret: secret("s"),
            callback: CallbackKeys {
                token: secret("t"),
                encoding_aes_key: secret("k"),
                previous_encoding_aes_key: None,
            },
        },
    };
    house.tenant = house.tenants.create(new).await.unwrap().id;
    let house = Arc::new(house);
    house.set(Mood::Stale);
    let slow = {
        let house = Arc::clone(&house);
        tokio::spawn(async move { house.decode("1").await })
    };
    while house.sent() == 0 {
        tokio::task::yield_now().await;
    }
    // It takes longer than its lease; another call decodes the order meanwhile, and its answer is kept.
    house.set(Mood::Well);
    house.hand.advance(31_000);
    assert!(!house.decode("1").await.unwrap().kept);
    house.shop.gate.add_permits(64);
    let fault = slow.await.unwrap().unwrap_err();
    assert_eq!((fault.class, fault.sent, fault.retry_after), (Class::TooOften, Sent::NotSent, Some(30)), "{fault}");
    assert_eq!((house.sent(), house.used().await), (2, 1), "the refused one, the other one, and no third");
    assert!(house.decode("1").await.unwrap().kept);
}
