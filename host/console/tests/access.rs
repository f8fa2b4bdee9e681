//! Whom the console lets in, and what its OpenAPI document says.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::net::Ipv4Addr;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use support::{Desk, TOKEN};

/// Every operation of the document: method and path, ids filled in.
fn operations() -> Vec<(Method, String)> {
    let document = serde_json::to_value(fangshi_console::document()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes()) else { continue };
            let path = path
                .replace("{tenant}", "t1")
                .replace("{installation}", "i1")
                .replace("{run}", "r1")
                .replace("{authorization}", "z1")
                .replace("{token}", "k1")
                .replace("{plugin}", "p1")
                .replace("{version}", &"0".repeat(64));
            operations.push((method, path));
        }
    }
    operations
}

/// The routes of the public surface. The document is compared with it both ways.
const SURFACE: &[&str] = &[
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /api/v1/openapi.json",
    "POST /api/v1/tenants",
    "GET /api/v1/tenants",
    "GET /api/v1/tenants/t1",
    "PATCH /api/v1/tenants/t1",
    "DELETE /api/v1/tenants/t1",
    "GET /api/v1/tenants/t1/export",
    "POST /api/v1/authorizations",
    "GET /api/v1/authorizations",
    "GET /api/v1/authorizations/z1",
    "GET /api/v1/authorizers",
    "POST /api/v1/tenants/t1/plugins",
    "GET /api/v1/tenants/t1/plugins",
    "POST /api/v1/tenants/t1/plugins/p1/versions/0000000000000000000000000000000000000000000000000000000000000000/approval",
    "DELETE /api/v1/tenants/t1/plugins/p1/versions/0000000000000000000000000000000000000000000000000000000000000000/approval",
    "POST /api/v1/tenants/t1/approvals",
    "GET /api/v1/approvals",
    "POST /api/v1/tenants/t1/installations",
    "GET /api/v1/tenants/t1/installations",
    "GET /api/v1/tenants/t1/installations/i1",
    "PATCH /api/v1/tenants/t1/installations/i1",
    "DELETE /api/v1/tenants/t1/installations/i1",
    "GET /api/v1/tenants/t1/events",
    "GET /api/v1/tenants/t1/reconciliation",
    "GET /api/v1/tenants/t1/runs",
    "GET /api/v1/tenants/t1/runs/r1",
    "POST /api/v1/tenants/t1/runs/r1/repair",
    "POST /api/v1/tenants/t1/runs/r1/replay",
    "POST /api/v1/tenants/t1/repairs",
    "POST /api/v1/tenants/t1/backtests",
    "POST /api/v1/tokens",
    "GET /api/v1/tokens",
    "DELETE /api/v1/tokens/k1",
    "POST /api/v1/tenants/t1/tokens",
    "POST /api/v1/tenants/t1/links",
    "GET /api/v1/audit",
    "GET /api/v1/alerts",
    "GET /api/v1/tenants/t1/platform",
];

#[test]
fn the_document_has_every_route_and_no_other() {
    let mut documented: Vec<String> =
        operations().into_iter().map(|(method, path)| format!("{method} {path}")).collect();
    let mut surface: Vec<String> = SURFACE.iter().map(|route| (*route).to_owned()).collect();
    documented.sort();
    surface.sort();
    assert_eq!(documented, surface);
}

#[test]
fn every_operation_has_a_name_of_its_own_that_says_what_it_does() {
    let document = serde_json::to_value(fangshi_console::document()).unwrap();
    let mut ids = std::collections::BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values().filter(|member| member.is_object()) {
            let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("no operationId: {operation}"));
            let verb = ["get", "list", "create", "change", "upload", "remove", "repair"]
                .iter()
                .find(|verb| id.starts_with(**verb));
            let object = id.strip_prefix(*verb.unwrap_or_else(|| panic!("{id} begins with no verb"))).unwrap();
            assert!(object.starts_with(|c: char| c.is_ascii_uppercase()), "{id} names no object");
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
        }
    }
    assert_eq!(ids.len(), SURFACE.len());
}

#[test]
fn the_document_says_how_far_every_limit_may_go() {
    let document = serde_json::to_value(fangshi_console::document()).unwrap();
    for schema in ["InstallationBody", "InstallationChange", "Installation"] {
        let limits = &document["components"]["schemas"][schema]["properties"]["limits"];
        let members = limits["properties"].as_object().unwrap_or_else(|| panic!("{schema}: {limits}"));
        for (name, range) in fangshi_lanes::RunLimits::members() {
            let member = &members[name];
            if let fangshi_lanes::LimitRange::Number { least, default, most } = range {
                let found = [&member["minimum"], &member["default"], &member["maximum"]].map(|it| it.as_u64());
                assert_eq!(found, [Some(least), Some(default), Some(most)], "{schema}.{name}: {member}");
            }
        }
        assert_eq!(limits["additionalProperties"], false);
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let document = serde_json::to_value(fangshi_console::document()).unwrap();
    let text = document.to_string();
    let mut found = 0;
    for reference in text.split("\"$ref\":\"").skip(1) {
        let reference = reference.split('"').next().unwrap();
        let pointer = reference.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        found += 1;
    }
    assert!(found > 20, "{found} references");
    assert_eq!(document["components"]["securitySchemes"]["operator"]["scheme"], "bearer");
}

#[tokio::test]
async fn every_route_of_the_admin_api_needs_the_token() {
    let desk = Desk::new().await;
    let mut asked = 0;
    for (method, path) in operations() {
        let routed = desk.with_token(method.clone(), &path, None, Body::empty()).await;
        let code = if routed.status.is_success() { String::new() } else { routed.refusal(routed.status.as_u16()) };
        assert!(!matches!(code.as_str(), "no-such-address" | "method-not-allowed"), "{method} {path} is not routed");
        if !path.starts_with("/api/v1") {
            continue;
        }
        for header in [
            None,
            Some("Bearer wrong".to_owned()),
            Some(TOKEN.to_owned()),
            Some(format!("Basic {TOKEN}")),
            Some(format!("Bearer {TOKEN}x")),
            Some(format!("Bearer {}", &TOKEN[1..])),
            Some("Bearer ".to_owned()),
            Some("Bearer".to_owned()),
        ] {
            let mut request = Request::builder().method(method.clone()).uri(&path);
            if let Some(header) = &header {
                request = request.header("authorization", header);
            }
            let answer = desk.send_from_elsewhere(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.refusal(401), "unauthorized", "{method} {path} with {header:?}");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
            assert!(answer.json()["hint"].as_str().unwrap().contains("[operator] token"));
            asked += 1;
        }
    }
    assert_eq!(asked, (SURFACE.len() - 3) * 8);
}

#[tokio::test]
async fn addresses_that_do_not_exist_tell_nothing_without_the_token() {
    let desk = Desk::new().await;
    for path in ["/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v1/tenants/t1/secrets"] {
        let answer = desk.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.refusal(401), "unauthorized", "{path}");
        assert_eq!(desk.get(path).await.refusal(404), "no-such-address", "{path}");
    }
}

#[tokio::test]
async fn the_scheme_is_read_in_any_case() {
    let desk = Desk::new().await;
    let request = Request::get("/api/v1/tenants").header("authorization", format!("bearer {TOKEN}"));
    assert_eq!(desk.send(request.body(Body::empty()).unwrap()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn health_and_metrics_are_open_and_tell_no_names() {
    let desk = Desk::new().await;
    desk.tenant("wxcanaryshop").await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        let answer = desk.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        assert!(!answer.text.contains("wxcanaryshop") && !answer.text.contains("CANARY"), "{}", answer.text);
    }
    let ready = desk.get("/readyz").await.json();
    assert!(ready["engine_version"].as_str().unwrap().contains("48"), "{ready}");
    assert_eq!(ready["backlog_age_ms"], 0);
    assert_eq!(ready["database"], "ok");
    let stranger = |path: &str| desk.send(Request::get(path).body(Body::empty()).unwrap());
    desk.database.reader().close().await;
    assert_eq!(stranger("/readyz").await.status, StatusCode::OK, "asked for a stranger once a second");
    assert_eq!(desk.get("/readyz").await.refusal(503), "not-ready", "and for the operator each time");
    desk.hand.advance(1_000);
    assert_eq!(stranger("/readyz").await.refusal(503), "not-ready");
    assert_eq!(desk.get("/readyz").await.refusal(503), "not-ready");
    assert_eq!(desk.get("/healthz").await.status, StatusCode::OK, "the process still lives");
}

#[tokio::test]
async fn a_host_whose_store_takes_no_writes_is_not_ready_whoever_asks() {
    let desk = Desk::new().await;
    assert_eq!(desk.get("/readyz").await.status, StatusCode::OK);
    desk.database.close().await;
    let stranger = desk.send(Request::get("/readyz").body(Body::empty()).unwrap()).await;
    assert_eq!(stranger.refusal(503), "not-ready", "at once: nothing that is kept for strangers hides it");
    assert!(stranger.text.contains("takes no writes"), "{}", stranger.text);
}

#[tokio::test]
async fn an_address_that_guesses_waits_and_locks_nobody_else_out() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let (_, merchant) = desk.token(Some(&tenant)).await;
    let (bad, good) = (Ipv4Addr::new(10, 9, 9, 9), Ipv4Addr::new(10, 8, 8, 8));
    let ask = |token: &str| {
        let path = format!("/api/v1/tenants/{tenant}");
        Request::get(path).header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap()
    };
    for guess in 0..10 {
        assert_eq!(desk.send_from(bad, ask(&format!("guess-{guess}"))).await.refusal(401), "unauthorized");
    }
    let refused = desk.send_from(bad, ask("guess-10")).await;
    assert_eq!(refused.refusal(429), "too-many-failures");
    assert_eq!(refused.headers["retry-after"], "6");
    // A right token passes wherever it comes from: nobody locks the operator or a merchant out of a shared address.
    assert_eq!(desk.send_from(bad, ask(TOKEN)).await.status, StatusCode::OK);
    assert_eq!(desk.send_from(good, ask(TOKEN)).await.status, StatusCode::OK);
    assert_eq!(desk.send_from(good, ask(&merchant)).await.status, StatusCode::OK);
    assert_eq!(desk.send_from(bad, ask(&merchant)).await.status, StatusCode::OK);
    assert_eq!(desk.send_from(bad, ask("guess-11")).await.refusal(429), "too-many-failures", "it forgives nothing");
    // A token that nobody has seen waits like any other, though it is right: it would cost a look into the store.
    let (_, unseen) = desk.token(Some(&tenant)).await;
    assert_eq!(desk.send_from(bad, ask(&unseen)).await.refusal(429), "too-many-failures");
    desk.hand.advance(6_000);
    assert_eq!(desk.send_from(bad, ask(&unseen)).await.status, StatusCode::OK);
    assert_eq!(desk.send_from(bad, ask("guess-12")).await.refusal(401), "unauthorized");
    // Requests without a token guess nothing.
    let other = Ipv4Addr::new(10, 7, 7, 7);
    for _ in 0..30 {
        let bare = Request::get("/api/v1/tenants").body(Body::empty()).unwrap();
        assert_eq!(desk.send_from(other, bare).await.refusal(401), "unauthorized");
    }
    assert_eq!(desk.send_from(other, ask(TOKEN)).await.status, StatusCode::OK);
}
