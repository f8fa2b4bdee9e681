//! The real room over a real store in a temporary folder, and pushes made as the platform makes them.
#![allow(dead_code)]

pub mod seal;
pub mod spelling;

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use fangshi_callback::signature::{msg_signature, url_signature};
use fangshi_callback::{Callback, CallbackLimits, Component, Durable, Intake};
use fangshi_database::{Database, OpenOptions};
use fangshi_journal::{EventFilter, EventView, Journal};
use fangshi_tenants::{CallbackKeys, Clock, Credentials, Kek, ManualClock, NewTenant, Platform, TenantId, Tenants};
use secrecy::SecretString;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

pub const COMPONENT: &str = "wx134c8103faa5a59e";
pub const COMPONENT_TOKEN: &str = "canary-component-token";
pub const COMPONENT_KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
pub const COMPONENT_OLD_KEY: &str = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C";
pub const SELF_TOKEN: &str = "canary-self-token";
pub const SELF_KEY: &str = "QDG6eKQDG6eKQDG6eKQDG6eKQDG6eKQDG6eKQDG6eKA";
pub const STRANGE_KEY: &str = "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz";

/// The clock of every test, unix seconds.
pub const NOW: i64 = 1_714_112_445;
pub const BODY_LIMIT: usize = 64 * 1024;

/// Authorized shops of one component, a self-built one, and a card shop.
pub const ANNA: &str = "wxa0000000000000000";
pub const BENE: &str = "wxb0000000000000000";
pub const NAMELESS: &str = "wxn0000000000000000";
pub const SELMA: &str = "wxs0000000000000000";
pub const CARDS: &str = "wxc0000000000000000";

pub struct Room {
    pub router: Router,
    pub journal: Journal,
    pub tenants: Tenants,
    pub clock: ManualClock,
    _folder: TempDir,
}

pub fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

pub fn keys(token: &str, current: &str, previous: Option<&str>) -> CallbackKeys {
    CallbackKeys {
        token: secret(token),
        encoding_aes_key: secret(current),
        previous_encoding_aes_key: previous.map(secret),
    }
}

impl Room {
    pub async fn open() -> Self {
        Self::open_with(CallbackLimits::default(), |durable| durable).await
    }

    /// `intake` may put itself between the room and what makes events durable.
    pub async fn open_with<I: Intake>(limits: CallbackLimits, intake: impl FnOnce(Durable) -> I) -> Self {
        let component = Component {
            appid: COMPONENT.to_owned(),
            keys: keys(COMPONENT_TOKEN, COMPONENT_KEY, Some(COMPONENT_OLD_KEY)),
        };
        Self::build(Some(component), limits, intake).await
    }

    pub async fn build<I: Intake>(
        component: Option<Component>,
        limits: CallbackLimits,
        intake: impl FnOnce(Durable) -> I,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::manual();
        hand.set(NOW * 1000);
        let database = Database::open(OpenOptions::new(folder.path())).await.unwrap();
        let tenants = Tenants::open(database.clone(), Kek::from_bytes(&[7; 32]), None, clock.clone()).await.unwrap();
        let authorized = || Credentials::Authorized { access_token: None, expires_in: None, refresh_token: None };
        for (appid, user_name, credentials) in [
            (ANNA, Some("gh_anna"), authorized()),
            (BENE, Some("gh_bene"), authorized()),
            (NAMELESS, None, authorized()),
            (
                SELMA,
                Some("gh_selma"),
                Credentials::SelfBuilt { appsecret: secret("s"), callback: keys(SELF_TOKEN, SELF_KEY, None) },
            ),
            (CARDS, Some("gh_cards"), Credentials::CardShop),
        ] {
            let new = NewTenant {
                platform: Platform::Weixin,
                appid: appid.to_owned(),
                user_name: user_name.map(str::to_owned),
                name: appid.to_owned(),
                credentials,
            };
            tenants.create(new).await.unwrap();
        }
        let journal = Journal::open(database, tenants.clone(), clock.clone());
        let durable = Durable { journal: journal.clone(), tenants: tenants.clone() };
        let callback = Callback::new(tenants.clone(), intake(durable), component.as_ref(), limits, clock).unwrap();
        let door = callback.door();
        let router = Router::new().fallback(move |request: Request<Body>| {
            let door = door.clone();
            async move { door.answer(request).await }
        });
        Self { router, journal, tenants, clock: hand, _folder: folder }
    }

    /// A shop that was unknown so far.
    pub async fn become_tenant(&self, appid: &str) -> TenantId {
        let new = NewTenant {
            platform: Platform::Weixin,
            appid: appid.to_owned(),
            user_name: None,
            name: appid.to_owned(),
            credentials: Credentials::Authorized { access_token: None, expires_in: None, refresh_token: None },
        };
        self.tenants.create(new).await.unwrap().id
    }

    pub fn id(&self, appid: &str) -> TenantId {
        self.tenants.by_appid(appid).unwrap().id
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let kind = head.headers.get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        let body = to_bytes(body, 1 << 20).await.unwrap();
        Answer { status: head.status, kind: kind.unwrap_or_default(), body: String::from_utf8(body.into()).unwrap() }
    }

    pub async fn events(&self, tenant: TenantId) -> Vec<EventView> {
        let filter = EventFilter { order_id: None, before: None, limit: 200 };
        self.journal.events(tenant, &filter).await.unwrap().items
    }

    /// Every event of every tenant, the host's own included.
    pub async fn all_events(&self) -> Vec<EventView> {
        let mut all = self.events(TenantId::HOST).await;
        for tenant in self.tenants.list(None, 100).await {
            all.extend(self.events(tenant.id).await);
        }
        all
    }

    pub async fn refused(&self, tenant: TenantId, code: &str) -> i64 {
        let refusals = self.tenants.refusals(tenant).await.unwrap();
        refusals.iter().find(|refusal| refusal.reason == code).map_or(0, |refusal| refusal.count)
    }
}

#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    pub kind: String,
    pub body: String,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        self.status == StatusCode::OK && self.body == "success" && self.kind == "text/plain; charset=utf-8"
    }

    /// The code of a refusal, if it has the three members that it must have.
    pub fn code(&self) -> Option<String> {
        let body: Value = serde_json::from_str(&self.body).ok()?;
        let text = |name: &str| body[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        text("message")?;
        text("hint")?;
        text("code")
    }
}

/// A push on its way to a shop; change any part of it.
#[derive(Clone)]
pub struct Push {
    pub path: String,
    pub token: String,
    /// The EncodingAESKey.
    pub key: String,
    /// Closes the plaintext.
    pub appid: String,
    pub timestamp: String,
    pub nonce: String,
    pub message: Vec<u8>,
    /// The outer form.
    pub xml: bool,
}

impl Push {
    /// To an authorized shop: XML, with the component's keys.
    pub fn authorized(appid: &str, message: impl Into<Vec<u8>>) -> Self {
        Self {
            path: format!("/callback/weixin/{appid}"),
            token: COMPONENT_TOKEN.to_owned(),
            key: COMPONENT_KEY.to_owned(),
            appid: COMPONENT.to_owned(),
            timestamp: NOW.to_string(),
            nonce: "415670741".to_owned(),
            message: message.into(),
            xml: true,
        }
    }

    /// To the self-built shop: JSON, with its own keys.
    pub fn self_built(message: impl Into<Vec<u8>>) -> Self {
        Self {
            path: format!("/callback/weixin/{SELMA}"),
            token: SELF_TOKEN.to_owned(),
            key: SELF_KEY.to_owned(),
            appid: SELMA.to_owned(),
            xml: false,
            ..Self::authorized(SELMA, message)
        }
    }

    /// To the component's own address.
    pub fn component(message: impl Into<Vec<u8>>) -> Self {
        Self { path: "/callback/weixin/component".to_owned(), ..Self::authorized("", message) }
    }

    pub fn sealed(&self) -> String {
        seal::encrypt(&self.key, b"0123456789abcdef", &self.message, &self.appid)
    }

    pub fn signature(&self, sealed: &str) -> String {
        let signature = msg_signature(&self.token, &self.timestamp, &self.nonce, sealed);
        String::from_utf8(signature.to_vec()).unwrap()
    }

    pub fn query(&self, sealed: &str) -> String {
        let (timestamp, nonce) = (&self.timestamp, &self.nonce);
        let signature = String::from_utf8(url_signature(&self.token, timestamp, nonce).to_vec()).unwrap();
        let msg_signature = self.signature(sealed);
        format!(
            "signature={signature}&timestamp={timestamp}&nonce={nonce}&openid=o9AgO5Kd5ggOC-bXrbNODIiE3bGY\
             &encrypt_type=aes&msg_signature={msg_signature}"
        )
    }

    pub fn body(&self, sealed: &str) -> String {
        if self.xml {
            format!("<xml><ToUserName><![CDATA[gh_outer]]></ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>")
        } else {
            serde_json::json!({"ToUserName": "gh_outer", "Encrypt": sealed}).to_string()
        }
    }

    /// As the platform sends it.
    pub fn request(&self) -> Request<Body> {
        self.request_of(&self.sealed())
    }

    /// With another ciphertext, properly signed.
    pub fn request_of(&self, sealed: &str) -> Request<Body> {
        self.request_with(&self.query(sealed), self.body(sealed))
    }

    /// With any query and body.
    pub fn request_with(&self, query: &str, body: impl Into<Body>) -> Request<Body> {
        post(&format!("{}?{query}", self.path), body)
    }

    /// With any body, the query signed for this push's own ciphertext.
    pub fn request_body(&self, body: impl Into<Body>) -> Request<Body> {
        self.request_with(&self.query(&self.sealed()), body)
    }
}

pub fn post(uri: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(uri).body(body.into()).unwrap()
}

/// A paid order of a shop, as the platform writes it to that kind of tenant.
pub fn paid(user_name: &str, order_id: u64) -> String {
    format!(
        "<xml><ToUserName><![CDATA[{user_name}]]></ToUserName>\n<FromUserName><![CDATA[OPENID]]></FromUserName>\n\
         <CreateTime>{NOW}</CreateTime>\n<MsgType><![CDATA[event]]></MsgType>\n\
         <Event><![CDATA[channels_ec_order_pay]]></Event>\n\
         <order_info><order_id>{order_id}</order_id><pay_time>{NOW}</pay_time></order_info></xml>"
    )
}

/// The same as JSON with bare numbers.
pub fn paid_json(user_name: &str, order_id: u64) -> String {
    format!(
        r#"{{"ToUserName":"{user_name}","FromUserName":"OPENID","CreateTime":{NOW},"MsgType":"event","Event":"channels_ec_order_pay","order_info":{{"order_id":{order_id},"pay_time":{NOW}}}}}"#
    )
}

/// Short times, for tests that wait for them to pass.
pub fn hasty() -> CallbackLimits {
    CallbackLimits {
        body_time: Duration::from_millis(100),
        answer_time: Duration::from_millis(400),
        ..CallbackLimits::default()
    }
}
