//! Parked runs: found, planned, run again; and what was, executed again.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use axum::http::Method;
use serde_json::{Value, json};
use support::{Desk, guest};

struct Scene {
    desk: Desk,
    tenant: String,
    installation: String,
    noting: Value,
    quiet: Value,
}

impl Scene {
    fn path(&self, rest: &str) -> String {
        format!("/api/v1/tenants/{}/{rest}", self.tenant)
    }

    async fn repairs(&self, body: Value) -> Value {
        let answer = self.desk.post(&self.path("repairs"), body).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
        answer.json()
    }

    async fn change(&self, body: Value) {
        let path = self.path(&format!("installations/{}", self.installation));
        let answer = self.desk.json(Method::PATCH, &path, body).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    }

    async fn runs(&self, query: &str) -> Vec<Value> {
        let answer = self.desk.get(&self.path(&format!("runs{query}"))).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
        answer.json()["items"].as_array().unwrap().clone()
    }
}

/// Three runs that are parked because their version's consent was taken back.
async fn scene() -> Scene {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let noting = desk.upload(&tenant, "notes", guest::noting()).await.json();
    let quiet = desk.upload(&tenant, "notes", guest::quiet()).await.json();
    let body = json!({"plugin": "notes", "version": noting["version"], "grants": ["notes"]});
    let installed = desk.post(&format!("/api/v1/tenants/{tenant}/installations"), body).await.json();
    let installation = installed["id"].as_str().unwrap().to_owned();
    let scene = Scene { desk, tenant, installation, noting, quiet };
    scene.change(json!({"state": "paused"})).await;
    for order in ["37", "38", "39"] {
        scene.desk.paid(&scene.tenant, order).await;
    }
    scene.change(json!({"state": "active", "version": scene.quiet["version"], "grants": []})).await;
    scene.desk.lanes.settle().await;
    assert_eq!(scene.runs("?parked=true").await.len(), 3);
    scene
}

#[tokio::test]
async fn parked_runs_are_found_by_reason_plugin_order_and_time() {
    let scene = scene().await;
    let now = scene.desk.journal.clock().now();
    for (query, count) in [
        ("?parked=true&reason=withdrawn".to_owned(), 3),
        ("?parked=true&reason=attempts".to_owned(), 0),
        ("?parked=true&plugin=notes".to_owned(), 3),
        (format!("?parked=true&plugin={}", scene.quiet["plugin"].as_str().unwrap()), 3),
        ("?parked=true&plugin=p99".to_owned(), 0),
        ("?parked=true&order_id=38".to_owned(), 1),
        (format!("?parked=true&since={now}&until={}", now + 1), 3),
        (format!("?since={}", now + 1), 0),
        (format!("?parked=true&until={now}"), 0),
        ("?reason=withdrawn&order_id=37&plugin=notes&limit=1".to_owned(), 1),
    ] {
        assert_eq!(scene.runs(&query).await.len(), count, "{query}");
    }
    let unknown = scene.desk.get(&scene.path("runs?plugin=nothing")).await;
    assert_eq!(unknown.refusal(422), "no-such-plugin");
}

#[tokio::test]
async fn a_dry_repair_changes_nothing_and_a_real_one_runs_what_it_said() {
    let scene = scene().await;
    let dry = scene.repairs(json!({"dry": true, "version": "installed"})).await;
    assert_eq!((dry["runs"].as_array().unwrap().len(), &dry["dry"], &dry["next"]), (3, &json!(true), &Value::Null));
    assert_eq!(dry["runs"][0]["version_then"], scene.noting["version"]);
    assert_eq!(dry["runs"][0]["version"], scene.quiet["version"]);
    assert_eq!(scene.runs("?parked=true").await.len(), 3, "dry");

    // In the version that they are pinned to they would only be parked again.
    let same = scene.repairs(json!({})).await;
    assert_eq!(same["runs"], json!([]));
    assert!(same["left"].as_array().unwrap().iter().all(|left| left["why"] == "grants-missing"), "{same}");

    let one = scene.repairs(json!({"order_id": "38", "version": scene.quiet["version"]})).await;
    assert_eq!(one["runs"].as_array().unwrap().len(), 1, "{one}");
    let id = one["runs"][0]["id"].clone();
    scene.desk.lanes.settle().await;
    let run = scene.desk.get(&scene.path(&format!("runs/{}", id.as_str().unwrap()))).await.json();
    assert_eq!((&run["state"], &run["version"]), (&json!("done"), &scene.quiet["version"]), "{run}");
    assert!(run["repaired_at"].is_i64());
    let entry = scene.desk.get("/api/v1/audit?limit=1").await.json()["items"][0].clone();
    assert_eq!((&entry["action"], &entry["subjects"]), (&json!("runs-repaired"), &json!([id])), "{entry}");

    let named = scene.repairs(json!({"runs": [id, "r1", "r99"], "version": "installed"})).await;
    assert_eq!(named["runs"].as_array().unwrap().len(), 1, "{named}");
    assert_eq!(named["left"].as_array().unwrap().len(), 2, "one is done, one never was: {named}");
    let rest = scene.repairs(json!({"reason": "withdrawn", "since": 0, "version": "installed"})).await;
    assert_eq!(rest["runs"].as_array().unwrap().len(), 1, "{rest}");
    scene.desk.lanes.settle().await;
    assert!(scene.runs("?parked=true").await.is_empty());

    for (body, code) in [
        (json!({"version": "newest"}), "no-such-version"),
        (json!({"runs": []}), "invalid-body"),
        (json!({"runs": ["x"]}), "invalid-body"),
        (json!({"after": "x"}), "invalid-body"),
        (json!({"runs": ["r1"], "after": "r2"}), "invalid-body"),
        (json!({"plugin": "nothing"}), "no-such-plugin"),
        (json!({"all": true}), "invalid-body"),
    ] {
        assert_eq!(scene.desk.post(&scene.path("repairs"), body.clone()).await.refusal(422), code, "{body}");
    }
}

/// More than one answer takes can't run again, and is found every time.
#[tokio::test]
async fn runs_that_stay_as_they_are_do_not_stand_before_older_ones() {
    let scene = scene().await;
    scene.change(json!({"state": "paused"})).await;
    let version = scene.desk.upload(&scene.tenant, "other", guest::noting()).await.json();
    let body = json!({"plugin": "other", "version": version["version"], "grants": ["notes"]});
    let other = scene.desk.post(&scene.path("installations"), body).await.json();
    let other = scene.path(&format!("installations/{}", other["id"].as_str().unwrap()));
    scene.desk.json(Method::PATCH, &other, json!({"state": "paused"})).await;
    for order in 0..200 {
        scene.desk.paid(&scene.tenant, &format!("4{order}")).await;
    }
    let removed = scene.desk.json(Method::DELETE, &other, json!({})).await;
    assert!(removed.status.is_success(), "{}", removed.text);
    scene.desk.lanes.settle().await;

    let first = scene.repairs(json!({"version": "installed"})).await;
    assert_eq!((first["runs"].as_array().unwrap().len(), first["left"].as_array().unwrap().len()), (0, 200));
    assert!(first["left"].as_array().unwrap().iter().all(|left| left["why"] == "installation-removed"), "{first}");
    assert!(first["next"].is_string(), "{first}");
    let rest = scene.repairs(json!({"version": "installed", "after": first["next"]})).await;
    assert_eq!((rest["runs"].as_array().unwrap().len(), &rest["left"], &rest["next"]), (3, &json!([]), &Value::Null));
}

#[tokio::test]
async fn runs_are_replayed_and_versions_tried_over_them() {
    let scene = scene().await;
    scene.repairs(json!({"version": "installed"})).await;
    scene.desk.lanes.settle().await;
    let replay = |run: &str| scene.path(&format!("runs/{run}/replay"));
    let done = scene.desk.post(&replay("r1"), json!({})).await.json();
    assert_eq!((&done["verdict"]["verdict"], &done["attempt"]), (&json!("same"), &json!(2)), "{done}");
    assert_eq!(scene.desk.post(&replay("r1"), json!({"attempt": 1})).await.refusal(409), "nothing-to-replay");
    assert_eq!(scene.desk.post(&replay("r1"), json!({"attempt": 9})).await.refusal(404), "no-such-run");
    assert_eq!(scene.desk.post(&replay("r77"), json!({})).await.refusal(404), "no-such-run");

    let body = json!({"installation": scene.installation, "version": scene.noting["version"], "grants": ["notes"]});
    let report = scene.desk.post(&scene.path("backtests"), body.clone()).await;
    assert!(!report.text.contains("CANARY"), "{}", report.text);
    let report = report.json();
    assert_eq!((&report["events"], &report["totals"]["added"]), (&json!(3), &json!(3)), "{report}");
    assert_eq!(report["items"][0]["added"][0]["operation"], "notes/set-merchant-notes");
    let table = scene.desk.post(&scene.path("backtests?form=table"), body).await;
    assert!(table.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert!(table.text.contains("+ notes/set-merchant-notes") && !table.text.contains("CANARY"), "{}", table.text);

    let address = scene.path("backtests");
    let ask = |change: Value| {
        let mut body = json!({"installation": scene.installation, "version": scene.noting["version"]});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        scene.desk.post(&address, body)
    };
    let digest = "0".repeat(64);
    assert_eq!(ask(json!({})).await.refusal(422), "grants-missing");
    assert_eq!(ask(json!({"version": digest})).await.refusal(422), "no-such-version");
    assert_eq!(ask(json!({"installation": "i77"})).await.refusal(422), "no-such-installation");
    assert_eq!(ask(json!({"events": 0})).await.refusal(422), "invalid-body");
}
