//! Signatures, timestamps and everything else in the query.

use axum::http::Request;

use super::case::{Case, case, good};
use crate::room::{COMPONENT_TOKEN, NOW, Push, SELF_TOKEN, SELMA, paid};
use fangshi_callback::signature::url_signature;

pub fn cases() -> Vec<Case> {
    let mut cases = signatures();
    cases.extend(parameters());
    cases.extend(timestamps());
    cases.extend(checks());
    cases
}

fn signatures() -> Vec<Case> {
    let push = good();
    let sealed = push.sealed();
    let right = push.signature(&sealed);
    let signed = |signature: &str| {
        let query = push.query(&sealed).replace(&right, signature);
        push.request_with(&query, push.body(&sealed))
    };
    let mut cases = Vec::new();
    // One wrong digit anywhere is enough: the comparison covers all forty.
    for place in 0..40 {
        let mut wrong = right.clone().into_bytes();
        wrong[place] = if wrong[place] == b'0' { b'1' } else { b'0' };
        let wrong = String::from_utf8(wrong).unwrap();
        cases.push(case(format!("signature digit {place} changed"), signed(&wrong), 401, "bad_signature"));
    }
    for (name, wrong) in [
        ("signature in capitals", right.to_uppercase()),
        ("signature cut", right[..39].to_owned()),
        ("signature with a digit more", format!("{right}0")),
        ("signature twice over", format!("{right}{right}")),
        ("signature of zeros", "0".repeat(40)),
        ("signature of one letter", "a".to_owned()),
        ("signature with blanks", format!("+{right}")),
        ("signature no hex", "g".repeat(40)),
        ("signature beyond ASCII", "%E4%BD%A0".repeat(13)),
        ("signature reversed", right.chars().rev().collect()),
    ] {
        cases.push(case(name, signed(&wrong), 401, "bad_signature"));
    }
    // The signature that covers no body authenticates no body.
    let loose = String::from_utf8(url_signature(&push.token, &push.timestamp, &push.nonce).to_vec()).unwrap();
    cases.push(case("signature of the query alone", signed(&loose), 401, "bad_signature"));
    for (name, token) in [
        ("token of the self-built shop", SELF_TOKEN),
        ("empty token", ""),
        ("token cut", &COMPONENT_TOKEN[1..]),
        ("token in capitals", "CANARY-COMPONENT-TOKEN"),
    ] {
        let other = Push { token: token.to_owned(), ..push.clone() };
        cases.push(case(name, other.request(), 401, "bad_signature"));
    }
    let component_at_self = Push { path: format!("/callback/weixin/{SELMA}"), ..push.clone() };
    cases.push(case("component's push at the self-built shop", component_at_self.request(), 401, "bad_signature"));
    // What the signature covers must not change.
    let query = push.query(&sealed);
    let body = push.body(&sealed);
    let later = query.replace(&format!("timestamp={NOW}"), &format!("timestamp={}", NOW + 1));
    let padded = query.replace(&format!("timestamp={NOW}"), &format!("timestamp=0{NOW}"));
    let nonce = query.replace("nonce=415670741", "nonce=415670742");
    cases.push(case("timestamp changed", push.request_with(&later, body.clone()), 401, "bad_signature"));
    cases.push(case("timestamp with a zero before", push.request_with(&padded, body.clone()), 401, "bad_signature"));
    cases.push(case("nonce changed", push.request_with(&nonce, body), 401, "bad_signature"));
    let other = Push { message: paid("gh_anna", 3705115058471208929).into(), ..push.clone() };
    let other_body = push.body(&other.sealed());
    cases.push(case("another push's ciphertext", push.request_with(&query, other_body), 401, "bad_signature"));
    let longer = push.body(&format!("{sealed}AAAA"));
    cases.push(case("ciphertext longer", push.request_with(&query, longer), 401, "bad_signature"));
    let swapped: String = sealed.chars().rev().collect();
    cases.push(case("ciphertext reversed", push.request_with(&query, push.body(&swapped)), 401, "bad_signature"));
    cases
}

fn parameters() -> Vec<Case> {
    let push = good();
    let sealed = push.sealed();
    let query = push.query(&sealed);
    let with = |query: &str| push.request_with(query, push.body(&sealed));
    let mut cases = Vec::new();
    for name in ["timestamp", "nonce", "msg_signature"] {
        let start = query.find(&format!("&{name}=")).unwrap() + 1;
        let end = query[start..].find('&').map_or(query.len(), |end| start + end);
        let parameter = query[start..end].to_owned();
        let without = query.replace(&parameter, "");
        let bare = query.replace(&parameter, name);
        let empty = query.replace(&parameter, &format!("{name}="));
        let twice = format!("{query}&{parameter}");
        let hidden = format!("{query}&%{:02x}{}", parameter.as_bytes()[0], &parameter[1..]);
        let upper = query.replace(&parameter, &parameter.to_uppercase());
        for (what, query) in [
            ("missing", without),
            ("without a value", bare),
            ("empty", empty),
            ("twice", twice),
            ("twice, once encoded", hidden),
            ("in capitals", upper),
        ] {
            cases.push(case(format!("{name} {what}"), with(&query), 400, "bad_query"));
        }
    }
    for (name, query) in [
        ("no query", String::new()),
        ("a query of nothing", "&&&".to_owned()),
        ("a query of equal signs", "===&=".to_owned()),
        ("a name with a broken escape", format!("{query}&%zz=1")),
        ("a value with a cut escape", query.replace("nonce=415670741", "nonce=%4")),
        ("a value with a lone percent", query.replace("nonce=415670741", "nonce=%")),
        ("a value that is no UTF-8", query.replace("nonce=415670741", "nonce=%ff%fe")),
        ("plain mode", query.replace("encrypt_type=aes", "encrypt_type=raw")),
        ("encrypt_type in capitals", query.replace("encrypt_type=aes", "encrypt_type=AES")),
        ("encrypt_type empty", query.replace("encrypt_type=aes", "encrypt_type=")),
        ("encrypt_type twice", format!("{query}&encrypt_type=aes")),
        ("separated by semicolons", query.replace('&', ";")),
        ("too long", format!("{query}&x={}", "x".repeat(4096))),
        ("signature twice", format!("{query}&signature=1")),
    ] {
        cases.push(case(name, with(&query), 400, "bad_query"));
    }
    cases
}

fn timestamps() -> Vec<Case> {
    let at = |timestamp: &str| Push { timestamp: timestamp.to_owned(), ..good() }.request();
    let mut cases = Vec::new();
    for (name, timestamp) in [
        ("a second over a day old", NOW - 86_401),
        ("a second over a day ahead", NOW + 86_401),
        ("two days old", NOW - 172_800),
        ("a year old", NOW - 31_536_000),
        ("a year ahead", NOW + 31_536_000),
        ("in milliseconds", NOW * 1000),
        ("zero", 0),
        ("one", 1),
        ("the last second of 32 bits", 2_147_483_647),
        ("one second later", 2_147_483_648),
        ("over 2^53", 9_007_199_254_740_993),
        ("the last of 64 bits", i64::MAX),
    ] {
        cases.push(case(format!("timestamp {name}"), at(&timestamp.to_string()), 403, "outside_window"));
    }
    // Signed as they stand, and still no timestamps.
    for bad in [
        "-1",
        "%2B1714112445",
        "1714112445.0",
        "1.714112445e9",
        "0x662b4cfd",
        "1714112445L",
        "1714112445,0",
        "NaN",
        "null",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999999",
        "２０２４",
        "1714112445%00",
    ] {
        let push = good();
        let sealed = push.sealed();
        let query = push.query(&sealed).replace(&format!("timestamp={NOW}"), &format!("timestamp={}", escaped(bad)));
        cases.push(case(format!("timestamp {bad}"), push.request_with(&query, push.body(&sealed)), 400, "bad_query"));
    }
    cases
}

/// A request line is ASCII.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The check by GET that a self-built shop's address gets.
fn checks() -> Vec<Case> {
    let signature = String::from_utf8(url_signature(SELF_TOKEN, "1714036504", "1514711492").to_vec()).unwrap();
    let get = |query: &str| Request::get(format!("/callback/weixin/{SELMA}?{query}")).body(Default::default()).unwrap();
    let right = format!("signature={signature}&timestamp=1714036504&nonce=1514711492&echostr=4375120948345356249");
    let mut cases = Vec::new();
    for (name, query) in [
        ("wrong digit", right.replace(&signature, &"0".repeat(40))),
        ("in capitals", right.replace(&signature, &signature.to_uppercase())),
        ("cut", right.replace(&signature, &signature[..20])),
        ("other nonce", right.replace("1514711492", "1514711493")),
        ("other timestamp", right.replace("1714036504", "1714036505")),
    ] {
        cases.push(case(format!("check: signature {name}"), get(&query), 401, "bad_signature"));
    }
    for (name, query) in [
        ("without a query", String::new()),
        ("without echostr", right.replace("echostr=", "e=")),
        ("without signature", right.replace("signature=", "msg_signature=")),
        ("without timestamp", right.replace("timestamp=", "t=")),
        ("without nonce", right.replace("nonce=", "n=")),
        ("with two echoes", format!("{right}&echostr=1")),
        ("with a broken echo", right.replace("4375120948345356249", "%fg")),
    ] {
        cases.push(case(format!("check {name}"), get(&query), 400, "bad_query"));
    }
    cases
}
