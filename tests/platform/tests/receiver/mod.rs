//! A receiver of pushes that keeps what came and answers as it is told, and a caller of the API.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use fangshi_platform::crypto::{AesKey, Opened, sign};
use fangshi_platform::{CallbackSecrets, NewShop, Platform, Settings, Shop};
use serde_json::Value;

/// When the tests begin: the real order's payment.
pub const START: i64 = 1_764_642_403;

/// How the receiver answers one push.
#[derive(Clone, Debug)]
pub enum Answer {
    With(u16, &'static str),
    Never,
}

#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub query: String,
    pub body: String,
}

impl Received {
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').filter_map(|pair| pair.split_once('=')).find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Checks the signature and decrypts.
    pub fn open(&self, secrets: &CallbackSecrets) -> Opened {
        let encrypt = if self.body.starts_with('{') {
            let body: Value = serde_json::from_str(&self.body).unwrap();
            body["Encrypt"].as_str().unwrap().to_owned()
        } else {
            let (_, rest) = self.body.split_once("<Encrypt><![CDATA[").unwrap();
            rest.split_once("]]>").unwrap().0.to_owned()
        };
        let (timestamp, nonce) = (self.parameter("timestamp").unwrap(), self.parameter("nonce").unwrap());
        assert_eq!(self.parameter("msg_signature").unwrap(), sign(&[&secrets.token, timestamp, nonce, &encrypt]));
        assert_eq!(self.parameter("signature").unwrap(), sign(&[&secrets.token, timestamp, nonce]));
        assert_eq!(self.parameter("encrypt_type"), Some("aes"));
        let opened = AesKey::parse(&secrets.encoding_aes_key).unwrap().decrypt(&encrypt).unwrap();
        assert_eq!(opened.appid, secrets.appid);
        opened
    }

    pub fn message(&self, secrets: &CallbackSecrets) -> String {
        String::from_utf8(self.open(secrets).message).unwrap()
    }
}

#[derive(Default)]
struct Shared {
    received: Vec<Received>,
    answers: VecDeque<Answer>,
    otherwise: Option<Answer>,
}

#[derive(Clone)]
pub struct Receiver {
    pub addr: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Receiver { addr: listener.local_addr().unwrap(), shared: Arc::default() };
        let router = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Answers the next pushes so, one each; then `success` again.
    pub fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.lock().unwrap().answers.extend(answers);
    }

    /// Answers every push so from now on.
    pub fn answer_always(&self, answer: Answer) {
        self.shared.lock().unwrap().otherwise = Some(answer);
    }

    pub fn received(&self) -> Vec<Received> {
        self.shared.lock().unwrap().received.clone()
    }
}

async fn take(State(receiver): State<Receiver>, uri: Uri, body: Bytes) -> Response {
    let answer = {
        let mut shared = receiver.shared.lock().unwrap();
        let echo = uri.query().and_then(|q| q.split('&').find_map(|p| p.strip_prefix("echostr=")));
        if let Some(echo) = echo {
            return echo.to_owned().into_response();
        }
        shared.received.push(Received {
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or("").to_owned(),
            body: String::from_utf8(body.to_vec()).unwrap(),
        });
        let otherwise = shared.otherwise.clone();
        shared.answers.pop_front().or(otherwise)
    };
    match answer {
        None => "success".into_response(),
        Some(Answer::With(status, body)) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Some(Answer::Never) => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            "late".into_response()
        }
    }
}

/// A platform with one authorized shop, its token, and no receiver.
pub struct Stage {
    pub platform: Platform,
    pub shop: Shop,
    pub token: String,
    client: reqwest::Client,
}

impl Stage {
    pub async fn new(settings: Settings) -> Self {
        let platform = Platform::start(settings).await.unwrap();
        let shop = platform.add_shop(NewShop::authorized()).unwrap();
        let token = platform.issue_tokens(&shop.appid).unwrap().access().to_owned();
        Stage { platform, shop, token, client: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    pub async fn manual() -> Self {
        Stage::new(Settings { ticket_every_s: None, ..Settings::manual(START) }).await
    }

    /// A call with the shop's token.
    pub async fn call(&self, path: &str, request: Value) -> Value {
        self.call_as(&self.token, path, request).await
    }

    /// The errcode of a call with the shop's token.
    pub async fn code(&self, path: &str, request: Value) -> i64 {
        self.call(path, request).await["errcode"].as_i64().unwrap()
    }

    pub async fn call_as(&self, token: &str, path: &str, request: Value) -> Value {
        self.try_call(token, path, request).await.unwrap()
    }

    pub async fn try_call(&self, token: &str, path: &str, request: Value) -> Result<Value, reqwest::Error> {
        let url = format!("{}{path}?access_token={token}", self.platform.base_url());
        self.client.post(url).json(&request).timeout(Duration::from_secs(10)).send().await?.json().await
    }

    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// `type` of the ext_info_updates of an order, in the order in which they were raised.
    pub fn types(&self, order_id: &str) -> Vec<i64> {
        self.platform.ledger().pushes_of(order_id).iter().filter_map(|p| p.ext_type()).collect()
    }

    /// Names of the events of an order, shortened.
    pub fn events(&self, order_id: &str) -> Vec<String> {
        let ledger = self.platform.ledger();
        let short = |name: &str| name.strip_prefix("channels_ec_order_").unwrap_or(name).to_owned();
        ledger.pushes_of(order_id).iter().map(|p| short(&p.name)).collect()
    }
}
