//! What tenants may use: plans, their own limits, and installations that never have more.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Desk, guest};

/// Uploads a plugin and installs it with these limits.
async fn install(desk: &Desk, tenant: &str, name: &str, wasm: Vec<u8>, limits: Value) -> support::Answer {
    let version = desk.upload(tenant, name, wasm).await.json();
    let grants: Vec<&Value> = version["grants"].as_array().unwrap().iter().map(|grant| &grant["name"]).collect();
    let body = json!({"plugin": version["plugin"], "version": version["version"], "grants": grants, "limits": limits});
    desk.post(&format!("/api/v1/tenants/{tenant}/installations"), body).await
}

#[tokio::test]
async fn a_plan_and_own_limits_bound_what_installations_get() {
    let desk = Desk::new().await;
    let id = desk.tenant("wxone").await;
    let at = format!("/api/v1/tenants/{id}");
    let shown = desk.get(&at).await.json();
    assert_eq!((&shown["plan"], &shown["limits"]), (&Value::Null, &json!({})));
    assert_eq!(shown["effective_limits"]["fuel"], 1_000_000_000_u64);
    assert_eq!(shown["effective_limits"]["runs_at_once"], 16);

    let above = install(&desk, &id, "quiet", guest::quiet(), json!({"fuel": 2_000_000_000_u64})).await;
    assert_eq!(above.refusal(422), "above-the-tenant");
    assert!(above.text.contains("2000000000 is asked for, and the tenant has 1000000000"), "{}", above.text);

    let unknown = desk.json(Method::PATCH, &at, json!({"plan": "huge"})).await;
    assert_eq!(unknown.refusal(422), "no-such-plan");
    assert!(unknown.text.contains("there are large"), "{}", unknown.text);
    let wrong = desk.json(Method::PATCH, &at, json!({"limits": {"runs_at_once": 0}})).await;
    assert_eq!(wrong.refusal(422), "invalid-body");
    let planned = desk.json(Method::PATCH, &at, json!({"plan": "large", "limits": {"host_calls": 5}})).await.json();
    assert_eq!((&planned["plan"], &planned["limits"]), (&json!("large"), &json!({"host_calls": 5})));
    assert_eq!(planned["effective_limits"]["fuel"], 5_000_000_000_u64);

    let made = install(&desk, &id, "quiet", guest::quiet(), json!({"fuel": 2_000_000_000_u64})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let made = made.json();
    let figures =
        |of: &Value| ["fuel", "host_calls", "kv_keys"].map(|name| of["effective_limits"][name].as_u64().unwrap());
    assert_eq!(figures(&made), [2_000_000_000, 5, 7]);

    // Lowered later, it holds for what there is; the installation's own word stays.
    desk.json(Method::PATCH, &at, json!({"plan": "", "limits": {}})).await;
    let installation = format!("{at}/installations/{}", made["id"].as_str().unwrap());
    let lowered = desk.get(&installation).await.json();
    assert_eq!(figures(&lowered), [1_000_000_000, 1_000, 10_000]);
    assert_eq!(lowered["limits"]["fuel"], 2_000_000_000_u64);
    let audit = desk.get("/api/v1/audit").await.text;
    assert!(audit.contains("large") && audit.contains("host_calls"), "{audit}");
}

#[tokio::test]
async fn a_limit_that_is_met_is_told_in_the_run() {
    let desk = Desk::new().await;
    let id = desk.tenant("wxone").await;
    desk.json(Method::PATCH, &format!("/api/v1/tenants/{id}"), json!({"limits": {"host_calls": 0}})).await;
    let made = install(&desk, &id, "noting", guest::noting(), json!({})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    desk.paid(&id, "3732676853715311104").await;
    let runs = desk.get(&format!("/api/v1/tenants/{id}/runs")).await.json();
    let run = runs["items"][0]["id"].as_str().unwrap();
    let run = desk.get(&format!("/api/v1/tenants/{id}/runs/{run}")).await.text;
    assert!(run.contains("\"limit\"") && run.contains("host_calls: 0 allowed"), "{run}");
}

#[tokio::test]
async fn uploads_and_listeners_of_one_hook_have_their_bounds() {
    let desk = Desk::new().await;
    let new = json!({"kind": "authorized", "appid": "wxtwo", "user_name": "gh_1", "name": "店", "refresh_token": "r",
        "limits": {"hooks_per_event": 1, "component_bytes": guest::noting().len()}});
    let id = desk.post("/api/v1/tenants", new).await.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(desk.upload(&id, "heavy", guest::heavy(1)).await.refusal(413), "too-large");
    let first = install(&desk, &id, "quiet", guest::quiet(), json!({})).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    let second = install(&desk, &id, "noting", guest::noting(), json!({})).await;
    assert_eq!(second.refusal(409), "hooks-per-event");
    assert!(second.text.contains("1 installations of t1 hear `on-pay`, and it may have 1"), "{}", second.text);
    let gone = format!("/api/v1/tenants/{id}/installations/{}", first.json()["id"].as_str().unwrap());
    assert_eq!(desk.json(Method::DELETE, &gone, json!({})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(install(&desk, &id, "noting", guest::noting(), json!({})).await.status, StatusCode::CREATED);
}
