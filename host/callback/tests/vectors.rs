//! All twelve published vectors of the platform's encryption, byte for byte.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use fangshi_callback::signature::{msg_signature, url_signature, verify};
use fangshi_callback::{AesKey, KeyPair, Message, open};
use seal::encrypt;
use serde_json::Value;

#[path = "room/seal.rs"]
mod seal;

fn vectors() -> Vec<Value> {
    let file: Value =
        serde_json::from_str(include_str!("../../../tests/platform/fixtures/crypto-vectors.json")).unwrap();
    file["vectors"].as_array().unwrap().clone()
}

fn text<'a>(vector: &'a Value, member: &str) -> &'a str {
    vector[member].as_str().unwrap_or_else(|| panic!("{} has no {member}", vector["id"]))
}

#[test]
fn every_vector_recomputes() {
    let mut seen = [0; 4];
    for vector in vectors() {
        let id = text(&vector, "id");
        match text(&vector, "kind") {
            "url_verify" => {
                seen[0] += 1;
                url_check(&vector);
                assert_eq!(text(&vector, "expect_reply"), text(&vector, "echostr"), "{id}");
            }
            "plain_signature" => {
                seen[1] += 1;
                url_check(&vector);
            }
            "decrypt" => {
                seen[2] += 1;
                decrypts(&vector);
            }
            "encrypt" => {
                seen[3] += 1;
                encrypts(&vector);
            }
            other => panic!("{id}: kind {other}"),
        }
    }
    assert_eq!(seen, [1, 1, 6, 4]);
}

fn url_check(vector: &Value) {
    let expected = url_signature(text(vector, "token"), text(vector, "timestamp"), text(vector, "nonce"));
    assert!(verify(&expected, text(vector, "signature")), "{}", vector["id"]);
}

fn decrypts(vector: &Value) {
    let id = text(vector, "id");
    let sealed = text(vector, "encrypt");
    let expected = msg_signature(text(vector, "token"), text(vector, "timestamp"), text(vector, "nonce"), sealed);
    assert!(verify(&expected, text(vector, "msg_signature")), "{id}");

    let (key, appid) = (text(vector, "encoding_aes_key"), text(vector, "appid"));
    let keys = KeyPair { current: AesKey::parse(key).unwrap(), previous: None };
    let message = open(&keys, sealed, appid).unwrap().into_message();
    assert_eq!(message, text(vector, "expect_plaintext").as_bytes(), "{id}");
    assert_eq!(message.len() as u64, vector["expect_msg_len"].as_u64().unwrap(), "{id}");
    let whole = 20 + message.len() + appid.len();
    assert_eq!(whole as u64, vector["expect_full_len"].as_u64().unwrap(), "{id}");
    assert_eq!(32 - whole as u64 % 32, vector["expect_pad"].as_u64().unwrap(), "{id}");

    // Sealing what was opened gives the platform's own bytes again.
    let random: [u8; 16] = text(vector, "expect_random16").as_bytes().try_into().unwrap();
    assert_eq!(encrypt(key, &random, &message, appid), sealed, "{id}");

    if vector.get("body_format").is_some() {
        let message = Message::parse(&message).unwrap();
        assert!(message.text("ToUserName").is_some(), "{id}");
        assert!(message.facts().is_ok(), "{id}");
    }
}

fn encrypts(vector: &Value) {
    let id = text(vector, "id");
    let key = text(vector, "encoding_aes_key");
    let random: [u8; 16] = text(vector, "random16").as_bytes().try_into().unwrap();
    let message = text(vector, "plaintext").as_bytes();
    let sealed = encrypt(key, &random, message, text(vector, "appid"));
    assert_eq!(sealed, text(vector, "expect_encrypt"), "{id}");
    let keys = KeyPair { current: AesKey::parse(key).unwrap(), previous: None };
    assert_eq!(open(&keys, &sealed, text(vector, "appid")).unwrap().into_message(), message, "{id}");
    if vector.get("expect_msg_signature").is_some() {
        let expected = msg_signature(text(vector, "token"), text(vector, "timestamp"), text(vector, "nonce"), &sealed);
        assert!(verify(&expected, text(vector, "expect_msg_signature")), "{id}");
    }
}
