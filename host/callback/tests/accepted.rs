//! Good callbacks through the real room: recorded once, and only then answered `success`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "room/faulty.rs"]
mod faulty;
mod room;

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use fangshi_callback::signature::url_signature;
use fangshi_callback::{CallbackLimits, Component, ORDER_EVENTS};
use fangshi_journal::Source;
use fangshi_tenants::{Credentials, NewTenant, Platform, StateChange, TenantPatch};
use faulty::{Fault, Faulty};
use futures_util::stream;
use room::spelling::{SPELLINGS, order_events, spell};
use room::{
    ANNA, BENE, BODY_LIMIT, COMPONENT_OLD_KEY, NAMELESS, NOW, Push, Room, SELF_TOKEN, SELMA, hasty, keys, paid,
    paid_json, secret,
};
use serde_json::{Value, json};

const ORDER: u64 = 3705115058471208928;

#[tokio::test]
async fn every_spelling_of_every_event_makes_one_row() {
    let room = Room::open().await;
    let anna = room.id(ANNA);
    for (name, mut message) in order_events() {
        message["ToUserName"] = json!("gh_anna");
        for (nth, spelling) in SPELLINGS.into_iter().enumerate() {
            for xml in [true, false] {
                let mut push = Push { xml, ..Push::authorized(ANNA, spell(&message, spelling)) };
                // A retry may come with another timestamp and nonce.
                push.timestamp = (NOW + nth as i64).to_string();
                push.nonce = format!("{nth}");
                assert!(room.send(push.request()).await.is_success(), "{name} {spelling:?}");
            }
        }
    }
    let events = room.events(anna).await;
    assert_eq!(events.len(), ORDER_EVENTS.len());
    for event in &events {
        assert!(ORDER_EVENTS.contains(&event.event.as_str()));
        assert_eq!((event.order_id.as_str(), event.created_at), ("3705115058471208928", 1_662_480_000));
        assert_eq!((event.source, event.received_at), (Source::Callback, NOW * 1000));
        let stored = room.journal.event(anna, event.seq).await.unwrap();
        let body: Value = serde_json::from_slice(&stored.body).unwrap();
        assert_eq!(body["Event"], event.event.as_str());
        assert_eq!(body["order_info"]["order_id"], "3705115058471208928");
    }
    assert_eq!(room.events(room.id(BENE)).await.len(), 0);
}

#[tokio::test]
async fn the_official_pushes_are_taken_as_published() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../tests/platform/fixtures/crypto-vectors.json")).unwrap();
    for (id, self_built) in [("official-third-party-xml-push", false), ("official-json-push", true)] {
        let vector = vectors["vectors"].as_array().unwrap().iter().find(|vector| vector["id"] == id).unwrap();
        let text = |name: &str| vector[name].as_str().unwrap();
        let official = keys(text("token"), text("encoding_aes_key"), None);
        let component = (!self_built).then(|| Component { appid: text("appid").to_owned(), keys: official.clone() });
        let room = Room::build(component, CallbackLimits::default(), |durable| durable).await;
        let appid = vector["url_path_appid"].as_str().unwrap_or(text("appid"));
        let credentials = if self_built {
            Credentials::SelfBuilt { appsecret: secret("s"), callback: official }
        } else {
            Credentials::Authorized { access_token: None, expires_in: None, refresh_token: None }
        };
        let new = NewTenant {
            platform: Platform::Weixin,
            appid: appid.to_owned(),
            user_name: Some(text("body_to_user_name").to_owned()),
            name: id.to_owned(),
            credentials,
        };
        let tenant = room.tenants.create(new).await.unwrap();
        room.clock.set(text("timestamp").parse::<i64>().unwrap() * 1000);
        let body = if self_built {
            json!({"ToUserName": text("body_to_user_name"), "Encrypt": text("encrypt")}).to_string()
        } else {
            format!(
                "<xml><ToUserName><![CDATA[x]]></ToUserName><Encrypt><![CDATA[{}]]></Encrypt></xml>",
                text("encrypt")
            )
        };
        let uri = format!("/callback/weixin/{appid}?{}", text("url_query"));
        assert!(room.send(room::post(&uri, body)).await.is_success(), "{id}");
        let events = room.events(tenant.id).await;
        assert_eq!(
            (events.len(), events[0].event.as_str(), events[0].order_id.as_str()),
            (1, "debug_demo", ""),
            "{id}"
        );
    }
}

#[tokio::test]
async fn unknown_events_types_and_members_are_recorded() {
    let room = Room::open().await;
    let with = |event: &str, more: &str| {
        format!(r#"{{"ToUserName":"gh_anna","CreateTime":{NOW},"MsgType":"event","Event":"{event}"{more}}}"#)
    };
    for (event, more) in [
        ("channels_ec_order_ext_info_update", r#","order_info":{"order_id":7,"type":99}"#),
        ("channels_ec_order_ext_info_update", r#","order_info":{"order_id":7,"type":"later"}"#),
        ("channels_ec_order_something_new", r#","order_info":{"order_id":7,"weight":1.5e3,"deep":[{"a":[1]}]}"#),
        ("product_order_status_update", r#","ProductOrderStatusUpdate":{"order_id":7,"status":20}"#),
        ("完全不同", ""),
    ] {
        assert!(room.send(Push::authorized(ANNA, with(event, more)).request()).await.is_success(), "{event}{more}");
    }
    let text = format!(r#"{{"ToUserName":"gh_anna","CreateTime":{NOW},"MsgType":"text","Content":"hi"}}"#);
    assert!(room.send(Push::authorized(ANNA, text).request()).await.is_success());
    let events = room.events(room.id(ANNA)).await;
    let mut seen: Vec<_> =
        events.iter().map(|event| (event.event.as_str(), event.order_id.as_str(), event.ext_type)).collect();
    seen.sort();
    assert_eq!(
        seen,
        [
            ("channels_ec_order_ext_info_update", "7", None),
            ("channels_ec_order_ext_info_update", "7", Some(99)),
            ("channels_ec_order_something_new", "7", None),
            ("product_order_status_update", "", None),
            ("text", "", None),
            ("完全不同", "", None),
        ]
    );
}

#[tokio::test]
async fn keys_windows_and_bodies_at_their_edges() {
    let room = Room::open().await;
    let mut order = ORDER;
    let mut next = || {
        order += 1;
        Push::authorized(ANNA, paid("gh_anna", order))
    };
    let previous = Push { key: COMPONENT_OLD_KEY.to_owned(), ..next() };
    assert!(room.send(previous.request()).await.is_success());
    for timestamp in [NOW - 86_400, NOW + 86_400] {
        let push = Push { timestamp: timestamp.to_string(), ..next() };
        assert!(room.send(push.request()).await.is_success(), "{timestamp}");
    }
    let push = next();
    let body = push.body(&push.sealed());
    let full = format!("{body}{}", " ".repeat(BODY_LIMIT - body.len()));
    assert!(room.send(push.request_body(full)).await.is_success());
    let push = next();
    let body = push.body(&push.sealed()).into_bytes();
    let pieces: Vec<_> = body.chunks(7).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
    assert!(room.send(push.request_body(Body::from_stream(stream::iter(pieces)))).await.is_success());
    // A JSON writer that escapes slashes; the ciphertext is full of them.
    let push = Push { xml: false, ..next() };
    let sealed = push.sealed();
    let escaped = push.body(&sealed).replace('/', "\\/");
    assert!(room.send(push.request_with(&push.query(&sealed), escaped)).await.is_success());
    // Compatible mode: the clear members stand beside Encrypt, and count for nothing.
    let push = next();
    let sealed = push.sealed();
    let both = push.body(&sealed).replace("</xml>", "<Event>channels_ec_order_cancel</Event></xml>");
    assert!(room.send(push.request_with(&push.query(&sealed), both)).await.is_success());
    assert_eq!(room.events(room.id(ANNA)).await.len(), 7);
}

#[tokio::test]
async fn a_shop_without_user_name_is_served_and_nothing_is_learned() {
    let room = Room::open().await;
    for user_name in ["gh_one", "gh_two"] {
        let push = Push::authorized(NAMELESS, paid(user_name, ORDER + u64::from(user_name == "gh_two")));
        assert!(room.send(push.request()).await.is_success());
    }
    assert_eq!(room.events(room.id(NAMELESS)).await.len(), 2);
    assert_eq!(room.tenants.by_appid(NAMELESS).unwrap().user_name, None);
    // From the moment that a person sets it, it binds.
    let patch = TenantPatch { user_name: Some("gh_one".to_owned()), ..TenantPatch::default() };
    room.tenants.update(room.id(NAMELESS), patch).await.unwrap();
    let push = Push::authorized(NAMELESS, paid("gh_two", ORDER + 5));
    assert_eq!(room.send(push.request()).await.code().as_deref(), Some("wrong_shop"));
}

#[tokio::test]
async fn a_suspended_shop_loses_nothing() {
    let room = Room::open().await;
    let patch =
        TenantPatch { state: Some(StateChange::Suspended { reason: "x".to_owned() }), ..TenantPatch::default() };
    room.tenants.update(room.id(ANNA), patch).await.unwrap();
    assert!(room.send(Push::authorized(ANNA, paid("gh_anna", ORDER)).request()).await.is_success());
    assert_eq!(room.events(room.id(ANNA)).await.len(), 1);
}

#[tokio::test]
async fn the_same_order_in_two_shops_is_two_events() {
    let room = Room::open().await;
    assert!(room.send(Push::authorized(ANNA, paid("gh_anna", ORDER)).request()).await.is_success());
    assert!(room.send(Push::authorized(BENE, paid("gh_bene", ORDER)).request()).await.is_success());
    assert!(room.send(Push::self_built(paid_json("gh_selma", ORDER)).request()).await.is_success());
    assert_eq!(room.all_events().await.len(), 3);
}

#[tokio::test]
async fn a_self_built_shop_may_change_its_key_at_any_time() {
    let room = Room::open().await;
    let strange = room::STRANGE_KEY;
    let patch = TenantPatch { encoding_aes_key: Some(secret(strange)), ..TenantPatch::default() };
    room.tenants.update(room.id(SELMA), patch).await.unwrap();
    // The one before is the previous one now.
    assert!(room.send(Push::self_built(paid_json("gh_selma", ORDER)).request()).await.is_success());
    let new = Push { key: strange.to_owned(), ..Push::self_built(paid_json("gh_selma", ORDER + 1)) };
    assert!(room.send(new.request()).await.is_success());
    assert_eq!(room.events(room.id(SELMA)).await.len(), 2);
}

#[tokio::test]
async fn a_get_check_is_answered_with_the_echo_unchanged() {
    let room = Room::open().await;
    // Months old: a check has no side effect, so its age does not matter.
    let signature = String::from_utf8(url_signature(SELF_TOKEN, "1714036504", "1514711492").to_vec()).unwrap();
    for (sent, echoed) in [
        ("4375120948345356249", "4375120948345356249"),
        ("0", "0"),
        ("%3Cscript%3E%20a%2Bb+c%0A%E4%BD%A0%22", "<script> a+b c\n你\""),
    ] {
        let uri = format!(
            "/callback/weixin/{SELMA}?signature={signature}&timestamp=1714036504&nonce=1514711492&echostr={sent}"
        );
        let answer = room.send(Request::get(uri).body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, echoed));
        assert_eq!(answer.kind, "text/plain; charset=utf-8");
    }
    assert_eq!(room.all_events().await.len(), 0);
}

#[tokio::test]
async fn what_is_not_durable_is_not_answered_success() {
    let push = Push::authorized(ANNA, paid("gh_anna", ORDER));
    // What hangs is waited for in a room of its own: no good push depends on how fast the disk is.
    let (faulty, control) = Faulty::around();
    let in_haste = Room::open_with(hasty(), faulty).await;
    control.set(Fault::Hang);
    let (faulty, control) = Faulty::around();
    let room = Room::open_with(CallbackLimits::default(), faulty).await;
    control.set(Fault::Refuse);
    for room in [&in_haste, &room] {
        let answer = room.send(push.request()).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_deref()), (503, Some("not_recorded")));
        assert_eq!(room.all_events().await.len(), 0);
    }
    // Made durable, but the answer got lost in the writer: the platform comes again, and there is one row.
    control.set(Fault::RefuseAfterwards);
    assert_eq!(room.send(push.request()).await.status.as_u16(), 503);
    control.set(Fault::None);
    assert!(room.send(push.request()).await.is_success());
    assert!(room.send(push.request()).await.is_success());
    assert_eq!(room.all_events().await.len(), 1);
    assert_eq!(room.refused(room.id(ANNA), "not_recorded").await, 2);
}

#[tokio::test]
async fn without_a_component_its_addresses_say_so() {
    let room = Room::build(None, CallbackLimits::default(), |durable| durable).await;
    let answer = room.send(Push::authorized(ANNA, paid("gh_anna", ORDER)).request()).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_deref()), (503, Some("keys_unusable")));
    let answer = room.send(Push::component("x").request()).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_deref()), (404, Some("unknown_tenant")));
    assert!(room.send(Push::self_built(paid_json("gh_selma", ORDER)).request()).await.is_success());
}
