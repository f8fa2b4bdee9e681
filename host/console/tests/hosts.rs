//! Hosts that were approved, after the operator switched requests off or denied some: they can be taken back, and none comes to them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use axum::http::{Method, StatusCode};
use fangshi_operations::{DeniedHosts, OutsideConfig};
use serde_json::{Value, json};
use support::{Desk, guest};

/// A plugin at work that declares a host and was granted two more; the tenant, the plugin with its version, the installation.
async fn installed(desk: &Desk) -> (String, Value, String) {
    let tenant = desk.tenant("wxone").await;
    let version = desk.upload(&tenant, "caller", guest::calling_out("erp.example.com\n")).await.json();
    let grants = json!(["http:erp.example.com", "http:a.example", "http:b.evil.example"]);
    let body = json!({"plugin": "caller", "version": version["version"], "grants": grants});
    let made = desk.post(&format!("/api/v1/tenants/{tenant}/installations"), body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let path = format!("/api/v1/tenants/{tenant}/installations/{}", made.json()["id"].as_str().unwrap());
    (tenant, version, path)
}

fn without_http() -> OutsideConfig {
    OutsideConfig { enabled: false, ..OutsideConfig::default() }
}

fn denying() -> OutsideConfig {
    let denied = DeniedHosts::new(&[".evil.example".to_owned()]).unwrap();
    OutsideConfig { denied, own_name: Some("plugins.example.com".into()), ..OutsideConfig::default() }
}

#[tokio::test]
async fn what_is_granted_can_be_narrowed_while_nothing_may_be_granted() {
    let desk = Desk::new().await;
    let (tenant, version, one) = installed(&desk).await;
    let desk = desk.reaching(without_http()).await;
    let patch = async |grants: Value| desk.json(Method::PATCH, &one, json!({ "grants": grants })).await;
    let more = patch(json!(["http:erp.example.com", "http:c.example"])).await;
    assert_eq!(more.refusal(422), "http-off", "a host that is new");
    let less = patch(json!(["http:ERP.example.com:443", "http:a.example"])).await;
    assert_eq!(less.status, StatusCode::OK, "{}", less.text);
    assert_eq!(less.json()["grants"], json!(["http:a.example", "http:erp.example.com"]));
    assert_eq!(patch(json!(["http:erp.example.com", "http:b.evil.example"])).await.refusal(422), "http-off");
    // A new installation sends nothing, and has nothing to keep.
    let body = json!({"plugin": "caller", "version": version["version"], "grants": ["http:erp.example.com"]});
    let again = desk.post(&format!("/api/v1/tenants/{tenant}/installations"), body).await;
    assert_eq!(again.refusal(422), "http-off");
}

#[tokio::test]
async fn a_host_that_the_operator_denies_is_not_approved_and_may_stay_until_it_is_taken_back() {
    let desk = Desk::new().await;
    let (tenant, version, one) = installed(&desk).await;
    let desk = desk.reaching(denying()).await;
    let patch = async |grants: Value| desk.json(Method::PATCH, &one, json!({ "grants": grants })).await;
    for denied in ["http:evil.example", "http:X.evil.example:8443", "http:plugins.example.com"] {
        let answer = patch(json!(["http:erp.example.com", denied])).await;
        assert_eq!(answer.refusal(422), "host-denied", "{denied}");
        let body =
            json!({"plugin": "caller", "version": version["version"], "grants": ["http:erp.example.com", denied]});
        let answer = desk.post(&format!("/api/v1/tenants/{tenant}/installations"), body).await;
        assert_eq!(answer.refusal(422), "host-denied", "{denied}");
    }
    let kept = patch(json!(["http:erp.example.com", "http:b.evil.example"])).await;
    assert_eq!(kept.status, StatusCode::OK, "taking another back is refused: {}", kept.text);
    assert_eq!(patch(json!(["http:erp.example.com"])).await.status, StatusCode::OK);
    assert_eq!(patch(json!(["http:erp.example.com", "http:b.evil.example"])).await.refusal(422), "host-denied");
}
