//! A host whose operator approves what merchants upload: who waits, who is told, and who may approve.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use support::{Answer, Desk, guest};

async fn upload_as(desk: &Desk, secret: &str, tenant: &str, wasm: Vec<u8>) -> Value {
    let request = Request::post(format!("/api/v1/tenants/{tenant}/plugins?name=tags"))
        .header("authorization", format!("Bearer {secret}"))
        .header("content-type", "application/wasm");
    let answer = desk.send(request.body(Body::from(wasm)).unwrap()).await;
    assert!(answer.status.is_success(), "{}", answer.text);
    answer.json()
}

async fn install(desk: &Desk, tenant: &str, version: &Value) -> Answer {
    let body = json!({"plugin": "tags", "version": version["version"], "grants": []});
    desk.post(&format!("/api/v1/tenants/{tenant}/installations"), body).await
}

async fn waiting(desk: &Desk) -> Vec<Value> {
    desk.get("/api/v1/approvals").await.json()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_merchants_version_waits_until_the_operator_approves_it() {
    let desk = Desk::that_approves().await;
    let tenant = desk.tenant("wxone").await;
    let (_, merchant) = desk.token(Some(&tenant)).await;
    let version = upload_as(&desk, &merchant, &tenant, guest::quiet()).await;
    assert_eq!((&version["waits_for_approval"], &version["approved_at"]), (&json!(true), &Value::Null));
    let refused = install(&desk, &tenant, &version).await;
    assert_eq!(refused.refusal(409), "version-not-approved");
    assert!(refused.text.contains("/approval"), "it says what to do: {}", refused.text);
    let listed = waiting(&desk).await;
    assert_eq!((&listed[0]["tenant"], &listed[0]["version"]), (&json!(tenant), &version["version"]));
    assert_eq!(listed.len(), 1);

    let path =
        format!("/api/v1/tenants/{tenant}/plugins/tags/versions/{}/approval", version["version"].as_str().unwrap());
    let by_the_merchant = Request::post(&path).header("authorization", format!("Bearer {merchant}"));
    let refused = desk.send(by_the_merchant.body(Body::empty()).unwrap()).await;
    assert_eq!(refused.refusal(403), "operators-alone");
    let approved = desk.post(&path, json!({})).await;
    assert_eq!(approved.status, StatusCode::OK, "{}", approved.text);
    let approved = approved.json();
    assert_eq!((&approved["waits_for_approval"], &approved["approved_by"]), (&json!(false), &json!("operator")));
    let audit = desk.get("/api/v1/audit?limit=1").await.json()["items"][0].clone();
    assert_eq!((&audit["action"], &audit["actor"]), (&json!("version-approved"), &json!("operator")));
    assert!(waiting(&desk).await.is_empty());
    assert_eq!(install(&desk, &tenant, &version).await.status, StatusCode::CREATED);

    let nothing = format!("/api/v1/tenants/{tenant}/plugins/tags/versions/{}/approval", "0".repeat(64));
    assert_eq!(desk.post(&nothing, json!({})).await.refusal(422), "no-such-version");
}

#[tokio::test]
async fn the_operators_own_uploads_wait_for_nobody() {
    let desk = Desk::that_approves().await;
    let tenant = desk.tenant("wxone").await;
    let version = desk.upload(&tenant, "tags", guest::quiet()).await.json();
    assert_eq!(version["waits_for_approval"], false);
    assert_eq!(install(&desk, &tenant, &version).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn where_nobody_asks_for_it_nothing_waits() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let (_, merchant) = desk.token(Some(&tenant)).await;
    let version = upload_as(&desk, &merchant, &tenant, guest::quiet()).await;
    assert_eq!((&version["waits_for_approval"], &version["approved_at"]), (&json!(false), &Value::Null));
    assert!(waiting(&desk).await.is_empty());
    assert_eq!(install(&desk, &tenant, &version).await.status, StatusCode::CREATED);
}
