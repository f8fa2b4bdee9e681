//! A host whose operator approves what merchants upload: who waits, who is told, and who may approve.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use fangshi_console::TrustedKeys;
use fangshi_tenants::NewInstallation;
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

/// The address of a version's approval.
fn approval(tenant: &str, version: &Value) -> String {
    format!("/api/v1/tenants/{tenant}/plugins/tags/versions/{}/approval", version["version"].as_str().unwrap())
}

async fn runs(desk: &Desk, tenant: &str) -> Vec<Value> {
    desk.get(&format!("/api/v1/tenants/{tenant}/runs?limit=200")).await.json()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_approval_that_is_taken_back_holds_installations_until_it_is_given_again() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let version = desk.upload(&tenant, "tags", guest::quiet()).await.json();
    let installed = install(&desk, &tenant, &version).await.json();
    let at = format!("/api/v1/tenants/{tenant}/installations/{}", installed["id"].as_str().unwrap());
    desk.paid(&tenant, "371").await;

    let revoked = desk.with_token(Method::DELETE, &approval(&tenant, &version), None, Body::empty()).await;
    assert_eq!(revoked.status, StatusCode::OK, "{}", revoked.text);
    let revoked = revoked.json();
    let now = json!(desk.tenants.clock().now());
    assert_eq!((&revoked["approval_revoked_at"], &revoked["waits_for_approval"]), (&now, &json!(true)));
    let audit = desk.get("/api/v1/audit?limit=1").await.json()["items"][0].clone();
    assert_eq!((&audit["action"], &audit["actor"]), (&json!("version-revoked"), &json!("operator")));
    let shown = desk.get(&at).await.json();
    assert_eq!((&shown["state"], &shown["approval_revoked"]), (&json!("active"), &json!(true)));
    assert!(shown["warnings"][0].as_str().unwrap().contains("its events wait"), "{shown}");
    assert_eq!(install(&desk, &tenant, &version).await.refusal(409), "version-revoked");
    // A resume is the merchant's word, and changes nothing.
    for state in ["paused", "active"] {
        desk.json(Method::PATCH, &at, json!({"state": state})).await;
    }
    desk.paid(&tenant, "372").await;
    let states = async || -> Vec<Value> { runs(&desk, &tenant).await.iter().map(|run| run["state"].clone()).collect() };
    assert_eq!(states().await, ["ready", "done"]);
    // What was is not executed again either.
    let replay = format!("/api/v1/tenants/{tenant}/runs/r1/replay");
    assert_eq!(desk.post(&replay, json!({})).await.refusal(409), "version-revoked");

    assert_eq!(desk.post(&approval(&tenant, &version), json!({})).await.status, StatusCode::OK);
    desk.lanes.settle().await;
    assert_eq!(states().await, ["done", "done"], "it goes on");
    assert_eq!(desk.get(&at).await.json()["approval_revoked"], false);
    assert_eq!(desk.post(&replay, json!({})).await.status, StatusCode::OK);

    // With another version at work, what waited for this one is parked, and repaired in the other.
    desk.with_token(Method::DELETE, &approval(&tenant, &version), None, Body::empty()).await;
    desk.paid(&tenant, "373").await;
    let other = desk.upload(&tenant, "tags", guest::noting()).await.json();
    let change = json!({"version": other["version"], "grants": ["notes"]});
    assert_eq!(desk.json(Method::PATCH, &at, change).await.status, StatusCode::OK);
    desk.lanes.settle().await;
    let parked = runs(&desk, &tenant).await.remove(0);
    assert_eq!((&parked["state"], &parked["reason"]), (&json!("parked"), &json!("revoked")));
    let one = format!("/api/v1/tenants/{tenant}/runs/{}/repair", parked["id"].as_str().unwrap());
    assert_eq!(desk.post(&one, json!({})).await.refusal(409), "version-revoked");
    let all = format!("/api/v1/tenants/{tenant}/repairs");
    let left = desk.post(&all, json!({"version": version["version"]})).await.json()["left"].clone();
    assert_eq!(left[0]["why"], "version-revoked");
    assert_eq!(desk.post(&all, json!({"version": "installed"})).await.json()["runs"].as_array().unwrap().len(), 1);
    desk.lanes.settle().await;
    assert!(states().await.iter().all(|state| state == "done"));
}

#[tokio::test]
async fn ticks_of_a_version_whose_approval_was_taken_back_are_skipped() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let version = desk.upload(&tenant, "tags", guest::ticking()).await.json();
    let body = json!({"plugin": "tags", "version": version["version"], "grants": [],
        "schedules": [{"name": "quarter", "cron": "*/15 * * * *"}]});
    desk.post(&format!("/api/v1/tenants/{tenant}/installations"), body).await;
    let now = desk.tenants.clock().now() + 3_600_000;
    let due = async || desk.journal.due_schedules(now, 9).await.unwrap()[0].working;
    assert!(due().await);
    desk.with_token(Method::DELETE, &approval(&tenant, &version), None, Body::empty()).await;
    assert!(!due().await);
}

#[tokio::test]
async fn all_versions_of_a_tenant_or_of_a_plugin_are_approved_at_once() {
    let desk = Desk::that_approves().await;
    let tenant = desk.tenant("wxone").await;
    let (_, merchant) = desk.token(Some(&tenant)).await;
    let first = upload_as(&desk, &merchant, &tenant, guest::quiet()).await;
    let bad = upload_as(&desk, &merchant, &tenant, guest::broken()).await;
    desk.with_token(Method::DELETE, &approval(&tenant, &bad), None, Body::empty()).await;
    let all = format!("/api/v1/tenants/{tenant}/approvals");
    assert_eq!(desk.post(&all, json!({"plugin": "nothing"})).await.refusal(422), "no-such-plugin");
    let none = desk.post(&all, json!({"plugin": "p99"})).await.json();
    assert_eq!(none["approved"], json!([]));
    let approved = desk.post(&all, json!({"plugin": "tags"})).await.json();
    let expected = json!([{"plugin": first["plugin"], "version": first["version"]}]);
    assert_eq!(approved["approved"], expected, "but for the one that was revoked");
    assert_eq!(desk.post(&all, json!({})).await.json()["approved"], json!([]));
    assert_eq!(install(&desk, &tenant, &first).await.status, StatusCode::CREATED);
    assert_eq!(waiting(&desk).await.len(), 1);
}

/// Versions that were installed before the operator wanted to approve them work on, and nobody repairs a run in one.
#[tokio::test]
async fn no_run_is_repaired_or_replayed_in_a_version_that_waits() {
    let desk = Desk::that_approves().await;
    let tenant = desk.tenant("wxone").await;
    let (_, merchant) = desk.token(Some(&tenant)).await;
    let noting = desk.upload(&tenant, "tags", guest::noting()).await.json();
    let body = json!({"plugin": "tags", "version": noting["version"], "grants": ["notes"]});
    let installed = desk.post(&format!("/api/v1/tenants/{tenant}/installations"), body).await.json();
    let at = format!("/api/v1/tenants/{tenant}/installations/{}", installed["id"].as_str().unwrap());
    desk.json(Method::PATCH, &at, json!({"state": "paused"})).await;
    desk.paid(&tenant, "371").await;
    let quiet = desk.upload(&tenant, "tags", guest::quiet()).await.json();
    let change = json!({"state": "active", "version": quiet["version"], "grants": []});
    assert_eq!(desk.json(Method::PATCH, &at, change).await.status, StatusCode::OK);
    desk.lanes.settle().await;
    assert_eq!(runs(&desk, &tenant).await[0]["reason"], "withdrawn");

    let untried = upload_as(&desk, &merchant, &tenant, guest::broken()).await;
    let all = format!("/api/v1/tenants/{tenant}/repairs");
    let plan = desk.post(&all, json!({"version": untried["version"]})).await.json();
    assert_eq!((&plan["runs"], &plan["left"][0]["why"]), (&json!([]), &json!("version-not-approved")), "{plan}");
    let plan = desk.post(&all, json!({"version": "installed"})).await.json();
    assert_eq!(plan["runs"].as_array().unwrap().len(), 1, "{plan}");
    desk.lanes.settle().await;
    assert_eq!(runs(&desk, &tenant).await[0]["state"], "done");

    // One that was installed before works on.
    let old = upload_as(&desk, &merchant, &tenant, guest::telling()).await;
    let new = NewInstallation {
        plugin: old["plugin"].as_str().unwrap().parse().unwrap(),
        version: old["version"].as_str().unwrap().parse().unwrap(),
        grants: ["notes".to_owned()].into(),
        settings: json!({}),
        limits: json!({}),
        schedules: vec![],
    };
    let id = desk.tenants.registry().install(tenant.parse().unwrap(), new).await.unwrap().id;
    desk.paid(&tenant, "372").await;
    let ran = runs(&desk, &tenant).await.into_iter().find(|run| run["installation"] == id.to_string()).unwrap();
    assert_eq!(ran["state"], "done");
    let replay = format!("/api/v1/tenants/{tenant}/runs/{}/replay", ran["id"].as_str().unwrap());
    assert_eq!(desk.post(&replay, json!({})).await.refusal(409), "version-not-approved");
    desk.post(&format!("/api/v1/tenants/{tenant}/approvals"), json!({})).await;
    assert_eq!(desk.post(&replay, json!({})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_version_without_a_signature_is_not_installed_where_one_is_asked_for() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let version = desk.upload(&tenant, "tags", guest::quiet()).await.json();
    assert_eq!(version["signed_by"], Value::Null);
    let keys = ["RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3".to_owned()];
    let desk = desk.changed(|console| console.trusted = Some(TrustedKeys::new(&keys).unwrap()));
    let refused = install(&desk, &tenant, &version).await;
    assert_eq!(refused.refusal(409), "version-not-signed");
    assert!(refused.text.contains("fangshi-signature"), "it says what to do: {}", refused.text);
}
