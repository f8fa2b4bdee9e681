//! Every refusal has the one form, names what is wrong, and shows no secret.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};
use support::{Desk, MAX_PLUGIN_BYTES, UPLOADS, guest};

const JSON: Option<&str> = Some("application/json");
const TENANTS: &str = "/api/v1/tenants";

#[tokio::test]
async fn requests_that_no_handler_takes() {
    let desk = Desk::new().await;
    assert_eq!(desk.get("/nothing").await.refusal(404), "no-such-address");
    assert_eq!(desk.get("/api/v1/nothing").await.refusal(404), "no-such-address");
    let answer = desk.with_token(Method::DELETE, TENANTS, None, Body::empty()).await;
    assert_eq!(answer.refusal(405), "method-not-allowed");
    assert!(answer.headers["allow"].to_str().unwrap().contains("POST"), "{:?}", answer.headers);
    let answer = desk.with_token(Method::POST, "/healthz", None, Body::empty()).await;
    assert_eq!(answer.refusal(405), "method-not-allowed");
    let answer = desk.with_token(Method::POST, TENANTS, Some("text/plain"), Body::from("{}")).await;
    assert_eq!(answer.refusal(415), "unsupported-media-type");
    let answer = desk.with_token(Method::POST, TENANTS, None, Body::from("{}")).await;
    assert_eq!(answer.refusal(415), "unsupported-media-type");
    for text in ["", "{", "{\"a\":1,}", "nul", "{}{}", "\u{feff}{}"] {
        let answer = desk.with_token(Method::POST, TENANTS, JSON, Body::from(text)).await;
        assert_eq!(answer.refusal(400), "malformed-json", "{text:?}");
    }
    let deep = "[".repeat(10_000);
    assert_eq!(desk.with_token(Method::POST, TENANTS, JSON, Body::from(deep)).await.refusal(400), "malformed-json");
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(2 << 20));
    assert_eq!(desk.with_token(Method::POST, TENANTS, JSON, Body::from(large.clone())).await.refusal(413), "too-large");
    let answer = desk.with_token(Method::POST, TENANTS, JSON, Body::from(large)).await;
    assert!(!answer.text.contains("operator"), "there is no setting for it: {}", answer.text);
}

fn tenant(change: Value) -> Value {
    let mut body = json!({"kind": "authorized", "appid": "wx1", "user_name": "gh_1", "name": "shop"});
    for (name, value) in change.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn self_built(change: Value) -> Value {
    let mut body = tenant(json!({"kind": "self-built", "appsecret": "s", "token": "t",
        "encoding_aes_key": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"}));
    for (name, value) in change.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn wrong_tenants_name_the_member() {
    let desk = Desk::new().await;
    let mut bad = vec![
        (json!([]), "expected a JSON object"),
        (json!(["weixin", "authorized", "wx1", "gh_1", "shop"]), "expected a JSON object"),
        (json!("CANARY"), "expected a JSON object"),
        (json!(null), "expected a JSON object"),
        (json!({}), "missing field"),
        (tenant(json!({"appidd": "x"})), "unknown field `appidd`, expected one of `platform`, `kind`, `appid`"),
        (tenant(json!({"kind": "CANARY"})), "member `kind`"),
        (tenant(json!({"platform": "taobao"})), "member `platform`"),
        (tenant(json!({"appid": 5})), "member `appid`"),
        (tenant(json!({"access_token": 776_655})), "member `access_token`"),
        (tenant(json!({"access_token": ["CANARY"]})), "member `access_token`"),
        (tenant(json!({"token": "CANARY"})), "`token` is not for tenants of kind authorized"),
        (tenant(json!({"access_token_expires_in": 5})), "`access_token_expires_in` is only for"),
        (tenant(json!({"access_token": "CANARY", "access_token_expires_in": -1})), "must be 0 to 86400"),
        (self_built(json!({"refresh_token": "CANARY"})), "`refresh_token` is not for tenants of kind self-built"),
        (self_built(json!({"appid": ""})), "`appid`"),
    ];
    for member in ["appsecret", "token", "encoding_aes_key"] {
        let mut body = self_built(json!({}));
        body.as_object_mut().unwrap().remove(member);
        bad.push((body, "is needed for tenants of kind self-built"));
    }
    for (body, expected) in bad {
        let answer = desk.post(TENANTS, body.clone()).await;
        assert_eq!(answer.refusal(422), "invalid-body", "{body}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(expected), "{body}\nexpected {expected:?}, found {message:?}");
        assert!(!answer.text.contains("776655"), "a secret is echoed: {}", answer.text);
        if !body["kind"].as_str().unwrap_or_default().contains("CANARY") {
            assert!(!answer.text.contains("CANARY"), "a secret is echoed: {}", answer.text);
        }
    }
    assert_eq!(desk.get(TENANTS).await.json(), json!({"items": [], "next": null}));
}

#[tokio::test]
async fn a_host_without_a_component_takes_no_authorized_tenants() {
    let desk = Desk::with(None).await;
    let answer = desk.post(TENANTS, tenant(json!({}))).await;
    assert_eq!(answer.refusal(422), "no-component");
    let hint = answer.json()["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("[weixin]") && hint.contains("component_appid") && hint.contains("self-built"), "{hint}");
    let answer = desk.post(TENANTS, self_built(json!({}))).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
}

#[tokio::test]
async fn a_change_is_checked_as_a_new_tenant_is() {
    let desk = Desk::new().await;
    let id = desk.tenant("wxone").await;
    for (member, wrong) in [
        ("user_name", "wx134c8103faa5a59e"),
        ("user_name", ""),
        ("user_name", "gh_ 1"),
        ("name", ""),
        ("name", "two\nlines"),
        ("name", &"x".repeat(201)),
    ] {
        let posted = desk.post(TENANTS, tenant(json!({"appid": "wxtwo", member: wrong}))).await;
        let patched = desk.json(Method::PATCH, &format!("{TENANTS}/{id}"), json!({member: wrong})).await;
        assert_eq!((posted.refusal(422), patched.refusal(422)), ("invalid-body".into(), "invalid-body".into()));
        assert_eq!(posted.json()["message"], patched.json()["message"], "{member} {wrong:?}");
        assert!(patched.text.contains(&format!("`{member}`")), "{}", patched.text);
    }
    assert_eq!(desk.get(&format!("{TENANTS}/{id}")).await.json()["user_name"], "gh_1");
}

#[tokio::test]
async fn appids_and_ids() {
    let desk = Desk::new().await;
    let id = desk.tenant("wxone").await;
    let answer = desk.post(TENANTS, tenant(json!({"appid": "wxone"}))).await;
    assert_eq!(answer.refusal(409), "appid-taken");
    assert!(answer.text.contains(&id), "it says whose: {}", answer.text);
    for path in ["t0", "t99", "1", "x1", "t01", "t-1", "%00", "t1%2Fplugins"] {
        let code = desk.get(&format!("{TENANTS}/{path}")).await.refusal(404);
        assert!(matches!(code.as_str(), "no-such-tenant" | "no-such-id"), "{path}: {code}");
    }
    for path in ["plugins", "installations", "events", "runs", "runs/r1", "installations/i1"] {
        assert_eq!(desk.get(&format!("{TENANTS}/t99/{path}")).await.refusal(404), "no-such-tenant", "{path}");
    }
    assert_eq!(desk.get(&format!("{TENANTS}/{id}/runs/r1")).await.refusal(404), "no-such-run");
    assert_eq!(desk.get(&format!("{TENANTS}/{id}/installations/i1")).await.refusal(404), "no-such-installation");
    let patch = desk.json(Method::PATCH, &format!("{TENANTS}/{id}/installations/i1"), json!({"state": "paused"})).await;
    assert_eq!(patch.refusal(404), "no-such-installation");
}

#[tokio::test]
async fn wrong_queries() {
    let desk = Desk::new().await;
    let id = desk.tenant("wxone").await;
    for list in ["tenants", "tenants/ID/plugins", "tenants/ID/installations", "tenants/ID/events", "tenants/ID/runs"] {
        let list = list.replace("ID", &id);
        for query in ["limit=0", "limit=201", "limit=x", "limit=-1", "after=nothing", "unknown=1", "limit=1&limit=2"] {
            let answer = desk.get(&format!("/api/v1/{list}?{query}")).await;
            assert_eq!(answer.refusal(400), "invalid-query", "{list}?{query}");
        }
        assert_eq!(desk.get(&format!("/api/v1/{list}?limit=200")).await.status, 200, "{list}");
    }
    let answer = desk.get(&format!("{TENANTS}/{id}/events?order=1")).await;
    assert!(answer.text.contains("order_id"), "the known ones are listed: {}", answer.text);
}

#[tokio::test]
async fn uploads_that_are_no_plugin() {
    let desk = Desk::new().await;
    let id = desk.tenant("wxone").await;
    for (wasm, code, parts) in [
        (b"not wasm".to_vec(), "not-wasm", &["no WebAssembly component"][..]),
        (Vec::new(), "not-wasm", &["no WebAssembly component"]),
        (guest::core_module(), "core-module", &["core module"]),
        (guest::stranger(), "unknown-import", &["wasi:http/types@0.2.0", "evil:things/here@1.0.0"]),
    ] {
        let answer = desk.upload(&id, "bad", wasm).await;
        assert_eq!(answer.refusal(422), code);
        for part in parts {
            assert!(answer.text.contains(part), "{part:?} is not named: {}", answer.text);
        }
    }
    let mut cut = guest::quiet();
    cut.truncate(cut.len() - 7);
    assert_eq!(desk.upload(&id, "bad", cut).await.refusal(422), "component-invalid");
    let answer = desk.upload(&id, "bad", vec![0; MAX_PLUGIN_BYTES + 1]).await;
    assert_eq!(answer.refusal(413), "too-large");
    assert!(answer.text.contains(&MAX_PLUGIN_BYTES.to_string()), "the limit is named: {}", answer.text);
    assert!(answer.text.contains("max_plugin_bytes"), "the setting is named: {}", answer.text);
    let path = format!("{TENANTS}/{id}/plugins?name=x");
    let answer = desk.with_token(Method::POST, &path, Some("application/octet-stream"), Body::from("x")).await;
    assert_eq!(answer.refusal(415), "unsupported-media-type");
    for name in ["", "A", "a%20b", "..%2Fb", ".", "..", "%0A", &"x".repeat(65)] {
        let answer = desk.upload(&id, name, guest::quiet()).await;
        assert_eq!(answer.refusal(422), "invalid-body", "{name:?}");
        assert!(answer.text.contains("name"), "{}", answer.text);
    }
    let path = format!("{TENANTS}/{id}/plugins");
    let answer = desk.with_token(Method::POST, &path, Some("application/wasm"), Body::from(guest::quiet())).await;
    assert_eq!(answer.refusal(400), "invalid-query");
    assert_eq!(desk.get(&path).await.json()["items"], json!([]), "nothing was kept");
}

#[tokio::test]
async fn a_tenant_that_has_uploaded_as_much_as_it_may() {
    let desk = Desk::new().await;
    let id = desk.tenant("wxone").await;
    for number in 0..UPLOADS.versions {
        assert_eq!(desk.upload(&id, &format!("p{number}"), guest::quiet()).await.status, 201);
    }
    let answer = desk.upload(&id, "one-more", guest::quiet()).await;
    assert_eq!(answer.refusal(409), "uploads-used-up");
    assert!(answer.text.contains("at most 8 versions"), "the limit is named: {}", answer.text);
    assert!(answer.text.contains("plugin_versions_per_tenant"), "the setting is named: {}", answer.text);
    assert_eq!(desk.upload(&id, "p0", guest::quiet()).await.status, 200, "what is there is no upload more");
    let other = desk.tenant("wxtwo").await;
    assert_eq!(desk.upload(&other, "p0", guest::quiet()).await.status, 201);
}
