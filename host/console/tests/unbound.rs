//! A shop whose pushes nobody can tell from another shop's: the operator and the merchant are told.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use fangshi_tenants::{CallbackKeys, Credentials, NewTenant, Platform};
use secrecy::SecretString;
use serde_json::{Value, json};
use support::{Desk, PUBLIC_URL};

/// The first page of the merchant, entered by a new link.
async fn merchant_page(desk: &Desk, tenant: &str) -> String {
    let made = desk.post(&format!("/api/v1/tenants/{tenant}/links"), json!({"purpose": "a test"})).await;
    let path = made.json()["url"].as_str().unwrap().strip_prefix(PUBLIC_URL).unwrap().to_owned();
    let entered = desk.send(Request::post(&path).body(Body::empty()).unwrap()).await;
    assert_eq!(entered.status, StatusCode::SEE_OTHER, "{}", entered.text);
    let cookie = entered.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let page = Request::get("/merchant").header("cookie", cookie).body(Body::empty()).unwrap();
    desk.send(page).await.text
}

/// As onboarding makes one whose account the platform showed without a `user_name`.
async fn nameless(desk: &Desk, appid: &str, credentials: Credentials) -> String {
    let new = NewTenant {
        platform: Platform::Weixin,
        appid: appid.to_owned(),
        user_name: None,
        name: "店".to_owned(),
        credentials,
    };
    desk.tenants.create(new).await.unwrap().id.to_string()
}

#[tokio::test]
async fn a_shop_without_a_user_name_is_warned_of_until_it_has_one() {
    let desk = Desk::new().await;
    let credentials = Credentials::Authorized { access_token: None, expires_in: None, refresh_token: None };
    let id = nameless(&desk, "wxbare", credentials).await;
    let path = format!("/api/v1/tenants/{id}");
    let shown = desk.get(&path).await.json();
    assert_eq!(shown["warnings"][0]["code"], "no-user-name", "{shown}");
    for (language, part) in [("zh", "原始 ID"), ("en", "user_name")] {
        assert!(shown["warnings"][0][language].as_str().unwrap().contains(part), "{shown}");
    }
    assert!(merchant_page(&desk, &id).await.contains("id=\"unbound\""));

    let mended = desk.json(Method::PATCH, &path, json!({"user_name": "gh_bare"})).await;
    assert_eq!(mended.status, StatusCode::OK, "{}", mended.text);
    assert_eq!(desk.get(&path).await.json()["warnings"], Value::Array(Vec::new()));
    assert!(!merchant_page(&desk, &id).await.contains("id=\"unbound\""));
}

/// Its pushes are signed and closed with keys of its own.
#[tokio::test]
async fn a_self_built_shop_needs_no_name_to_be_told_apart() {
    let desk = Desk::new().await;
    let secret = |text: &str| SecretString::from(text.to_owned());
    let callback = CallbackKeys {
        token: secret("token"),
        encoding_aes_key: secret("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"),
        previous_encoding_aes_key: None,
    };
    let id = nameless(&desk, "wxown", Credentials::SelfBuilt { appsecret: secret("s"), callback }).await;
    assert_eq!(desk.get(&format!("/api/v1/tenants/{id}")).await.json()["warnings"], Value::Array(Vec::new()));
}
