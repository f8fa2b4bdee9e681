//! A console over real rooms in a temporary folder; only the platform is scripted.
#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::expect_used)]

pub mod guest;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use fangshi_callback::{Callback, CallbackLimits, Component, Durable};
use fangshi_console::{Console, Crowd, Entrance, OperatorToken, Uploading};
use fangshi_database::{Clock, Database, ManualClock, OpenOptions};
use fangshi_journal::{Journal, NewEvent, Source};
use fangshi_lanes::{Installed, Lanes, LanesConfig, Parts, Plans, Shop, WasmGuests};
use fangshi_operations::{Fault, Operation, Operations, OperationsConfig, OutsideConfig, Verdict};
use fangshi_platform::Platform;
use fangshi_runtime::{Runtime, RuntimeConfig};
use fangshi_tenants::{CallbackKeys, ComponentCredentials, Kek, TenantId, Tenants, UploadLimits};
use metrics_exporter_prometheus::PrometheusBuilder;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tower::ServiceExt;

pub const TOKEN: &str = "operator-token-of-the-tests";
pub const PUBLIC_URL: &str = "https://plugins.example.com";
pub const MAX_PLUGIN_BYTES: usize = 1 << 20;
/// Far beyond what any test waits for, but for those that bring a console of their own.
pub const BODY_TIME: Duration = Duration::from_secs(3_600);
pub const UPLOADS: UploadLimits = UploadLimits { versions: 8, bytes: 4 << 20 };

/// A running console.
pub struct Desk {
    pub router: Router,
    /// What the router was made of.
    pub console: Console,
    pub tenants: Tenants,
    pub journal: Journal,
    pub lanes: Lanes,
    pub database: Database,
    /// Moves the clock of a console without a platform.
    pub hand: ManualClock,
    pub operations: Operations,
    /// Where it listens.
    pub address: String,
    folder: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

/// A shop that grants every wish.
struct KindShop;

#[async_trait]
impl Shop for KindShop {
    async fn call(&self, _: TenantId, _: &'static Operation, _: &Value, _: Option<i64>) -> Result<Value, Fault> {
        Ok(Value::Null)
    }

    async fn read_order(&self, _: TenantId, order_id: &str) -> Result<Value, Fault> {
        Ok(json!({"order_id": order_id, "status": 20}))
    }

    async fn settle(
        &self,
        _: TenantId,
        _: &'static Operation,
        _: &Value,
        _: Option<&Value>,
        _: i64,
    ) -> Result<Verdict, Fault> {
        Err(Fault::invalid("not scripted"))
    }
}

fn component_of_nowhere() -> ComponentCredentials {
    ComponentCredentials { appid: "wxcomponent".into(), appsecret: SecretString::from("s") }
}

fn credentials(platform: &Platform) -> ComponentCredentials {
    let component = platform.component();
    let appsecret = SecretString::from(component.appsecret());
    ComponentCredentials { appid: component.appid, appsecret }
}

impl Desk {
    /// Of a host with a component whose platform is nowhere.
    pub async fn new() -> Desk {
        Desk::with(Some(component_of_nowhere())).await
    }

    /// A console of a host with or without a component.
    pub async fn with(component: Option<ComponentCredentials>) -> Desk {
        Desk::open(tempfile::tempdir().unwrap(), component, None, false, OutsideConfig::default()).await
    }

    /// Of a host whose operator approves what merchants upload.
    pub async fn that_approves() -> Desk {
        Desk::open(tempfile::tempdir().unwrap(), Some(component_of_nowhere()), None, true, OutsideConfig::default())
            .await
    }

    /// As the third-party platform of this fake one, reachable for its pushes and for browsers.
    pub async fn with_platform(platform: &Platform) -> Desk {
        Desk::open(
            tempfile::tempdir().unwrap(),
            Some(credentials(platform)),
            Some(platform),
            false,
            OutsideConfig::default(),
        )
        .await
    }

    /// Another process over the same folder.
    pub async fn restart(self, platform: &Platform) -> Desk {
        self.lanes.stop(Duration::ZERO).await;
        self.database.close().await;
        Desk::open(self.folder, Some(credentials(platform)), Some(platform), false, OutsideConfig::default()).await
    }

    /// Another process over the same folder, without a platform, that reaches outside hosts so.
    pub async fn reaching(self, outside: OutsideConfig) -> Desk {
        self.lanes.stop(Duration::ZERO).await;
        self.database.close().await;
        Desk::open(self.folder, Some(component_of_nowhere()), None, false, outside).await
    }

    async fn open(
        folder: tempfile::TempDir,
        component: Option<ComponentCredentials>,
        platform: Option<&Platform>,
        approval: bool,
        outside: OutsideConfig,
    ) -> Desk {
        let has_component = component.is_some();
        let (clock, hand) = Clock::manual();
        hand.set(Clock::system().now());
        // The platform's clock is the machine's.
        let clock = if platform.is_some() { Clock::system() } else { clock };
        let database = Database::open(OpenOptions::new(folder.path())).await.unwrap();
        let kek = Kek::from_bytes(&[7; 32]);
        let tenants = Tenants::open(database.clone(), kek, component, clock.clone()).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let nowhere = || "http://127.0.0.1:9".to_owned();
        let config = OperationsConfig {
            api_base: platform.map_or_else(nowhere, Platform::base_url),
            outside,
            ..OperationsConfig::default()
        };
        let operations = Operations::new(config, tenants.clone()).unwrap();
        let journal = Journal::open(database.clone(), tenants.clone(), clock.clone());
        let config =
            RuntimeConfig { max_concurrent_runs: 2, max_component_bytes: MAX_PLUGIN_BYTES, ..RuntimeConfig::default() };
        let runtime = Runtime::new(config).unwrap();
        let large = [("fuel".to_owned(), 5_000_000_000), ("kv_keys".to_owned(), 7)];
        let named = [("large".to_owned(), large.into())].into();
        let plans = Arc::new(Plans { named, ..Plans::default() });
        let lanes = Lanes::start(Parts {
            journal: journal.clone(),
            directory: Arc::new(Installed::new(tenants.clone(), plans.clone())),
            guests: Arc::new(WasmGuests::new(runtime.clone(), tenants.clone())),
            shop: Arc::new(KindShop),
            clock: clock.clone(),
            config: LanesConfig { max_concurrent_runs: 2, ..LanesConfig::default() },
        })
        .await
        .unwrap();
        // Without a component nobody comes in from outside.
        let public_url = match platform {
            Some(_) => Some(address.clone()),
            None => has_component.then(|| PUBLIC_URL.to_owned()),
        };
        let console = Console {
            entrance: Entrance {
                platform: operations.authorizer(),
                public_url,
                pc_page: platform.map_or_else(nowhere, Platform::pc_page).parse().unwrap(),
                h5_page: platform.map_or_else(nowhere, Platform::h5_page).parse().unwrap(),
            },
            tenants: tenants.clone(),
            journal: journal.clone(),
            lanes: lanes.clone(),
            operations: operations.clone(),
            runtime,
            metrics: PrometheusBuilder::new().build_recorder().handle(),
            operator: OperatorToken::new(&SecretString::from(TOKEN)),
            max_plugin_bytes: MAX_PLUGIN_BYTES,
            uploads: UPLOADS,
            plans,
            trusted: None,
            approval,
            uploading: Uploading::default(),
            crowd: Crowd::default(),
            body_time: BODY_TIME,
            walls: fangshi_console::Walls::default(),
            backtesting: Arc::new(tokio::sync::Semaphore::new(1)),
        };
        let router = fangshi_console::router(console.clone());
        let mut served = router.clone();
        if let Some(component) = platform.map(Platform::component) {
            let keys = CallbackKeys {
                token: SecretString::from(component.token()),
                encoding_aes_key: SecretString::from(component.encoding_aes_key()),
                previous_encoding_aes_key: None,
            };
            let component = Component { appid: component.appid, keys };
            let durable = Durable { journal: journal.clone(), tenants: tenants.clone() };
            let limits = CallbackLimits::default();
            let callback = Callback::new(tenants.clone(), durable, Some(&component), limits, clock).unwrap();
            let door = callback.door();
            let callbacks = axum::routing::any(move |request: axum::extract::Request| {
                let door = door.clone();
                async move { door.answer(request).await }
            });
            served = served.route("/callback/weixin/{address}", callbacks);
        }
        tokio::spawn(async move {
            axum::serve(listener, served.into_make_service_with_connect_info::<SocketAddr>()).await.unwrap()
        });
        if let Some(platform) = platform {
            platform.point_at(&address);
            platform.drained().await;
        }
        Desk { router, console, address, tenants, journal, lanes, database, hand, operations, folder }
    }

    /// The same with a console of the test's own.
    pub fn changed(mut self, change: impl FnOnce(&mut Console)) -> Desk {
        change(&mut self.console);
        self.router = fangshi_console::router(self.console.clone());
        self
    }

    /// Sends a request as it is.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = to_bytes(body, 16 << 20).await.unwrap();
        Answer { status: head.status, headers: head.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    /// Sends a request as if it came from another address each time, so that failed logins do not add up.
    pub async fn send_from_elsewhere(&self, request: Request<Body>) -> Answer {
        static NEXT: AtomicU32 = AtomicU32::new(0x0a00_0001);
        self.send_from(NEXT.fetch_add(1, Ordering::Relaxed).into(), request).await
    }

    /// Sends a request from an address.
    pub async fn send_from(&self, address: Ipv4Addr, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from((address, 50_000))));
        self.send(request).await
    }

    /// A token made by the operator: of a merchant, or of an operator. Gives its id and its secret.
    pub async fn token(&self, tenant: Option<&str>) -> (String, String) {
        let path = tenant.map_or("/api/v1/tokens".to_owned(), |tenant| format!("/api/v1/tenants/{tenant}/tokens"));
        let answer = self.post(&path, json!({"label": "of a test"})).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        let made = answer.json();
        (made["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned())
    }

    /// The cookie of somebody who entered the merchant page by a link.
    pub async fn enter(&self, tenant: &str) -> String {
        let link = self.post(&format!("/api/v1/tenants/{tenant}/links"), json!({"purpose": "a test"})).await.json();
        let secret = link["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let (_, session) = self.tenants.access().enter(&secret).await.unwrap().unwrap();
        format!("fangshi_merchant={}", session.expose_secret())
    }

    /// Sends with the operator's token.
    pub async fn with_token(&self, method: Method, path: &str, kind: Option<&str>, body: Body) -> Answer {
        let mut request =
            Request::builder().method(method).uri(path).header("authorization", format!("Bearer {TOKEN}"));
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        self.send(request.body(body).unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.with_token(Method::GET, path, None, Body::empty()).await
    }

    pub async fn json(&self, method: Method, path: &str, body: Value) -> Answer {
        self.with_token(method, path, Some("application/json"), Body::from(body.to_string())).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.json(Method::POST, path, body).await
    }

    pub async fn upload(&self, tenant: &str, name: &str, wasm: Vec<u8>) -> Answer {
        let path = format!("/api/v1/tenants/{tenant}/plugins?name={name}");
        self.with_token(Method::POST, &path, Some("application/wasm"), Body::from(wasm)).await
    }

    /// A tenant of the usual kind.
    pub async fn tenant(&self, appid: &str) -> String {
        let answer = self
            .post(
                "/api/v1/tenants",
                json!({"platform": "weixin", "kind": "authorized", "appid": appid, "user_name": "gh_1", "name": "店",
                    "access_token": "CANARY-access", "refresh_token": "CANARY-refresh"}),
            )
            .await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Records a paid order and waits until nothing is under way.
    pub async fn paid(&self, tenant: &str, order_id: &str) {
        let body = json!({"Event": "channels_ec_order_pay", "CreateTime": 1_764_642_403,
            "order_info": {"order_id": order_id, "pay_time": 1_764_642_403}});
        let event = NewEvent {
            tenant: tenant.parse().unwrap(),
            event: "channels_ec_order_pay".to_owned(),
            order_id: order_id.to_owned(),
            source: Source::Callback,
            ext_type: None,
            created_at: 1_764_642_403,
            received_at: Clock::system().now(),
            dedup: fangshi_database::Digest::of(order_id.as_bytes()).0,
            body: body.to_string().into_bytes(),
        };
        self.journal.record_event(event).await.unwrap();
        tokio::time::timeout(Duration::from_secs(60), self.lanes.settle()).await.unwrap();
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Checks status and form of an error, and gives its code.
    pub fn refusal(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/json");
        let body = self.json();
        let members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["code", "hint", "message"], "{}", self.text);
        for member in members {
            assert!(!body[member].as_str().unwrap().is_empty(), "empty {member}: {}", self.text);
        }
        body["code"].as_str().unwrap().to_owned()
    }
}
