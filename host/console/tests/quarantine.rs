//! An installation that fails again and again is paused, as one is that the operator stops, and everybody who looks is told why
//! and what to do.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use support::{Answer, Desk, guest};

async fn installed(desk: &Desk, tenant: &str, wasm: Vec<u8>) -> String {
    let version = desk.upload(tenant, "tags", wasm).await.json();
    let body = json!({"plugin": "tags", "version": version["version"], "grants": []});
    let made = desk.post(&format!("/api/v1/tenants/{tenant}/installations"), body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    format!("/api/v1/tenants/{tenant}/installations/{}", made.json()["id"].as_str().unwrap())
}

/// The merchant page, in a language.
async fn page(desk: &Desk, tenant: &str, language: &str) -> Answer {
    let cookie = desk.enter(tenant).await;
    let request = Request::get("/merchant").header("cookie", cookie).header("accept-language", language);
    desk.send(request.body(Body::empty()).unwrap()).await
}

async fn runs(desk: &Desk, tenant: &str) -> Vec<Value> {
    let runs = desk.get(&format!("/api/v1/tenants/{tenant}/runs?limit=200")).await.json();
    runs["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_plugin_that_breaks_down_again_and_again_is_paused_and_says_why() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let limits = json!({"limits": {"quarantine_after": 3}});
    desk.json(Method::PATCH, &format!("/api/v1/tenants/{tenant}"), limits).await;
    let at = installed(&desk, &tenant, guest::broken()).await;
    for order in ["371", "372"] {
        desk.paid(&tenant, order).await;
        assert_eq!(desk.get(&at).await.json()["quarantine"], Value::Null, "not yet");
    }
    desk.paid(&tenant, "373").await;
    let shown = desk.get(&at).await.json();
    let why = &shown["quarantine"];
    assert_eq!((&shown["state"], &why["reason"], &why["faults"]), (&json!("paused"), &json!("quarantined"), &json!(3)));
    assert_eq!((&why["outcome"], &why["figure"]), (&json!("trap"), &Value::Null));
    assert_eq!(why["since"], json!(desk.tenants.clock().now()));
    assert!(why["todo"].as_str().unwrap().contains("`version` that is mended"), "{why}");
    let last = format!("/api/v1/tenants/{tenant}/runs/{}", why["run"].as_str().unwrap());
    assert!(desk.get(&last).await.text.contains("unreachable"), "the run says more");

    // Its events wait; nothing is executed, a retry that is due included.
    desk.paid(&tenant, "374").await;
    desk.hand.advance(60_000);
    desk.lanes.sweep().await.unwrap();
    desk.lanes.settle().await;
    let attempts: u64 = runs(&desk, &tenant).await.iter().map(|run| run["attempts"].as_u64().unwrap()).sum();
    assert_eq!((runs(&desk, &tenant).await.len(), attempts), (4, 3));

    let alerts = desk.get("/api/v1/alerts").await.json();
    let alert =
        alerts["items"].as_array().unwrap().iter().find(|one| one["kind"] == "installation-quarantined").unwrap();
    assert_eq!((&alert["tenant"], &alert["subject"], &alert["count"]), (&json!(tenant), &shown["id"], &json!(1)));
    let audit = desk.get("/api/v1/audit?limit=1").await.json()["items"][0].clone();
    assert_eq!((&audit["action"], &audit["actor"]), (&json!("installation-quarantined"), &json!("system")));
    let english = page(&desk, &tenant, "en").await;
    assert!(english.text.contains("quarantined") && english.text.contains("the plugin broke down"), "{}", english.text);
    let chinese = page(&desk, &tenant, "zh-CN").await;
    assert!(chinese.text.contains("已隔离") && chinese.text.contains("插件连续出错 3 次"), "{}", chinese.text);

    // Resumed it tries again, and is counted anew.
    let resumed = desk.json(Method::PATCH, &at, json!({"state": "active"})).await.json();
    assert_eq!((&resumed["state"], &resumed["quarantine"]), (&json!("active"), &Value::Null));
    desk.lanes.settle().await;
    let again = desk.get(&at).await.json();
    assert_eq!(again["quarantine"]["faults"], 3, "all four runs were due, and failed: {again}");

    // A version that is mended takes its place; what waited does not go on in the one that failed.
    let attempts =
        async || -> u64 { runs(&desk, &tenant).await.iter().map(|run| run["attempts"].as_u64().unwrap()).sum() };
    let before = attempts().await;
    let mended = desk.upload(&tenant, "tags", guest::quiet()).await.json();
    let changed = desk.json(Method::PATCH, &at, json!({"version": mended["version"]})).await.json();
    assert_eq!((&changed["state"], &changed["quarantine"]), (&json!("active"), &Value::Null));
    desk.lanes.settle().await;
    desk.hand.advance(3_600_000);
    desk.lanes.sweep().await.unwrap();
    desk.lanes.settle().await;
    let parked = desk.get(&format!("/api/v1/tenants/{tenant}/runs?parked=true&reason=quarantined")).await.json();
    let parked: Vec<Value> = parked["items"].as_array().unwrap().clone();
    assert_eq!((parked.len(), attempts().await), (4, before), "{parked:?}");
    desk.paid(&tenant, "375").await;
    assert!(runs(&desk, &tenant).await.iter().any(|run| run["state"] == "done"));
    let page = page(&desk, &tenant, "zh-CN").await;
    assert!(page.text.contains("它的版本已被隔离"), "{}", page.text);

    // Repaired they run in the new version, and in no other way.
    let one = format!("/api/v1/tenants/{tenant}/runs/{}/repair", parked[0]["id"].as_str().unwrap());
    assert_eq!(desk.post(&one, json!({})).await.refusal(409), "version-quarantined");
    let all = format!("/api/v1/tenants/{tenant}/repairs");
    let same = desk.post(&all, json!({})).await.json();
    assert_eq!(same["runs"], json!([]));
    assert!(same["left"].as_array().unwrap().iter().all(|left| left["why"] == "version-quarantined"), "{same}");
    let repaired = desk.post(&all, json!({"reason": "quarantined", "version": "installed"})).await.json();
    assert_eq!(repaired["runs"].as_array().unwrap().len(), 4, "{repaired}");
    desk.lanes.settle().await;
    assert!(runs(&desk, &tenant).await.iter().all(|run| run["state"] == "done"));
}

#[tokio::test]
async fn what_the_operator_paused_no_merchant_lets_go_on() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let at = installed(&desk, &tenant, guest::quiet()).await;
    let (_, secret) = desk.token(Some(&tenant)).await;
    let as_merchant = async |method: Method, path: &str, body: Value| {
        let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {secret}"));
        desk.send(request.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap()).await
    };
    let paused_by = async || {
        let shown = desk.get(&at).await.json();
        (shown["state"].clone(), shown["paused_by"].clone())
    };
    let (pause, resume) = (json!({"state": "paused"}), json!({"state": "active"}));
    assert_eq!(paused_by().await, (json!("active"), Value::Null));

    // A merchant's own pause is the merchant's, and the operator's as well.
    assert_eq!(as_merchant(Method::PATCH, &at, pause.clone()).await.json()["paused_by"], "merchant");
    assert_eq!(as_merchant(Method::PATCH, &at, resume.clone()).await.json()["paused_by"], Value::Null);
    as_merchant(Method::PATCH, &at, pause.clone()).await;
    desk.json(Method::PATCH, &at, pause.clone()).await;
    assert_eq!(paused_by().await, (json!("paused"), json!("operator")));

    let refused = as_merchant(Method::PATCH, &at, resume.clone()).await;
    assert_eq!(refused.refusal(409), "paused-by-operator");
    assert_eq!(as_merchant(Method::PATCH, &at, pause.clone()).await.json()["paused_by"], "operator");
    for (language, mark, why, refusal) in [
        (
            "en",
            "paused by your service provider",
            "They alone can resume it",
            "Your service provider paused this plugin",
        ),
        ("zh-CN", "服务商已暂停", "只有服务商可以恢复它", "服务商暂停了这个插件"),
    ] {
        let page = page(&desk, &tenant, language).await.text;
        assert!(page.contains(mark) && page.contains(why) && !page.contains("/resume"), "{page}");
        // A page that was open before has the button still.
        let cookie = desk.enter(&tenant).await;
        let own = Request::get("/merchant").header("cookie", &cookie).body(Body::empty()).unwrap();
        let own = desk.send(own).await.text;
        let proof = own.split("name=\"proof\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        let press = Request::post(format!("/merchant/installations/{}/resume", at.rsplit('/').next().unwrap()))
            .header("cookie", &cookie)
            .header("accept-language", language)
            .header("content-type", "application/x-www-form-urlencoded");
        let answer = desk.send(press.body(Body::from(format!("proof={proof}"))).unwrap()).await;
        assert_eq!(answer.status, StatusCode::CONFLICT);
        assert!(answer.text.contains(refusal), "{}", answer.text);
    }
    desk.paid(&tenant, "371").await;
    assert_eq!(runs(&desk, &tenant).await[0]["state"], "ready", "its events wait");

    // Removed and installed anew it would go on.
    assert_eq!(as_merchant(Method::DELETE, &at, json!({})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(paused_by().await, (json!("removed"), Value::Null));
    let version = desk.get(&at).await.json()["version"].clone();
    let (all, body) = (at.rsplit_once('/').unwrap().0, json!({"plugin": "tags", "version": version, "grants": []}));
    assert_eq!(as_merchant(Method::POST, all, body.clone()).await.refusal(409), "paused-by-operator");
    assert_eq!(desk.post(all, body).await.status, StatusCode::CREATED);
}
