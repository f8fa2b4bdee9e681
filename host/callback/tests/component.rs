//! The component's address: tickets and authorizations, and what the logs say of them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "room/faulty.rs"]
mod faulty;
mod room;

use std::io;
use std::sync::{Arc, Mutex};

use fangshi_callback::{CallbackLimits, Door};
use fangshi_tenants::{TenantId, TenantPatch};
use faulty::{Fault, Faulty};
use room::{
    ANNA, BENE, COMPONENT, COMPONENT_KEY, COMPONENT_TOKEN, NAMELESS, NOW, Push, Room, SELF_KEY, SELF_TOKEN, paid,
};

const TICKET: &str = "ticket@@@canary-ticket";

fn info(info_type: &str, created_at: i64, more: &str) -> String {
    format!(
        "<xml><AppId><![CDATA[{COMPONENT}]]></AppId>\n<CreateTime>{created_at}</CreateTime>\n\
         <InfoType><![CDATA[{info_type}]]></InfoType>\n{more}</xml>"
    )
}

fn ticket(created_at: i64) -> Push {
    let more = format!("<ComponentVerifyTicket><![CDATA[{TICKET}]]></ComponentVerifyTicket>");
    Push::component(info("component_verify_ticket", created_at, &more))
}

#[tokio::test]
async fn a_ticket_is_recorded_without_itself_then_kept() {
    let (faulty, control) = Faulty::around();
    let room = Room::open_with(CallbackLimits::default(), faulty).await;
    control.set(Fault::Refuse);
    assert_eq!(room.send(ticket(NOW).request()).await.status.as_u16(), 503);
    assert_eq!(control.tickets(), []);
    // Recorded, but not kept: not answered. The platform comes again, and then it is kept although it is a duplicate.
    control.set(Fault::RefuseTicket);
    assert_eq!(room.send(ticket(NOW).request()).await.status.as_u16(), 503);
    assert_eq!(room.events(TenantId::HOST).await.len(), 1);
    control.set(Fault::None);
    assert!(room.send(ticket(NOW).request()).await.is_success());
    assert_eq!(control.tickets(), [(TICKET.to_owned(), NOW)]);
    assert!(room.send(ticket(NOW + 600).request()).await.is_success());
    let events = room.events(TenantId::HOST).await;
    assert_eq!(events.len(), 2);
    for event in events {
        assert_eq!(event.event, "component_verify_ticket");
        let stored = room.journal.event(TenantId::HOST, event.seq).await.unwrap();
        let body = String::from_utf8(stored.body).unwrap();
        assert!(body.contains("component_verify_ticket") && !body.contains("canary"), "{body}");
    }
}

#[tokio::test]
async fn authorizations_are_recorded_with_the_shop_they_are_about() {
    let room = Room::open().await;
    let about =
        |appid: &str| format!("<AuthorizerAppid>{appid}</AuthorizerAppid><AuthorizationCode>c</AuthorizationCode>");
    for (info_type, appid) in [
        ("authorized", ANNA),
        ("updateauthorized", ANNA),
        ("unauthorized", ANNA),
        ("authorized", "wxnew"),
        ("something_later", "wxnew"),
    ] {
        let push = Push::component(info(info_type, NOW, &about(appid)));
        assert!(room.send(push.request()).await.is_success(), "{info_type} {appid}");
        assert!(room.send(push.request()).await.is_success(), "{info_type} {appid}");
    }
    assert_eq!(room.events(room.id(ANNA)).await.len(), 3);
    assert_eq!(room.events(TenantId::HOST).await.len(), 2);
}

/// The platform's retry of an answer that was lost comes after the shop became a tenant.
#[tokio::test]
async fn a_push_about_a_shop_that_becomes_a_tenant_in_between_is_one_event() {
    let room = Room::open().await;
    for info_type in ["authorized", "something_later"] {
        let appid = format!("wxnew{}000000", info_type.len());
        let push = Push::component(info(info_type, NOW, &format!("<AuthorizerAppid>{appid}</AuthorizerAppid>")));
        assert!(room.send(push.request()).await.is_success());
        let tenant = room.become_tenant(&appid).await;
        assert!(room.send(push.request()).await.is_success(), "{info_type}");
        assert!(room.events(tenant).await.is_empty(), "{info_type}: a second event");
        let later = Push::component(info(info_type, NOW + 1, &format!("<AuthorizerAppid>{appid}</AuthorizerAppid>")));
        assert!(room.send(later.request()).await.is_success());
        assert_eq!(room.events(tenant).await.len(), 1, "{info_type}: another push is another event");
    }
    assert_eq!(room.events(TenantId::HOST).await.len(), 2);
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Catches the log of this thread from here on.
fn caught(level: tracing::Level) -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(level).with_writer(move || writer.clone()).finish();
    (log, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn unusable_keys_are_told_once_for_each_tenant_and_change() {
    let (log, _guard) = caught(tracing::Level::INFO);
    let room = Room::build(None, CallbackLimits::default(), |durable| durable).await;
    let told = || String::from_utf8(log.0.lock().unwrap().clone()).unwrap().matches("keys_unusable").count();
    let (anna, bene) = (Push::authorized(ANNA, paid("gh_anna", 7)), Push::authorized(BENE, paid("gh_bene", 7)));
    for _ in 0..3 {
        for push in [&anna, &bene] {
            assert_eq!(room.send(push.request()).await.code().as_deref(), Some("keys_unusable"));
        }
    }
    assert_eq!(told(), 2, "once for each of the two");
    let patch = TenantPatch { name: Some("another".into()), ..TenantPatch::default() };
    room.tenants.update(room.id(ANNA), patch).await.unwrap();
    for _ in 0..3 {
        room.send(anna.request()).await;
        room.send(bene.request()).await;
    }
    assert_eq!(told(), 3, "the changed one once more");
    assert_eq!(room.refused(room.id(ANNA), "keys_unusable").await, 6, "and every one is counted");
}

#[tokio::test]
async fn a_shop_whose_pushes_nobody_can_tell_from_anothers_is_told_of_once() {
    let (log, _guard) = caught(tracing::Level::WARN);
    let room = Room::open().await;
    for order in 1..=3 {
        assert!(room.send(Push::authorized(NAMELESS, paid("gh_any", order)).request()).await.is_success());
        assert!(room.send(Push::authorized(ANNA, paid("gh_anna", order)).request()).await.is_success());
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(log.matches("set its user_name").count(), 1, "{log}");
    assert!(log.contains(&room.id(NAMELESS).to_string()) && !log.contains("gh_any"), "{log}");
}

#[tokio::test]
async fn a_push_to_a_slip_of_an_address_is_refused_here_and_told_of_once() {
    let (log, _guard) = caught(tracing::Level::WARN);
    let room = Room::open().await;
    let good = Push::authorized(ANNA, paid("gh_anna", 7));
    let slips = [
        format!("/callback/weixin/{ANNA}/"),
        format!("/callback/{ANNA}"),
        "/callback/weixin/wxunknown".to_owned(),
        "/callback/weixin/component/".to_owned(),
        "/callback/weixin/".to_owned(),
        "/callback/".to_owned(),
        "/callback/weixin/canary%0apath".to_owned(),
    ];
    for path in &slips {
        assert!(<Door>::leads_to(path), "{path}");
        for _ in 0..2 {
            let answer = room.send(Push { path: path.clone(), ..good.clone() }.request()).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_deref()), (404, Some("unknown_tenant")), "{path}");
        }
    }
    assert!(!<Door>::leads_to("/api/v1/callback/") && !<Door>::leads_to("/callbacks"));
    assert_eq!(room.refused(room.id(ANNA), "unknown_tenant").await, 4, "put down to the shop that it was meant for");
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for (appid, times) in [(ANNA, 1), ("wxunknown", 1), ("none", 1), ("canary", 0)] {
        assert_eq!(log.matches(appid).count(), times, "{appid} in {log}");
    }
    assert_eq!(log.lines().count(), 3, "{log}");
    assert!(room.all_events().await.is_empty());
}

/// Planted secrets are searched for in everything that the room logs and answers.
#[tokio::test]
async fn nothing_secret_is_logged_or_answered() {
    let (log, _guard) = caught(tracing::Level::TRACE);
    let (faulty, control) = Faulty::around();
    let room = Room::open_with(CallbackLimits::default(), faulty).await;
    let good = Push::authorized(ANNA, paid("gh_anna", 7).replace("OPENID", "canary-openid"));
    let mut pushes = vec![
        good.clone(),
        ticket(NOW),
        Push { token: "canary-other".to_owned(), ..good.clone() },
        Push { appid: "canary-appid".to_owned(), ..good.clone() },
        Push { timestamp: "1".to_owned(), ..good.clone() },
        Push { nonce: "canary-nonce".to_owned(), token: String::new(), ..good.clone() },
        Push::authorized(ANNA, paid("canary-user", 7)),
        Push::authorized(ANNA, paid("gh_anna", 7).replace("<order_id>7", "<order_id>canary-id")),
        Push::authorized(ANNA, "<xml><canary-xml></xml>"),
        Push::authorized("canary-path", paid("gh_anna", 7)),
        Push::component(paid("canary-user", 7)),
    ];
    let mut answers = String::new();
    for _ in 0..2 {
        for push in &mut pushes {
            let answer = room.send(push.request()).await;
            answers.push_str(&answer.body);
        }
        control.set(Fault::Refuse);
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("outside_window") && log.contains("the disk is full"), "the log was not caught: {log}");
    for text in [&log, &answers] {
        for secret in ["canary", COMPONENT_TOKEN, COMPONENT_KEY, SELF_TOKEN, SELF_KEY, "0123456789abcdef", "gh_anna"] {
            assert!(!text.contains(secret), "{secret} in: {text}");
        }
    }
}
