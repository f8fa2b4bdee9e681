//! The four spellings of one event are one event: one key, one body.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "room/spelling.rs"]
mod spelling;

use std::collections::{BTreeMap, BTreeSet};

use fangshi_callback::{Message, canonical, dedup_key};
use fangshi_tenants::TenantId;
use serde_json::{Value, json};
use spelling::{SPELLINGS, order_events, spell};

fn key(tenant: i64, message: &str) -> [u8; 32] {
    let message = Message::parse(message.as_bytes()).unwrap_or_else(|error| panic!("{error}: {message}"));
    let facts = message.facts().unwrap();
    dedup_key(TenantId(tenant), &message, &facts)
}

fn body(message: &str) -> String {
    let message = Message::parse(message.as_bytes()).unwrap();
    String::from_utf8(canonical(message.root())).unwrap()
}

#[test]
fn every_form_of_the_fixture_has_one_key_in_all_spellings() {
    let mut keys: BTreeMap<[u8; 32], BTreeSet<String>> = BTreeMap::new();
    for (name, message) in order_events() {
        let spelled: Vec<String> = SPELLINGS.iter().map(|&spelling| spell(&message, spelling)).collect();
        let original = message.to_string();
        for text in spelled.iter().chain([&original]) {
            assert_eq!(key(1, text), key(1, &spelled[0]), "{name}: {text}");
            assert_eq!(body(text), body(&spelled[0]), "{name}: {text}");
            let parsed = Message::parse(text.as_bytes()).unwrap();
            let facts = parsed.facts().unwrap();
            assert_eq!(facts.order_id, "3705115058471208928", "{name}");
            assert_eq!(facts.created_at, 1_662_480_000, "{name}");
            assert_eq!(facts.event, message["Event"].as_str().unwrap(), "{name}");
            let ext = (facts.event == "channels_ec_order_ext_info_update").then_some(1);
            assert_eq!(facts.ext_type, ext, "{name}");
        }
        keys.entry(key(1, &original)).or_default().insert(message["Event"].to_string());
    }
    // Eight events, eight keys: "official" and "variant" of one event are the same event.
    assert_eq!(keys.len(), 8);
    assert!(keys.values().all(|events| events.len() == 1));
}

#[test]
fn the_journals_body_keeps_order_info_as_text() {
    let (_, message) = order_events().into_iter().find(|(name, _)| name.ends_with("cancel official")).unwrap();
    assert_eq!(
        body(&message.to_string()),
        r#"{"CreateTime":"1662480000","Event":"channels_ec_order_cancel","FromUserName":"OPENID","MsgType":"event","ToUserName":"gh_*","order_info":{"cancel_type":"1","order_id":"3705115058471208928"}}"#
    );
}

#[test]
fn whatever_makes_another_event_makes_another_key() {
    let base = json!({
        "ToUserName": "gh_1", "FromUserName": "o1", "CreateTime": 1662480000, "MsgType": "event",
        "Event": "channels_ec_order_ext_info_update", "order_info": {"order_id": 3705115058471208928u64, "type": 5},
    });
    let mut keys = BTreeSet::from([key(1, &base.to_string()), key(2, &base.to_string())]);
    let mut others = 2;
    let mut other = |pointer: &str, value: Value| {
        let mut changed = base.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        keys.insert(key(1, &changed.to_string()));
        others += 1;
        assert_eq!(keys.len(), others, "{pointer} changed nothing");
    };
    other("/CreateTime", json!(1662480001));
    other("/Event", json!("channels_ec_order_new"));
    // One apart, and the same once they have been through a float.
    other("/order_info/order_id", json!(3705115058471208929u64));
    other("/order_info/type", json!(6));
    other("/order_info", json!({"order_id": 3705115058471208928u64, "type": 5, "more": 1}));
    other("/order_info", json!({"order_id": 3705115058471208928u64, "type": 5, "more": {"a": 1}}));
    other("/order_info", json!({"order_id": 3705115058471208928u64, "type": 5, "more": [1, 2]}));
    other("/order_info", json!({"order_id": 3705115058471208928u64, "type": 5, "more": [2, 1]}));
    other("/order_info", json!({"order_id": 3705115058471208928u64, "typ": "e5"}));
}

#[test]
fn what_a_retry_may_change_does_not_count() {
    let base = json!({
        "ToUserName": "gh_1", "FromUserName": "o1", "CreateTime": 1662480000, "MsgType": "event",
        "Event": "channels_ec_order_new", "order_info": {"order_id": 3705115058471208928u64},
    });
    let mut retried = base.clone();
    retried["FromUserName"] = json!("o2");
    retried["order_info"]["empty"] = Value::Null;
    retried["unknown"] = json!({"a": [1]});
    assert_eq!(key(1, &base.to_string()), key(1, &retried.to_string()));
}

#[test]
fn events_without_an_order_are_keyed_by_all_their_members() {
    let one = r#"{"CreateTime":1,"Event":"finder_shop_aftersale","aftersale":{"id":"1"}}"#;
    let two = r#"{"CreateTime":1,"Event":"finder_shop_aftersale","aftersale":{"id":"2"}}"#;
    let xml =
        "<xml><aftersale><id>1</id></aftersale><Event>finder_shop_aftersale</Event><CreateTime>1</CreateTime></xml>";
    assert_ne!(key(1, one), key(1, two));
    assert_eq!(key(1, one), key(1, xml));
}

/// Nobody knows what makes an unknown event another one, its order aside.
#[test]
fn unknown_events_of_an_order_are_keyed_by_all_their_members() {
    let event = |name: &str, note: u32| {
        json!({"ToUserName": "gh_1", "FromUserName": "o1", "CreateTime": 1, "MsgType": "event", "Event": name,
            "order_info": {"order_id": 3705115058471208928u64}, "note": {"number": note}})
    };
    let unknown = event("channels_ec_order_urged", 1);
    let spelled: BTreeSet<_> = SPELLINGS.iter().map(|&spelling| key(1, &spell(&unknown, spelling))).collect();
    assert_eq!(spelled, BTreeSet::from([key(1, &unknown.to_string())]));
    assert_ne!(key(1, &unknown.to_string()), key(1, &event("channels_ec_order_urged", 2).to_string()));
    let known = |note| key(1, &event("channels_ec_order_pay", note).to_string());
    assert_eq!(known(1), known(2), "of the order events it is order_info that counts");
}

#[test]
fn a_list_of_one_is_an_element() {
    let json = r#"{"CreateTime":1,"Event":"x","l":["a"],"m":["b","c"]}"#;
    let xml = "<xml><m>b</m><l>a</l><m>c</m><Event>x</Event><CreateTime>1</CreateTime></xml>";
    assert_eq!(key(1, json), key(1, xml));
}

/// The key is stored: another making of it would record every event of the last hours twice.
#[test]
fn the_key_is_frozen() {
    let (_, message) = order_events().into_iter().find(|(name, _)| name.ends_with("cancel variant")).unwrap();
    let hex: String = key(7, &message.to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "0063176e80336b3683e02087e03030d4e7d42b91e30f0820c0ba2cc4afd15c01");
}
