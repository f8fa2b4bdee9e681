//! The operator's way: tenant, upload, installation, an event, its run.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Desk, guest};

#[tokio::test]
async fn from_a_tenant_to_the_page_of_a_run() {
    let desk = Desk::new().await;
    let id = desk.tenant("wxone").await;
    let at = |rest: &str| format!("/api/v1/tenants/{id}/{rest}");

    let uploaded = desk.upload(&id, "noting", guest::noting()).await;
    assert_eq!(uploaded.status, StatusCode::CREATED, "{}", uploaded.text);
    let version = uploaded.json();
    assert_eq!(version["hooks"], json!(["on-pay"]));
    assert_eq!(version["grants"][0]["name"], "notes");
    assert_eq!(version["grants"][0]["functions"], json!(["set-merchant-notes"]));
    assert_eq!(version["grants"][0]["sensitivity"], "personal");
    assert_eq!(version["size"].as_u64().unwrap() as usize, guest::noting().len());
    let again = desk.upload(&id, "noting", guest::noting()).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(again.json(), version);
    assert_eq!(desk.get(&at("plugins")).await.json(), json!({"items": [version], "next": null}));

    let body = |grants: &[&str]| json!({"plugin": version["plugin"], "version": version["version"], "grants": grants});
    let refused = desk.post(&at("installations"), body(&[])).await;
    assert_eq!(refused.refusal(422), "grants-missing");
    assert!(refused.text.contains("notes"), "{}", refused.text);
    let refused = desk.post(&at("installations"), body(&["notes", "decode"])).await;
    assert_eq!(refused.refusal(422), "grants-not-asked-for");
    assert!(refused.text.contains("decode"), "{}", refused.text);

    let mut endless = body(&["notes"]);
    endless["limits"] = json!({"deadline_ms": 86_400_000});
    let refused = desk.post(&at("installations"), endless).await;
    assert_eq!(refused.refusal(422), "invalid-body");
    assert!(
        refused.text.contains("deadline_ms must be a whole number from 100 to 60000, not 86400000"),
        "{}",
        refused.text
    );

    let mut good = body(&["notes"]);
    good["settings"] = json!({"mark": "大单"});
    good["limits"] = json!({"fuel": 5_000_000, "effects_per_hour": 3});
    let installed = desk.post(&at("installations"), good).await;
    assert_eq!(installed.status, StatusCode::CREATED, "{}", installed.text);
    let installation = installed.json();
    assert_eq!(installation["state"], "active");
    assert_eq!(installation["settings"], json!({"mark": "大单"}));
    assert_eq!(desk.get(&at("installations")).await.json()["items"], json!([installation]));

    desk.paid(&id, "3732676853715311104").await;
    let events = desk.get(&at("events?order_id=3732676853715311104")).await.json();
    assert_eq!(events["items"][0]["event"], "channels_ec_order_pay");
    assert_eq!(events["items"][0]["state"], "finished");
    assert_eq!(desk.get(&at("events?order_id=1")).await.json()["items"], json!([]));

    let runs = desk.get(&at("runs?order_id=3732676853715311104")).await.json();
    let run = runs["items"][0].clone();
    assert_eq!((&run["state"], &run["hook"]), (&json!("done"), &json!("on-pay")), "{run}");
    assert_eq!(run["installation"], installation["id"]);
    let page = desk.get(&at(&format!("runs/{}", run["id"].as_str().unwrap()))).await;
    let attempt = page.json()["attempt_list"][0].clone();
    assert_eq!(attempt["outcome"], "done");
    assert!(attempt["fuel"].as_u64().unwrap() > 0);
    assert_eq!(attempt["peak_memory"], 65_536);
    let engine: Vec<&str> = attempt["engine"].as_str().unwrap().split(' ').collect();
    assert!(matches!(engine[..], ["wasmtime", _, settings] if settings.len() == 8), "{engine:?}");
    assert_eq!(attempt["logs"][0]["text"], "seen");
    let call = &attempt["calls"][0];
    assert_eq!((&call["name"], &call["result"]), (&json!("notes/set-merchant-notes"), &json!("ok")), "{attempt}");
    assert_eq!(call["request"]["order_id"], "3732676853715311104");
    assert!(!page.text.contains("CANARY"), "the note is masked: {}", page.text);
    assert_eq!(page.json()["effects"][0]["sends"], 1);

    let other = desk.tenant("wxtwo").await;
    let stranger = desk.get(&format!("/api/v1/tenants/{other}/runs/{}", run["id"].as_str().unwrap())).await;
    assert_eq!(stranger.refusal(404), "no-such-run", "another tenant's run does not exist");
}

#[tokio::test]
async fn installations_are_paused_resumed_replaced_and_removed() {
    let desk = Desk::new().await;
    let id = desk.tenant("wxone").await;
    let at = |rest: &str| format!("/api/v1/tenants/{id}/{rest}");
    let first = desk.upload(&id, "marker", guest::quiet()).await.json();
    let second = desk.upload(&id, "marker", guest::noting()).await.json();
    assert_eq!(first["plugin"], second["plugin"]);
    // By its name as well as by its id.
    let body = json!({"plugin": "marker", "version": first["version"], "grants": []});
    let installation = desk.post(&at("installations"), body).await.json();
    let one = at(&format!("installations/{}", installation["id"].as_str().unwrap()));
    let patch = |change| desk.json(Method::PATCH, &one, change);

    assert_eq!(patch(json!({"state": "paused"})).await.json()["state"], "paused");
    desk.paid(&id, "11").await;
    let held = desk.get(&at("runs")).await.json();
    assert!(held["items"].as_array().unwrap().iter().all(|run| run["state"] != "done"), "{held}");
    assert_eq!(patch(json!({"state": "active"})).await.json()["state"], "active");

    let refused = patch(json!({"version": second["version"]})).await;
    assert_eq!(refused.refusal(422), "grants-missing");
    let replaced = patch(json!({"version": second["version"], "grants": ["notes"]})).await;
    assert_eq!(replaced.json()["version"], second["version"]);
    assert_eq!(replaced.json()["grants"], json!(["notes"]));

    for (change, code, part) in [
        (json!({"limits": {"fule": 1}}), "invalid-body", "fule"),
        (json!({"limits": {"fuel": "much"}}), "invalid-body", "limits"),
        (
            json!({"limits": {"fuel": 0}}),
            "invalid-body",
            "fuel must be a whole number from 10000 to 60000000000, not 0",
        ),
        (
            json!({"limits": {"memory_bytes": 1_u64 << 62}}),
            "invalid-body",
            "memory_bytes must be a whole number from 65536",
        ),
        (json!({"limits": {"fule": 1}}), "invalid-body", "effects_per_hour, kv_keys, kv_bytes, echoes"),
        (json!({"settings": []}), "invalid-body", "settings"),
        (json!({"state": "removed"}), "invalid-body", "state"),
        (json!({"stat": "paused"}), "invalid-body", "expected one of `state`, `version`"),
        (json!({"version": "abc"}), "invalid-body", "64 hex digits"),
        (json!({"version": "0".repeat(64)}), "no-such-version", "0000"),
        (json!({"grants": ["notes", "notes"]}), "invalid-body", "twice"),
        (json!({"grants": ["notes", "http:erp.example.com"]}), "grants-not-asked-for", "http:erp.example.com"),
        (json!({"grants": ["notes", "http:127.0.0.1"]}), "host-not-possible", "`127.0.0.1` is an address"),
    ] {
        let answer = patch(change.clone()).await;
        assert_eq!(answer.refusal(422), code, "{change}");
        assert!(answer.text.contains(part), "{change}: {}", answer.text);
    }
    assert_eq!(desk.get(&one).await.json()["grants"], json!(["notes"]), "a refused change changes nothing");

    assert_eq!(
        desk.with_token(Method::DELETE, &one, None, axum::body::Body::empty()).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(desk.get(&one).await.json()["state"], "removed");
    assert_eq!(patch(json!({"state": "active"})).await.refusal(409), "installation-removed");
}

#[tokio::test]
async fn log_lines_hide_phones_and_what_the_calls_hide() {
    let desk = Desk::new().await;
    let id = desk.tenant("wxone").await;
    let at = |path: &str| format!("/api/v1/tenants/{id}/{path}");
    let version = desk.upload(&id, "telling", guest::telling()).await.json();
    let body = json!({"plugin": version["plugin"], "version": version["version"], "grants": ["notes"]});
    assert_eq!(desk.post(&at("installations"), body).await.status, StatusCode::CREATED);
    desk.paid(&id, "13").await;
    let page = desk.get(&at("runs/r1")).await;
    let logs = page.json()["attempt_list"][0]["logs"].clone();
    assert_eq!(logs[0]["text"], "seen");
    assert_eq!(logs[1]["text"], "call [masked] or 139****0775: [masked]");
    assert!(!page.text.contains("13800138000") && !page.text.contains("CANARY"), "{}", page.text);
}

#[tokio::test]
async fn outside_hosts_are_declared_and_approved_one_by_one() {
    let desk = Desk::new().await;
    let id = desk.tenant("wxone").await;
    let uploaded = desk.upload(&id, "caller", guest::calling_out("ERP.example.com\n")).await.json();
    let names: Vec<_> = uploaded["grants"].as_array().unwrap().iter().map(|grant| grant["name"].clone()).collect();
    assert_eq!(names, ["http", "http:erp.example.com"]);
    let declared = &uploaded["grants"][1];
    assert_eq!((&declared["sensitivity"], &declared["functions"]), (&json!("outside"), &json!([])));
    for words in ["meaning", "meaning_zh"] {
        assert!(declared[words].as_str().unwrap().contains("erp.example.com"), "{declared}");
    }
    let path = format!("/api/v1/tenants/{id}/installations");
    let body = |grants: Value| json!({"plugin": "caller", "version": uploaded["version"], "grants": grants});
    for (grants, code, part) in [
        (json!([]), "grants-missing", "http:erp.example.com"),
        (json!(["http"]), "grants-missing", "none is named"),
        (json!(["http:other.example"]), "grants-missing", "http:erp.example.com"),
        (json!(["http:erp.example.com", "http:*.example"]), "host-not-possible", "wildcard"),
        (json!(["http:erp.example.com", "http:erp"]), "host-not-possible", "one part"),
        (json!(["http:erp.example.com", "http:https://a.example"]), "host-not-possible", "no host"),
        (json!(["http:erp.example.com", "http:ERP.example.com:443"]), "invalid-body", "twice"),
        (json!(["http:erp.example.com", "http:a.example", "notes"]), "grants-not-asked-for", "notes"),
    ] {
        let answer = desk.post(&path, body(grants.clone())).await;
        assert_eq!(answer.refusal(422), code, "{grants}");
        assert!(answer.text.contains(part), "{grants}: {}", answer.text);
    }
    let many: Vec<String> = (0..33).map(|number| format!("http:h{number}.example")).collect();
    assert!(desk.post(&path, body(json!(many))).await.text.contains("33 hosts"));
    // Kept in one spelling, whatever was written.
    let given = json!(["http:Erp.Example.com:443", "http:merchant.example:8443"]);
    let installed = desk.post(&path, body(given)).await;
    assert_eq!(installed.status, StatusCode::CREATED, "{}", installed.text);
    assert_eq!(installed.json()["grants"], json!(["http:erp.example.com", "http:merchant.example:8443"]));
    // A version that declares one more is not let in by the old consent.
    let more = desk.upload(&id, "caller", guest::calling_out("erp.example.com\nb.example\n")).await.json();
    let one = format!("{path}/{}", installed.json()["id"].as_str().unwrap());
    let answer = desk.json(Method::PATCH, &one, json!({"version": more["version"]})).await;
    assert_eq!(answer.refusal(422), "grants-missing");
    assert!(answer.text.contains("http:b.example"), "{}", answer.text);
}

#[tokio::test]
async fn a_declared_host_that_cannot_be_approved_keeps_an_upload_out() {
    let desk = Desk::new().await;
    let id = desk.tenant("wxone").await;
    for (hosts, part) in [("erp.example.com\nlocalhost\n", "`localhost` has one part"), ("10.0.0.1\n", "an address")] {
        let answer = desk.upload(&id, "caller", guest::calling_out(hosts)).await;
        assert_eq!(answer.refusal(422), "hosts-unreadable");
        assert!(answer.text.contains(part), "{}", answer.text);
    }
}

#[tokio::test]
async fn tenants_are_paged_changed_and_never_show_a_secret() {
    let desk = Desk::new().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(desk.tenant(&format!("wx{number}")).await);
    }
    let aes = "CANARYghijklmnopqrstuvwxyz0123456789ABCDEFG";
    let body = json!({"kind": "self-built", "appid": "wxown", "user_name": "gh_own", "name": "own",
        "appsecret": "CANARY-appsecret", "token": "CANARYtoken", "encoding_aes_key": aes});
    let own = desk.post("/api/v1/tenants", body).await;
    assert_eq!(own.status, StatusCode::CREATED, "{}", own.text);
    assert_eq!(own.json()["callback_path"], "/callback/weixin/wxown");
    ids.push(own.json()["id"].as_str().unwrap().to_owned());

    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = desk.get(&format!("/api/v1/tenants?limit=2{after}")).await;
        assert!(!page.text.contains("CANARY"), "{}", page.text);
        for tenant in page.json()["items"].as_array().unwrap() {
            seen.push(tenant["id"].as_str().unwrap().to_owned());
        }
        match page.json()["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ids);

    let path = format!("/api/v1/tenants/{}", ids[0]);
    desk.tenants.count_refusal(ids[0].parse().unwrap(), "timestamp");
    let shown = desk.get(&path).await.json();
    assert_eq!(shown["refusals"][0]["reason"], "timestamp");
    assert_eq!(shown["refusals"][0]["count"], 1);

    let change = json!({"state": "suspended", "reason": "unpaid", "name": "new", "access_token": "CANARY-2",
        "access_token_expires_in": 100, "refresh_token": "CANARY-3"});
    let changed = desk.json(Method::PATCH, &path, change).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
    assert!(!changed.text.contains("CANARY"), "{}", changed.text);
    let changed = changed.json();
    assert_eq!((&changed["state"], &changed["suspended_reason"]), (&json!("suspended"), &json!("unpaid")));
    assert_eq!(changed["name"], "new");
    let back = desk.json(Method::PATCH, &path, json!({"state": "active"})).await.json();
    assert_eq!((&back["state"], &back["suspended_reason"]), (&json!("active"), &json!(null)));
    for (change, part) in [
        (json!({"token": "CANARY"}), "`token` is not for tenants of kind authorized"),
        (json!({"reason": "x"}), "`reason`"),
        (json!({"appid": "wx9"}), "unknown field `appid`"),
    ] {
        let answer = desk.json(Method::PATCH, &path, change).await;
        assert_eq!(answer.refusal(422), "invalid-body");
        assert!(answer.text.contains(part), "{}", answer.text);
        assert!(!answer.text.contains("CANARY"), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_parked_run_is_repaired_by_the_operator_and_no_other_run() {
    let desk = Desk::new().await;
    let id = desk.tenant("wxone").await;
    let at = |rest: &str| format!("/api/v1/tenants/{id}/{rest}");
    let version = desk.upload(&id, "quiet", guest::quiet()).await.json();
    let body = json!({"plugin": version["plugin"], "version": version["version"], "grants": []});
    let installation = desk.post(&at("installations"), body).await.json();
    let one = at(&format!("installations/{}", installation["id"].as_str().unwrap()));
    desk.paid(&id, "1").await;
    desk.json(Method::PATCH, &one, json!({"state": "paused"})).await;
    desk.paid(&id, "2").await;
    desk.json(Method::DELETE, &one, json!(null)).await;
    desk.lanes.settle().await;

    let parked = desk.get(&at("runs?parked=true")).await.json()["items"].clone();
    assert_eq!((parked[0]["order_id"].as_str(), parked[0]["reason"].as_str()), (Some("2"), Some("removed")));
    let repair = |run: &str| at(&format!("runs/{run}/repair"));
    let answer = desk.post(&repair(parked[0]["id"].as_str().unwrap()), json!(null)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    assert!(answer.json()["repaired_at"].is_i64(), "{}", answer.text);
    let done = desk.get(&at("runs?order_id=1")).await.json()["items"][0]["id"].clone();
    assert_eq!(desk.post(&repair(done.as_str().unwrap()), json!(null)).await.refusal(409), "not-parked");
    assert_eq!(desk.post(&repair("r999"), json!(null)).await.refusal(404), "no-such-run");
}
