//! Whatever comes in, the pure steps answer and do not panic. Every run prints its seed; set `SEED` to repeat one.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use fangshi_callback::{AesKey, CipherError, DEPTH, KeyPair, Message, Node, Query, canonical, dedup_key, open};
use fangshi_tenants::{Clock, TenantId};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use seal::{encrypt, encrypt_blocks};
use serde_json::Value;

#[path = "room/seal.rs"]
mod seal;

fn check<S: Strategy>(name: &str, cases: u32, strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let now = Clock::system().now().unsigned_abs();
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(now);
    eprintln!("{name}: SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    if let Err(error) = TestRunner::new_with_rng(config, rng).run(&strategy, test) {
        panic!("{name}, SEED={seed}: {error}");
    }
}

/// Everything that may be done with a tree.
fn exhaust(bytes: &[u8]) {
    if let Ok(message) = Message::parse(bytes) {
        let body = canonical(message.root());
        let again = Node::parse(&body, DEPTH).expect("canonical JSON is JSON");
        assert_eq!(&again, message.root());
        if let Ok(facts) = message.facts() {
            let key = dedup_key(TenantId(1), &message, &facts);
            let respelled = Message::parse(&body).unwrap();
            assert_eq!(dedup_key(TenantId(1), &respelled, &respelled.facts().unwrap()), key);
        }
    }
}

fn key(letter: &str) -> AesKey {
    AesKey::parse(&text_of(letter)).unwrap()
}

/// The EncodingAESKey of a letter.
fn text_of(letter: &str) -> String {
    letter.repeat(43)
}

#[test]
fn any_bytes_through_the_parsers() {
    check("bytes", 4000, prop::collection::vec(any::<u8>(), 0..400), |bytes| {
        exhaust(&bytes);
        for first in [&b"{"[..], b"<xml>", b"{\"a\":"] {
            exhaust(&[first, &bytes[..]].concat());
        }
        Ok(())
    });
}

#[test]
fn texts_made_of_markup_through_the_parsers() {
    let piece = prop::sample::select(vec![
        "<xml>",
        "</xml>",
        "<a>",
        "</a>",
        "<order_info>",
        "</order_info>",
        "<![CDATA[",
        "]]>",
        "&amp;",
        "&#x41;",
        "&e;",
        "<!--",
        "-->",
        "<?x",
        "?>",
        "<!DOCTYPE x>",
        "<a b='c'/>",
        "1",
        " ",
        "\u{0}",
        "你",
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"a\"",
        "\"",
        "\\u0061",
        "\\ud800",
        "1e18",
        "-0",
        "3705115058471208928",
        "null",
        "true",
        "<Event>x</Event>",
        "<CreateTime>1</CreateTime>",
        "\"CreateTime\":1",
        "\"Event\":\"x\"",
        "\"order_info\":{\"order_id\":7}",
    ]);
    check("markup", 8000, prop::collection::vec(piece, 0..40), |pieces| {
        exhaust(pieces.concat().as_bytes());
        exhaust(format!("<xml>{}</xml>", pieces.concat()).as_bytes());
        exhaust(format!("{{{}}}", pieces.concat()).as_bytes());
        Ok(())
    });
}

#[test]
fn real_messages_with_damage() {
    let json = r#"{"ToUserName":"gh_1","CreateTime":1662480000,"Event":"channels_ec_order_new","order_info":{"order_id":3705115058471208928}}"#;
    let xml = "<xml><ToUserName><![CDATA[gh_1]]></ToUserName><CreateTime>1662480000</CreateTime><Event>channels_ec_order_new</Event><order_info><order_id>3705115058471208928</order_id></order_info></xml>";
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    check("damage", 6000, (any::<bool>(), damage), |(is_json, damage)| {
        let mut bytes = if is_json { json } else { xml }.as_bytes().to_vec();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        exhaust(&bytes);
        Ok(())
    });
}

/// What we take for JSON is JSON, and the other way round, but for the rules of our own.
#[test]
fn json_agrees_with_another_reader() {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(6, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    fn as_text(value: &Value) -> Value {
        match value {
            Value::Null => Value::from(""),
            Value::String(_) => value.clone(),
            Value::Array(items) => items.iter().map(as_text).collect(),
            Value::Object(members) => {
                Value::Object(members.iter().map(|(name, value)| (name.clone(), as_text(value))).collect())
            }
            other => Value::from(other.to_string()),
        }
    }
    check("json", 1500, prop::collection::btree_map(any::<String>(), value, 0..6), |members| {
        let value = Value::Object(members.into_iter().collect());
        let text = value.to_string();
        let node =
            Node::parse(text.as_bytes(), DEPTH).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
        let ours: Value = serde_json::from_slice(&canonical(&node)).unwrap();
        prop_assert_eq!(ours, as_text(&value));
        // Cut anywhere, it is refused.
        for end in (0..text.len()).filter(|&end| text.is_char_boundary(end)) {
            prop_assert!(Node::parse(&text.as_bytes()[..end], DEPTH).is_err());
        }
        Ok(())
    });
}

#[test]
fn any_ciphertext_through_decryption() {
    let keys = KeyPair { current: key("a"), previous: Some(key("b")) };
    check("ciphertext", 4000, (prop::collection::vec(any::<u8>(), 0..200), any::<String>()), |(blocks, text)| {
        let _ = open(&keys, &encrypt_blocks(&text_of("a"), blocks), "wx1");
        let _ = open(&keys, &text, "wx1");
        Ok(())
    });
}

#[test]
fn what_is_sealed_opens_with_its_own_key_and_appid_alone() {
    let strategy = (any::<[u8; 16]>(), prop::collection::vec(any::<u8>(), 0..300), "wx[0-9a-f]{16}");
    check("seal", 3000, strategy, |(random, message, appid)| {
        let sealed = encrypt(&text_of("a"), &random, &message, &appid);
        let rotated = KeyPair { current: key("c"), previous: Some(key("a")) };
        prop_assert_eq!(open(&rotated, &sealed, &appid).unwrap().into_message(), message);
        let other = KeyPair { current: key("a"), previous: None };
        prop_assert_eq!(open(&other, &sealed, "wx1").map(|_| ()), Err(CipherError::Appid));
        Ok(())
    });
}

#[test]
fn every_pad_from_1_to_32_opens() {
    let keys = KeyPair { current: key("a"), previous: None };
    for length in 0..64 {
        let message = vec![b'm'; length];
        let sealed = encrypt(&text_of("a"), &[7; 16], &message, "wx1");
        assert_eq!(open(&keys, &sealed, "wx1").unwrap().into_message(), message);
    }
}

#[test]
fn the_previous_key_is_tried_and_the_better_error_wins() {
    let rotated = KeyPair { current: key("a"), previous: Some(key("b")) };
    let sealed = |letter| encrypt(&text_of(letter), &[0; 16], b"{}", "wx1");
    let opened = |letter, appid| open(&rotated, &sealed(letter), appid).map(fangshi_callback::Plain::into_message);
    assert_eq!(opened("b", "wx1"), Ok(b"{}".to_vec()));
    assert_eq!(opened("b", "wx2"), Err(CipherError::Appid));
    assert_eq!(opened("a", "wx2"), Err(CipherError::Appid));
    assert_eq!(opened("c", "wx1"), Err(CipherError::Padding));
}

#[test]
fn any_query() {
    let piece = prop::sample::select(vec![
        "timestamp",
        "nonce",
        "msg_signature",
        "signature",
        "echostr",
        "encrypt_type",
        "=",
        "&",
        "%",
        "%4",
        "%41",
        "+",
        "%ff",
        "1",
        "aes",
        "你",
        "-1",
        "9223372036854775808",
    ]);
    check("query", 6000, prop::collection::vec(piece, 0..24), |pieces| {
        let text = pieces.concat();
        if let Ok(query) = Query::parse(&text) {
            let _ = query.into_push();
        }
        if let Ok(query) = Query::parse(&text) {
            let _ = query.into_check();
        }
        Ok(())
    });
}
