//! Methods, paths, HTTP bodies, and the outer XML or JSON.

use std::io;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request};
use futures_util::{StreamExt, stream};

use super::case::{Case, case, good, good_json};
use crate::room::{BODY_LIMIT, CARDS, NAMELESS, Push, SELMA};

pub fn cases() -> Vec<Case> {
    let mut cases = methods();
    cases.extend(paths());
    cases.extend(http());
    cases.extend(envelopes());
    cases.extend(cut());
    cases
}

fn methods() -> Vec<Case> {
    let push = good();
    let sealed = push.sealed();
    let with = |method: Method, path: &str| {
        let uri = format!("{path}?{}", push.query(&sealed));
        Request::builder().method(method).uri(uri).body(Body::from(push.body(&sealed))).unwrap()
    };
    let mut cases = Vec::new();
    for method in ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "PROPFIND"] {
        let request = with(method.parse().unwrap(), &push.path);
        cases.push(case(format!("method {method}"), request, 405, "method_not_allowed"));
    }
    for (name, path) in [
        ("GET at an authorized shop", push.path.clone()),
        ("GET at a shop without user_name", format!("/callback/weixin/{NAMELESS}")),
        ("GET at the component", "/callback/weixin/component".to_owned()),
    ] {
        cases.push(case(name, with(Method::GET, &path), 405, "method_not_allowed"));
    }
    cases.push(case(
        "PUT at the component",
        with(Method::PUT, "/callback/weixin/component"),
        405,
        "method_not_allowed",
    ));
    let put_at_self = with(Method::PUT, &format!("/callback/weixin/{SELMA}"));
    cases.push(case("PUT at the self-built shop", put_at_self, 405, "method_not_allowed"));
    cases
}

fn paths() -> Vec<Case> {
    let mut cases = Vec::new();
    for appid in [
        "wxffffffffffffffff",
        "wx",
        "0",
        "null",
        "undefined",
        "$APPID$",
        "%24APPID%24",
        "..",
        "wxa0000000000000000%00",
        "WXA0000000000000000",
        "wxa000000000000000",
        "wxa00000000000000000",
        "%77xa0000000000000000",
        "gh_anna",
        "t1",
        "Component",
        CARDS,
    ] {
        let push = Push { path: format!("/callback/weixin/{appid}"), ..good() };
        cases.push(case(format!("path {appid}"), push.request(), 404, "unknown_tenant"));
    }
    cases
}

fn http() -> Vec<Case> {
    let push = good();
    let sealed = push.sealed();
    let whole = push.body(&sealed);
    let padded = |size: usize| format!("{whole}{}", " ".repeat(size - whole.len()));
    let streamed = |pieces: Vec<io::Result<Bytes>>| push.request_body(Body::from_stream(stream::iter(pieces)));
    let mut announced = push.request_body(Body::from_stream(stream::iter([Ok::<_, io::Error>(Bytes::from("x"))])));
    announced.headers_mut().insert("content-length", "7".parse().unwrap());
    let endless = stream::repeat_with(|| Ok::<_, io::Error>(Bytes::from(vec![b' '; 4096])));
    let broken = io::Error::other("connection reset");
    let middle = whole.len() / 2;
    let never = stream::iter([Ok::<_, io::Error>(Bytes::from(whole[..middle].to_owned()))]).chain(stream::pending());
    vec![
        case("body empty", push.request_body(""), 400, "bad_body"),
        case("body a byte too large", push.request_body(padded(BODY_LIMIT + 1)), 413, "body_too_large"),
        case("body of 1 MB", push.request_body(padded(1 << 20)), 413, "body_too_large"),
        case("body without end", push.request_body(Body::from_stream(endless)), 413, "body_too_large"),
        case(
            "body too large by its second piece",
            streamed(vec![Ok(Bytes::from(whole.clone())), Ok(Bytes::from(vec![b' '; BODY_LIMIT]))]),
            413,
            "body_too_large",
        ),
        case(
            "body too large by its third piece",
            streamed(vec![Ok("<".into()), Ok("xml>".into()), Ok(Bytes::from(vec![b' '; BODY_LIMIT]))]),
            413,
            "body_too_large",
        ),
        case("body with another length than announced", announced, 400, "bad_body"),
        case("connection cut at once", streamed(vec![Err(broken)]), 400, "bad_body"),
        case(
            "connection cut in the middle",
            streamed(vec![Ok(Bytes::from(whole[..middle].to_owned())), Err(io::Error::other("reset"))]),
            400,
            "bad_body",
        ),
        case(
            "connection cut after the last byte",
            streamed(vec![Ok(Bytes::from(whole.clone())), Err(io::Error::other("reset"))]),
            400,
            "bad_body",
        ),
        case("body that stops coming", push.request_body(Body::from_stream(never)), 408, "body_too_slow"),
        case(
            "body that never begins",
            push.request_body(Body::from_stream(stream::pending::<io::Result<Bytes>>())),
            408,
            "body_too_slow",
        ),
    ]
}

fn envelopes() -> Vec<Case> {
    let (xml, json) = (good(), good_json());
    let sealed = xml.sealed();
    let sealed_json = json.sealed();
    let mut cases = Vec::new();
    let utf16: Vec<u8> = xml.body(&sealed).encode_utf16().flat_map(u16::to_le_bytes).collect();
    let texts: Vec<(&str, Vec<u8>)> = vec![
        ("blanks", b" \r\n\t ".to_vec()),
        ("a word", b"success".to_vec()),
        ("the ciphertext alone", sealed.clone().into_bytes()),
        ("a form", format!("Encrypt={sealed}").into_bytes()),
        ("a byte order mark before", format!("\u{feff}{}", xml.body(&sealed)).into_bytes()),
        ("UTF-16", utf16),
        ("no UTF-8", b"<xml><Encrypt>\xff\xfe</Encrypt></xml>".to_vec()),
        ("zeros", vec![0; 64]),
        ("gzip", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0]),
        ("the message in the clear", xml.message.clone()),
        ("the JSON message in the clear", json.message.clone()),
    ];
    for (name, body) in texts {
        cases.push(case(format!("envelope: {name}"), xml.request_body(body), 400, "bad_body"));
    }
    let deep = |open: &str, close: &str, levels: usize| format!("{}{}", open.repeat(levels), close.repeat(levels));
    for (name, body) in [
        ("array", format!("[{{\"Encrypt\":\"{sealed_json}\"}}]")),
        ("string", format!("\"{sealed_json}\"")),
        ("no members", "{}".to_owned()),
        ("Encrypt null", r#"{"Encrypt":null}"#.to_owned()),
        ("Encrypt empty", r#"{"Encrypt":""}"#.to_owned()),
        ("Encrypt an object", format!(r#"{{"Encrypt":{{"Encrypt":"{sealed_json}"}}}}"#)),
        ("Encrypt a list", format!(r#"{{"Encrypt":["{sealed_json}"]}}"#)),
        ("Encrypt twice", format!(r#"{{"Encrypt":"{sealed_json}","Encrypt":"{sealed_json}"}}"#)),
        ("Encrypt twice, once escaped", format!(r#"{{"Encrypt":"{sealed_json}","\u0045ncrypt":"x"}}"#)),
        ("encrypt in small letters", format!(r#"{{"encrypt":"{sealed_json}"}}"#)),
        ("trailing comma", format!(r#"{{"Encrypt":"{sealed_json}",}}"#)),
        ("single quotes", format!("{{'Encrypt':'{sealed_json}'}}")),
        ("a comment", format!(r#"{{/**/"Encrypt":"{sealed_json}"}}"#)),
        ("something after", format!(r#"{{"Encrypt":"{sealed_json}"}}x"#)),
        ("two documents", format!(r#"{{"Encrypt":"{sealed_json}"}}{{}}"#)),
        ("a control character", format!("{{\"Encrypt\":\"{sealed_json}\",\"a\":\"\u{1}\"}}")),
        ("a lone surrogate", format!(r#"{{"Encrypt":"{sealed_json}","a":"\udc00"}}"#)),
        ("five deep", format!(r#"{{"Encrypt":"{sealed_json}","a":[[[[]]]]}}"#)),
        ("very deep", format!(r#"{{"Encrypt":"{sealed_json}","a":{}}}"#, deep("[", "]", 20_000))),
        ("very deep and open", format!(r#"{{"Encrypt":"{sealed_json}","a":{}"#, "[".repeat(60_000))),
    ] {
        cases.push(case(format!("JSON envelope: {name}"), json.request_body(body), 400, "bad_body"));
    }
    for (name, body) in [
        ("no elements", "<xml></xml>".to_owned()),
        ("empty element", "<xml/>".to_owned()),
        ("Encrypt empty", "<xml><Encrypt></Encrypt></xml>".to_owned()),
        ("Encrypt twice", format!("<xml><Encrypt>{sealed}</Encrypt><Encrypt>{sealed}</Encrypt></xml>")),
        ("Encrypt within another", format!("<xml><a><Encrypt>{sealed}</Encrypt></a></xml>")),
        ("Encrypt with an element", format!("<xml><Encrypt><b>{sealed}</b></Encrypt></xml>")),
        ("Encrypt as an attribute", format!("<xml Encrypt=\"{sealed}\"></xml>")),
        ("encrypt in small letters", format!("<xml><encrypt>{sealed}</encrypt></xml>")),
        ("another root", format!("<html><Encrypt>{sealed}</Encrypt></html>")),
        ("root in capitals", format!("<XML><Encrypt>{sealed}</Encrypt></XML>")),
        ("document type", format!("<!DOCTYPE xml><xml><Encrypt>{sealed}</Encrypt></xml>")),
        (
            "external entity",
            "<!DOCTYPE xml [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><xml><Encrypt>&e;</Encrypt></xml>".to_owned(),
        ),
        ("unknown entity", "<xml><Encrypt>&e;</Encrypt></xml>".to_owned()),
        ("comment", format!("<xml><!-- --><Encrypt>{sealed}</Encrypt></xml>")),
        ("processing instruction", format!("<xml><?a b?><Encrypt>{sealed}</Encrypt></xml>")),
        ("other encoding", format!("<?xml version=\"1.0\" encoding=\"gbk\"?><xml><Encrypt>{sealed}</Encrypt></xml>")),
        ("text beside elements", format!("<xml>x<Encrypt>{sealed}</Encrypt></xml>")),
        ("something after", format!("<xml><Encrypt>{sealed}</Encrypt></xml>x")),
        ("two roots", format!("<xml><Encrypt>{sealed}</Encrypt></xml><xml></xml>")),
        ("crossed tags", format!("<xml><Encrypt>{sealed}</xml></Encrypt>")),
        ("very deep", format!("<xml>{}</xml>", deep("<a>", "</a>", 5_000))),
        ("very deep and open", "<a>".repeat(20_000)),
    ] {
        cases.push(case(format!("XML envelope: {name}"), xml.request_body(body), 400, "bad_body"));
    }
    cases
}

/// A body that ends too early, everywhere.
fn cut() -> Vec<Case> {
    let mut cases = Vec::new();
    for push in [good(), good_json()] {
        let form = if push.xml { "XML" } else { "JSON" };
        let body = push.body(&push.sealed());
        for tenth in 0..10 {
            let end = body.len() * tenth / 10;
            let request = push.request_body(body[..end].to_owned());
            cases.push(case(format!("{form} envelope cut after {tenth} tenths"), request, 400, "bad_body"));
        }
        let last = body[..body.len() - 1].to_owned();
        cases.push(case(format!("{form} envelope without its last byte"), push.request_body(last), 400, "bad_body"));
    }
    cases
}
