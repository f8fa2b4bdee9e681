//! The client against a small platform on this machine: tokens, refusals, broken answers, and what is known of effects.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use fangshi_tenants::{IssueError, ManualClock};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::fault::ContractError;

const TENANT: TenantId = TenantId(1);
const CANARY: &str = "CANARY-TOKEN";

/// Gives out `CANARY-TOKEN-<version>`; an invalidated version is followed by the next, if that is allowed.
struct FakeKeeper {
    version: AtomicI64,
    renews: bool,
    invalidated: Mutex<Vec<i64>>,
    revoked: Mutex<Vec<i64>>,
}

#[async_trait]
impl Keeper for FakeKeeper {
    fn grants(&self, _: TenantId, _: u16) -> bool {
        true
    }

    async fn token(&self, _: TenantId, _: &Arc<dyn Issuer>) -> Result<Held, Fault> {
        let version = self.version.load(Ordering::SeqCst);
        Ok(Held { version, secret: SecretString::from(format!("{CANARY}-{version}")) })
    }

    async fn invalidate(&self, _: TenantId, version: i64) {
        self.invalidated.lock().unwrap().push(version);
        if self.renews {
            let _ = self.version.compare_exchange(version, version + 1, Ordering::SeqCst, Ordering::SeqCst);
        }
    }

    async fn revoked(&self, _: TenantId, version: i64) {
        self.revoked.lock().unwrap().push(version);
    }
}

fn keeper(renews: bool) -> Arc<FakeKeeper> {
    Arc::new(FakeKeeper {
        version: AtomicI64::new(1),
        renews,
        invalidated: Mutex::default(),
        revoked: Mutex::default(),
    })
}

/// A platform that gives these answers, one by one, and remembers what it was asked.
#[derive(Clone, Default)]
struct Platform {
    answers: Arc<Mutex<VecDeque<Vec<u8>>>>,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Platform {
    async fn start(answers: &[&str]) -> (Platform, String) {
        let platform = Platform::default();
        platform.answers.lock().unwrap().extend(answers.iter().map(|answer| answer.as_bytes().to_vec()));
        let app = Router::new().fallback(Platform::answer).with_state(platform.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (platform, base)
    }

    async fn answer(State(platform): State<Platform>, request: Request) -> Response {
        let target = request.uri().to_string();
        let body: Bytes = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        let body = serde_json::from_slice(&body).unwrap();
        platform.asked.lock().unwrap().push((target, body));
        let answer = platform.answers.lock().unwrap().pop_front().unwrap_or_default();
        Response::new(Body::from(answer))
    }

    fn asked(&self) -> Vec<(String, Value)> {
        self.asked.lock().unwrap().clone()
    }
}

fn operations(base: &str, keeper: Arc<FakeKeeper>) -> Operations {
    let (clock, hand) = Clock::manual();
    // 2025-12-02 10:26:43 +08:00
    hand.set(1_764_642_403_000);
    operations_by(base, keeper, clock)
}

fn operations_by(base: &str, keeper: Arc<dyn Keeper>, clock: Clock) -> Operations {
    let config = OperationsConfig {
        api_base: base.to_owned(),
        connect_timeout: Duration::from_millis(500),
        timeout: Duration::from_millis(700),
        answer_limit: 64 << 10,
        clock,
        breaker: crate::BreakerConfig::default(),
        outside: crate::OutsideConfig::default(),
    };
    Operations::with_keeper(config, keeper).unwrap()
}

fn notes() -> (&'static Operation, Value) {
    let op = table::find("notes", "set-merchant-notes").unwrap();
    (op, json!({"order_id": "3732676853715311104", "merchant_notes": "NOTE-CANARY"}))
}

fn clean(fault: &Fault) {
    for text in [format!("{fault}"), format!("{fault:?}"), serde_json::to_string(fault).unwrap()] {
        assert!(!text.contains(CANARY) && !text.contains("NOTE-CANARY") && !text.contains("access_token="), "{text}");
    }
}

/// A keeper that takes 3 s for each token.
struct SlowKeeper(Arc<FakeKeeper>, ManualClock);

#[async_trait]
impl Keeper for SlowKeeper {
    fn grants(&self, tenant: TenantId, permission_set: u16) -> bool {
        self.0.grants(tenant, permission_set)
    }

    async fn token(&self, tenant: TenantId, issuer: &Arc<dyn Issuer>) -> Result<Held, Fault> {
        self.1.advance(3_000);
        self.0.token(tenant, issuer).await
    }

    async fn invalidate(&self, tenant: TenantId, version: i64) {
        self.0.invalidate(tenant, version).await;
    }

    async fn revoked(&self, tenant: TenantId, version: i64) {
        self.0.revoked(tenant, version).await;
    }
}

#[tokio::test]
async fn a_call_that_takes_too_long_to_be_let_go_is_not_sent() {
    // By when it must be, and how often the platform is asked: it refuses the first token.
    for (by_ms, asked) in [(2_999, 0), (3_000, 1), (5_999, 1), (6_000, 2)] {
        let answers = [r#"{"errcode":40001,"errmsg":"invalid credential"}"#, r#"{"errcode":0,"errmsg":"ok"}"#];
        let (platform, base) = Platform::start(&answers).await;
        let (op, request) = notes();
        let (clock, hand) = Clock::manual();
        let by = clock.now() + by_ms;
        let keeper = Arc::new(SlowKeeper(keeper(true), hand));
        let answer = operations_by(&base, keeper, clock).call_by(TENANT, op, &request, Some(by)).await;
        assert_eq!(platform.asked().len(), asked, "{by_ms}");
        match answer {
            Ok(answer) => assert_eq!((answer, asked), (Value::Null, 2)),
            Err(fault) => assert_eq!((fault.class, fault.sent), (Class::Host, Sent::NotSent), "{by_ms}"),
        }
    }
}

#[tokio::test]
async fn a_call_has_the_rows_path_the_token_and_the_mapped_body() {
    let (platform, base) = Platform::start(&[r#"{"errcode":0,"errmsg":"ok"}"#]).await;
    let (op, request) = notes();
    assert_eq!(operations(&base, keeper(true)).call(TENANT, op, &request).await, Ok(Value::Null));
    let target = "/channels/ec/order/merchantnotes/update?access_token=CANARY-TOKEN-1".to_owned();
    assert_eq!(platform.asked(), [(target, request)]);
}

#[tokio::test]
async fn a_wrong_request_is_never_sent() {
    let (platform, base) = Platform::start(&[]).await;
    let (op, _) = notes();
    let fault = operations(&base, keeper(true)).call(TENANT, op, &json!({"order_id": 5})).await.unwrap_err();
    assert_eq!((fault.class, fault.sent), (Class::Invalid, Sent::NotSent));
    assert!(matches!(fault.to_contract(), ContractError::Invalid(text) if text.starts_with("order_id")));
    assert!(platform.asked().is_empty());
}

#[tokio::test]
async fn a_stale_token_is_renewed_once_and_the_call_repeated_once() {
    for code in [40001, 42001, 40014] {
        let stale =
            format!(r#"{{"errcode":{code},"errmsg":"invalid credential, access_token {CANARY}-1 rid: a-b-c"}}"#);
        let (platform, base) = Platform::start(&[&stale, r#"{"errcode":0}"#]).await;
        let keeper = keeper(true);
        let (op, request) = notes();
        assert_eq!(operations(&base, keeper.clone()).call(TENANT, op, &request).await, Ok(Value::Null));
        assert_eq!(*keeper.invalidated.lock().unwrap(), [1]);
        let tokens: Vec<_> = platform.asked().iter().map(|(uri, _)| uri[uri.len() - 1..].to_owned()).collect();
        assert_eq!(tokens, ["1", "2"]);

        // The renewed one is refused too: that is the end of it.
        let (platform, base) = Platform::start(&[&stale, &stale, r#"{"errcode":0}"#]).await;
        let fault = operations(&base, self::keeper(true)).call(TENANT, op, &request).await.unwrap_err();
        assert_eq!((fault.class, fault.sent, fault.rid.as_deref()), (Class::Token, Sent::Answered, Some("a-b-c")));
        assert!(matches!(fault.to_contract(), ContractError::Unavailable(_)));
        clean(&fault);
        assert_eq!(platform.asked().len(), 2);

        // There is no newer one: the same is not tried again.
        let (platform, base) = Platform::start(&[&stale, r#"{"errcode":0}"#]).await;
        let fault = operations(&base, self::keeper(false)).call(TENANT, op, &request).await.unwrap_err();
        assert_eq!(fault.class, Class::Token);
        assert_eq!(platform.asked().len(), 1);
    }
}

#[tokio::test]
async fn no_other_refusal_is_repeated() {
    for (code, contract) in [
        (48001, ContractError::Denied("api not authorized".into())),
        (40097, ContractError::Invalid("invalid argument".into())),
        (100002, ContractError::NotFound("order not found".into())),
        (101100, ContractError::Conflict("order state forbids this".into())),
        (100003, ContractError::Limited { retry_after: None }),
        (45011, ContractError::Limited { retry_after: Some(60) }),
        (45009, ContractError::Limited { retry_after: Some(86_400 - (10 * 3600 + 26 * 60 + 43)) }),
        (-1, ContractError::Unavailable("system busy".into())),
        (42007, ContractError::Unavailable("tokens void since a password change".into())),
        (61003, ContractError::Unavailable("component not authorized by this account".into())),
        (61004, ContractError::Unavailable("caller's IP is not on the white list".into())),
        (123_456, ContractError::Platform { code: 123_456, message: String::new() }),
    ] {
        let (platform, base) = Platform::start(&[&format!(r#"{{"errcode":{code}}}"#), r#"{"errcode":0}"#]).await;
        let (op, request) = notes();
        let keeper = keeper(true);
        let fault = operations(&base, keeper.clone()).call(TENANT, op, &request).await.unwrap_err();
        assert_eq!(fault.to_contract(), contract, "{code}");
        let sent = if code == -1 { Sent::Unknown } else { Sent::Answered };
        assert_eq!((fault.code, fault.sent), (code, sent));
        assert_eq!(platform.asked().len(), 1);
        // What is void for good is taken back, for custody to find out; nothing else is.
        let taken_back: &[i64] = if code == 42007 { &[1] } else { &[] };
        assert_eq!(*keeper.invalidated.lock().unwrap(), taken_back, "{code}");
        let told: &[i64] = if code == 61003 { &[1] } else { &[] };
        assert_eq!(*keeper.revoked.lock().unwrap(), told, "{code}");
    }
}

#[tokio::test]
async fn an_errmsg_that_repeats_secrets_is_masked() {
    let errmsg = "bad NOTE-CANARY for 13800138000 with CANARY-TOKEN-1 rid: 62f1-1";
    let (_, base) = Platform::start(&[&json!({"errcode": 40097, "errmsg": errmsg}).to_string()]).await;
    let (op, request) = notes();
    let fault = operations(&base, keeper(true)).call(TENANT, op, &request).await.unwrap_err();
    clean(&fault);
    assert_eq!(fault.message, "invalid argument (bad [masked] for [masked] with [masked])");
    assert_eq!(fault.rid.as_deref(), Some("62f1-1"));
}

/// The lines of a log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_rid_of_every_refusal_is_in_the_log_and_nothing_of_the_buyer() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(move || writer.clone());
    let _caught = tracing::subscriber::set_default(subscriber.with_ansi(false).finish());
    for (at, code) in [-1, 40097, 48001, 100002, 100003, 101100, 45009, 123_456].into_iter().enumerate() {
        let refusal = json!({"errcode": code, "errmsg": format!("张三 {CANARY}-1 rid: 62f1-{at}")}).to_string();
        let (_, base) = Platform::start(&[&refusal]).await;
        let fault = operations(&base, keeper(true)).read_order(TENANT, "3732676853715311104").await.unwrap_err();
        assert_eq!(fault.code, code);
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("INFO") && text.contains(&format!("rid=\"62f1-{at}\"")), "{code}: {text}");
        assert!(!text.contains("张三") && !text.contains(CANARY), "{text}");
    }
}

/// A platform that takes a whole request and then does `what` with the connection.
async fn raw_platform(what: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = vec![0; 64 << 10];
                let _ = socket.read(&mut request).await;
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
                match what {
                    "reset" => {
                        socket.set_zero_linger().unwrap();
                    }
                    "close" => {}
                    "cut" => {
                        let _ = socket
                            .write_all(format!("{head}content-length: 900\r\n\r\n{{\"errcode\":0").as_bytes())
                            .await;
                    }
                    "huge" => {
                        let _ = socket.write_all(format!("{head}content-length: 50000000\r\n\r\n").as_bytes()).await;
                        let _ = socket.write_all(&vec![b' '; 1 << 20]).await;
                    }
                    "endless" => {
                        let _ = socket.write_all(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes()).await;
                        let chunk = [b"10000\r\n".to_vec(), vec![b' '; 0x10000], b"\r\n".to_vec()].concat();
                        while socket.write_all(&chunk).await.is_ok() {}
                    }
                    "trickle" => {
                        let _ = socket.write_all(format!("{head}content-length: 9000\r\n\r\n{{").as_bytes()).await;
                        while socket.write_all(b" ").await.is_ok() {
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                    }
                    "silence" => std::future::pending().await,
                    "redirect" => {
                        let to = "HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:9/steal\r\ncontent-length: 0\r\n\r\n";
                        let _ = socket.write_all(to.as_bytes()).await;
                    }
                    "gateway" => {
                        let _ = socket.write_all(b"HTTP/1.1 502 X\r\ncontent-length: 6\r\n\r\n<html>").await;
                    }
                    other => panic!("{other}"),
                }
            });
        }
    });
    base
}

#[tokio::test]
async fn an_effect_without_an_answer_is_unknown_and_a_read_is_unavailable() {
    for what in ["reset", "close", "cut", "huge", "endless", "trickle", "silence", "gateway"] {
        let operations = operations(&raw_platform(what).await, keeper(true));
        let (op, request) = notes();
        let fault = operations.call(TENANT, op, &request).await.unwrap_err();
        assert_eq!((fault.class, fault.sent), (Class::Unanswered, Sent::Unknown), "{what}: {fault}");
        assert!(matches!(fault.to_contract(), ContractError::OutcomeUnknown(_)), "{what}");
        clean(&fault);

        let fault = operations.read_order(TENANT, "3732676853715311104").await.unwrap_err();
        assert!(matches!(fault.to_contract(), ContractError::Unavailable(_)), "{what}: {fault}");
        clean(&fault);
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (op, request) = notes();
    let fault = operations(&base, keeper(true)).call(TENANT, op, &request).await.unwrap_err();
    assert_eq!((fault.class, fault.sent), (Class::Unreachable, Sent::NotSent), "{fault}");
    assert!(matches!(fault.to_contract(), ContractError::Unavailable(_)));
    clean(&fault);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (op, request) = notes();
    let fault = operations(&raw_platform("redirect").await, keeper(true)).call(TENANT, op, &request).await.unwrap_err();
    assert_eq!((fault.class, fault.sent), (Class::Config, Sent::Answered));
    clean(&fault);
}

#[tokio::test]
async fn an_effect_with_an_unreadable_answer_was_applied_and_is_not_called_unavailable() {
    let (_, base) = Platform::start(&[r#"{"errcode":0}"#, r#"{"errcode":0}"#]).await;
    let operations = operations(&base, keeper(true));
    let decode = table::find("decode", "sensitive-info").unwrap();
    let fault = operations.call(TENANT, decode, &json!({"order_id": "1"})).await.unwrap_err();
    assert_eq!((fault.class, fault.sent), (Class::Unreadable, Sent::Answered));
    assert!(matches!(fault.to_contract(), ContractError::OutcomeUnknown(_)));
    let couriers = table::find("delivery", "companies").unwrap();
    let fault = operations.call(TENANT, couriers, &json!({})).await.unwrap_err();
    assert!(matches!(fault.to_contract(), ContractError::Unavailable(_)));
}

#[tokio::test]
async fn an_order_comes_with_exact_ids_and_only_if_it_is_the_one_asked_for() {
    let order = r#"{"errcode":0,"order":{"order_id":3732676853715311104,"status":20}}"#;
    let (_, base) = Platform::start(&[order, order]).await;
    let operations = operations(&base, keeper(true));
    let read = operations.read_order(TENANT, "3732676853715311104").await.unwrap();
    assert_eq!(read, json!({"order_id": "3732676853715311104", "status": 20}));
    assert!(operations.read_order(TENANT, "3732676853715311105").await.is_err());
}

#[tokio::test]
async fn a_lost_outcome_is_settled_by_what_the_platform_shows() {
    let order = |note: &str| {
        json!({"errcode": 0, "order": {"order_id": "3732676853715311104",
            "order_detail": {"ext_info": {"merchant_notes": note}}}})
        .to_string()
    };
    let (op, request) = notes();
    let before = json!({"order_detail": {"ext_info": {"merchant_notes": ""}}});
    for (answer, wanted) in [
        (order("NOTE-CANARY"), Some(Verdict::Applied(Value::Null))),
        (order(""), Some(Verdict::Again)),
        (r#"{"errcode":100002}"#.to_owned(), Some(Verdict::Again)),
        (r#"{"errcode":-1}"#.to_owned(), None),
        // Looked up again once the shop is authorized again.
        (r#"{"errcode":61003}"#.to_owned(), None),
    ] {
        let (platform, base) = Platform::start(&[&answer]).await;
        let verdict = operations(&base, keeper(true)).settle(TENANT, op, &request, Some(&before), 1000).await;
        assert_eq!(verdict.ok(), wanted, "{answer}");
        assert!(platform.asked()[0].0.starts_with("/channels/ec/order/get?"));
    }

    // Gift notes show in the orders made of the gift order.
    let gift = table::find("presents", "set-note").unwrap();
    let sub = r#"{"errcode":0,"order_ids":[5]}"#;
    let (platform, base) = Platform::start(&[sub, r#"{"errcode":0,"order":{"order_id":5,"present_note":"hi"}}"#]).await;
    let request = json!({"present_order_id": "4", "notes": "hi"});
    let verdict = operations(&base, keeper(true)).settle(TENANT, gift, &request, None, 1000).await;
    assert_eq!(verdict, Ok(Verdict::Applied(Value::Null)));
    assert_eq!(platform.asked()[1].1, json!({"order_id": "5"}));
    // With one of them known from before, that one is read again: a note that was old then is no other's change.
    let of_gift =
        |order: &str, note: &str| json!({"order_id": order, "present_order_id_str": "4", "present_note": note});
    let now = json!({"errcode": 0, "order": of_gift("6", "old")}).to_string();
    let (platform, base) = Platform::start(&[&now]).await;
    let before = of_gift("6", "old");
    let verdict = operations(&base, keeper(true)).settle(TENANT, gift, &request, Some(&before), 1000).await;
    assert_eq!((verdict, &platform.asked()[0].1), (Ok(Verdict::Again), &json!({"order_id": "6"})));

    // The real number shows in its audit; an unknown refusal there proves nothing.
    let apply = table::find("real-number", "apply").unwrap();
    let request = json!({"order_id": "4", "apply_type": 1, "apply_reason": "why", "pic_media_ids": ["m"]});
    let audit = r#"{"errcode":0,"apply_time":2000000,"audit_state":1,"apply_reason":"why","task_id":9}"#;
    for (answer, wanted) in [
        (audit, "Applied"),
        (r#"{"errcode":424242}"#, "Unclear"),
        (r#"{"errcode":100002}"#, "Again"),
        (r#"{"errcode":10020116}"#, "Again"),
    ] {
        let (_, base) = Platform::start(&[answer]).await;
        let verdict = operations(&base, keeper(true)).settle(TENANT, apply, &request, None, 1000).await.unwrap();
        assert!(format!("{verdict:?}").starts_with(wanted), "{verdict:?}");
    }
}

#[tokio::test]
async fn tokens_are_issued_as_the_platform_page_says() {
    let (platform, base) = Platform::start(&[
        r#"{"component_access_token":"C1","expires_in":7200}"#,
        r#"{"authorizer_access_token":"A1","expires_in":"7200","authorizer_refresh_token":"R2"}"#,
        r#"{"access_token":"S1","expires_in":7200}"#,
        r#"{"errcode":61023,"errmsg":"refresh_token is invalid rid: 1-2"}"#,
        r#"{"errcode":45009,"errmsg":"reach max api daily quota limit"}"#,
        r#"{"errcode":40125,"errmsg":"invalid appsecret SECRET"}"#,
        r#"{"expires_in":7200}"#,
        r#"{"authorizer_access_token":"A2","authorizer_refresh_token":"R3"}"#,
        r#"{"authorizer_access_token":"A3","authorizer_refresh_token":"R4","expires_in":-1}"#,
    ])
    .await;
    let weixin = operations(&base, keeper(true)).weixin;
    let secret = |text: &str| SecretString::from(text);
    let issued = weixin.component_token("wxc", &secret("SECRET"), &secret("TICKET")).await.unwrap();
    assert_eq!((issued.access.expose_secret(), issued.refresh.is_none(), issued.expires_in), ("C1", true, 7200));
    let issued = weixin.authorizer_token(&secret("C 1&x"), "wxc", "wxa", &secret("R1")).await.unwrap();
    assert_eq!((issued.access.expose_secret(), issued.expires_in), ("A1", 7200));
    assert_eq!(issued.refresh.unwrap().expose_secret(), "R2");
    let issued = weixin.stable_token("wxs", &secret("SECRET"), true).await.unwrap();
    assert_eq!(issued.access.expose_secret(), "S1");
    assert_eq!(
        platform.asked(),
        [
            (
                "/cgi-bin/component/api_component_token".to_owned(),
                json!({"component_appid": "wxc", "component_appsecret": "SECRET", "component_verify_ticket": "TICKET"})
            ),
            (
                "/cgi-bin/component/api_authorizer_token?access_token=C+1%26x".to_owned(),
                json!({"component_appid": "wxc", "authorizer_appid": "wxa", "authorizer_refresh_token": "R1"})
            ),
            (
                "/cgi-bin/stable_token".to_owned(),
                json!({"grant_type": "client_credential", "appid": "wxs", "secret": "SECRET", "force_refresh": true})
            ),
        ]
    );
    let (weixin_token, refresh) = (secret("C1"), secret("R2"));
    let again = || weixin.authorizer_token(&weixin_token, "wxc", "wxa", &refresh);
    assert!(matches!(again().await, Err(IssueError::Invalid { code: 61023, message }) if message.contains("rid 1-2")));
    // Until the next day in Beijing, not for a minute.
    let now = Clock::system().now();
    match again().await {
        Err(IssueError::Limited { code: 45009, until, .. }) => {
            assert_eq!((until / 1000 + 8 * 3600) % 86_400, 0, "{until} {now}")
        }
        other => panic!("{other:?}"),
    }
    match weixin.stable_token("wxs", &secret("SECRET"), false).await {
        Err(IssueError::Refused { code: 40125, message }) => assert!(!message.contains("SECRET"), "{message}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(again().await, Err(IssueError::Unavailable(_))));
    // What came is kept, whatever is said of its life.
    for (access, kept) in [("A2", "R3"), ("A3", "R4")] {
        let issued = again().await.unwrap();
        let refresh = issued.refresh.unwrap();
        assert_eq!((issued.access.expose_secret(), refresh.expose_secret(), issued.expires_in), (access, kept, 7200));
    }
}
