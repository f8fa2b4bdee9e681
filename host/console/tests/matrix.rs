//! The authorization matrix: every operation of the OpenAPI document × every kind of caller, against the real router.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;
use support::{Answer, Desk, TOKEN, guest};

/// Who may use an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Anybody, without a token.
    Open,
    /// Whoever has a token that works.
    Everybody,
    /// Operators, and the merchant of the tenant in the address.
    OwnTenant,
    /// Operators.
    Operators,
}

use Class::{Everybody, Open, Operators, OwnTenant};

/// What is expected of each operation. One without an entry fails the test: decide who may use it.
const TABLE: &[(&str, Class)] = &[
    ("GET /healthz", Open),
    ("GET /readyz", Open),
    ("GET /metrics", Open),
    ("GET /api/v1/openapi.json", Everybody),
    ("GET /api/v1/audit", Everybody),
    ("POST /api/v1/tenants", Operators),
    ("GET /api/v1/tenants", Operators),
    ("GET /api/v1/tenants/{tenant}", OwnTenant),
    ("PATCH /api/v1/tenants/{tenant}", Operators),
    ("POST /api/v1/tenants/{tenant}/plugins", OwnTenant),
    ("GET /api/v1/tenants/{tenant}/plugins", OwnTenant),
    ("POST /api/v1/tenants/{tenant}/plugins/{plugin}/versions/{version}/approval", Operators),
    ("DELETE /api/v1/tenants/{tenant}/plugins/{plugin}/versions/{version}/approval", Operators),
    ("POST /api/v1/tenants/{tenant}/approvals", Operators),
    ("GET /api/v1/approvals", Operators),
    ("POST /api/v1/tenants/{tenant}/installations", OwnTenant),
    ("GET /api/v1/tenants/{tenant}/installations", OwnTenant),
    ("GET /api/v1/tenants/{tenant}/installations/{installation}", OwnTenant),
    ("PATCH /api/v1/tenants/{tenant}/installations/{installation}", OwnTenant),
    ("DELETE /api/v1/tenants/{tenant}/installations/{installation}", OwnTenant),
    ("GET /api/v1/tenants/{tenant}/events", OwnTenant),
    ("GET /api/v1/tenants/{tenant}/reconciliation", OwnTenant),
    ("GET /api/v1/tenants/{tenant}/runs", OwnTenant),
    ("GET /api/v1/tenants/{tenant}/runs/{run}", OwnTenant),
    ("POST /api/v1/tenants/{tenant}/runs/{run}/repair", Operators),
    ("POST /api/v1/tenants/{tenant}/runs/{run}/replay", Operators),
    ("POST /api/v1/tenants/{tenant}/repairs", Operators),
    ("POST /api/v1/tenants/{tenant}/backtests", Operators),
    ("DELETE /api/v1/tenants/{tenant}", Operators),
    ("GET /api/v1/tenants/{tenant}/export", Operators),
    ("POST /api/v1/authorizations", Operators),
    ("GET /api/v1/authorizations", Operators),
    ("GET /api/v1/authorizations/{authorization}", Operators),
    ("GET /api/v1/authorizers", Operators),
    ("GET /api/v1/alerts", Operators),
    ("GET /api/v1/tenants/{tenant}/platform", OwnTenant),
    ("POST /api/v1/tokens", Operators),
    ("GET /api/v1/tokens", Operators),
    ("DELETE /api/v1/tokens/{token}", Operators),
    ("POST /api/v1/tenants/{tenant}/tokens", Operators),
    ("POST /api/v1/tenants/{tenant}/links", Operators),
];

/// The callers, each with what it sends as `Authorization`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    Wrong,
    Unknown,
    Expired,
    Revoked,
    /// A session of the merchant page, sent as a bearer token.
    Session,
    MerchantOwn,
    MerchantOther,
    Operator,
    Root,
}

/// What comes of it.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Let in; what the handler then says is not this test's matter.
    In,
    Unauthorized,
    Forbidden,
    NoSuchTenant,
}

fn expected(who: Who, class: Class, names_a_tenant: bool) -> Outcome {
    match (who, class) {
        (_, Open) | (Who::Operator | Who::Root, _) => Outcome::In,
        (Who::Nobody | Who::Wrong | Who::Unknown | Who::Expired | Who::Revoked | Who::Session, _) => {
            Outcome::Unauthorized
        }
        (Who::MerchantOther, _) if names_a_tenant => Outcome::NoSuchTenant,
        (_, Operators) => Outcome::Forbidden,
        (_, Everybody | OwnTenant) => Outcome::In,
    }
}

fn outcome(answer: &Answer) -> Outcome {
    match answer.status.as_u16() {
        401 => {
            assert_eq!(answer.refusal(401), "unauthorized");
            Outcome::Unauthorized
        }
        403 => {
            assert_eq!(answer.refusal(403), "operators-alone");
            Outcome::Forbidden
        }
        404 if answer.refusal(404) == "no-such-tenant" => Outcome::NoSuchTenant,
        429 | 500.. => panic!("{}", answer.text),
        _ => Outcome::In,
    }
}

/// Every operation of the document, as the document spells it.
fn operations() -> Vec<(Method, String)> {
    let document = serde_json::to_value(fangshi_console::document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let of = |path: &String, item: &serde_json::Value| -> Vec<(Method, String)> {
        let methods = item.as_object().unwrap().keys().filter_map(|method| {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"];
            known.contains(&method.as_str()).then(|| (method, path.clone()))
        });
        methods.collect()
    };
    paths.iter().flat_map(|(path, item)| of(path, item)).collect()
}

struct Scene {
    desk: Desk,
    callers: Vec<(Who, Option<String>)>,
    tenant: String,
    installation: String,
    run: String,
}

async fn scene() -> Scene {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let other = desk.tenant("wxtwo").await;
    let expired = {
        let path = format!("/api/v1/tenants/{tenant}/tokens");
        desk.post(&path, json!({"label": "short", "days": 1})).await.json()["secret"].as_str().unwrap().to_owned()
    };
    desk.hand.advance(25 * 3_600_000);
    let (revoked_id, revoked) = desk.token(Some(&tenant)).await;
    let path = format!("/api/v1/tokens/{revoked_id}");
    assert_eq!(desk.with_token(Method::DELETE, &path, None, Body::empty()).await.status.as_u16(), 204);
    let link = desk.post(&format!("/api/v1/tenants/{tenant}/links"), json!({"purpose": "test"})).await.json();
    let secret = link["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let (_, session) = desk.tenants.access().enter(&secret).await.unwrap().unwrap();
    let session = secrecy::ExposeSecret::expose_secret(&session).to_owned();
    let (_, own) = desk.token(Some(&tenant)).await;
    let (_, stranger) = desk.token(Some(&other)).await;
    let (_, operator) = desk.token(None).await;

    let version = desk.upload(&tenant, "quiet", guest::quiet()).await.json();
    let body = json!({"plugin": "quiet", "version": version["version"], "grants": []});
    let installed = desk.post(&format!("/api/v1/tenants/{tenant}/installations"), body).await.json();
    desk.paid(&tenant, "37").await;
    let runs = desk.get(&format!("/api/v1/tenants/{tenant}/runs")).await.json();
    let bearer = |token: &str| Some(format!("Bearer {token}"));
    Scene {
        callers: vec![
            (Who::Nobody, None),
            (Who::Wrong, bearer("guess")),
            (Who::Unknown, bearer(&format!("fsk_{}", "0".repeat(64)))),
            (Who::Expired, bearer(&expired)),
            (Who::Revoked, bearer(&revoked)),
            (Who::Session, bearer(&session)),
            (Who::MerchantOwn, bearer(&own)),
            (Who::MerchantOther, bearer(&stranger)),
            (Who::Operator, bearer(&operator)),
            (Who::Root, bearer(TOKEN)),
        ],
        tenant,
        installation: installed["id"].as_str().unwrap().to_owned(),
        run: runs["items"][0]["id"].as_str().unwrap().to_owned(),
        desk,
    }
}

impl Scene {
    fn address(&self, path: &str, tenant: &str) -> String {
        let path = path.replace("{tenant}", tenant).replace("{installation}", &self.installation);
        let path = path.replace("{plugin}", "p999").replace("{version}", &"0".repeat(64));
        // A token that nobody has: the others must go on to work.
        path.replace("{run}", &self.run).replace("{token}", "k999").replace("{authorization}", "z999")
    }

    async fn ask(&self, method: &Method, address: &str, authorization: Option<&str>) -> Answer {
        let mut request = Request::builder().method(method.clone()).uri(address);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        // No body: whoever is let in hears about that.
        self.desk.send_from_elsewhere(request.body(Body::empty()).unwrap()).await
    }
}

#[tokio::test]
async fn every_operation_lets_in_whom_it_should_and_nobody_else() {
    let scene = scene().await;
    let operations = operations();
    let spelled: Vec<String> = operations.iter().map(|(method, path)| format!("{method} {path}")).collect();
    for (operation, _) in TABLE {
        assert!(spelled.iter().any(|known| known == operation), "{operation} is in the table and not in the document");
    }
    let mut asked = 0;
    for ((method, path), operation) in operations.iter().zip(&spelled) {
        let entry = TABLE.iter().find(|(known, _)| known == operation);
        let (_, class) = entry.unwrap_or_else(|| panic!("{operation} is not in the table: decide who may use it"));
        let names_a_tenant = path.contains("{tenant}");
        for (who, authorization) in &scene.callers {
            let authorization = authorization.as_deref();
            let answer = scene.ask(method, &scene.address(path, &scene.tenant), authorization).await;
            let expected = expected(*who, *class, names_a_tenant);
            assert_eq!(outcome(&answer), expected, "{operation} by {who:?}: {} {}", answer.status, answer.text);
            if expected == Outcome::In && method == Method::GET {
                // There is no link in this scene: whoever is let in hears that.
                let shown = if path.contains("{authorization}") { 404 } else { 200 };
                assert_eq!(answer.status.as_u16(), shown, "{operation} by {who:?}: {}", answer.text);
            }
            if expected == Outcome::NoSuchTenant {
                // To the letter what an id says that never was.
                let unknown = scene.ask(method, &scene.address(path, "t98765"), authorization).await;
                assert_eq!(unknown.status, answer.status);
                assert_eq!(unknown.text.replace("t98765", &scene.tenant), answer.text, "{operation}");
            }
            asked += 1;
        }
    }
    assert_eq!(asked, TABLE.len() * scene.callers.len());
}

#[tokio::test]
async fn a_merchant_sees_its_own_things_under_its_own_tenant_alone() {
    let scene = scene().await;
    let desk = &scene.desk;
    let other = desk.get("/api/v1/tenants").await.json()["items"][1]["id"].as_str().unwrap().to_owned();
    let of = |wanted: Who| scene.callers.iter().find(|(who, _)| *who == wanted).unwrap().1.clone().unwrap();
    let stranger = of(Who::MerchantOther);
    // Ids of the first tenant under the address of the second.
    for (method, path, code) in [
        (Method::GET, format!("/api/v1/tenants/{other}/installations/{}", scene.installation), "no-such-installation"),
        (
            Method::DELETE,
            format!("/api/v1/tenants/{other}/installations/{}", scene.installation),
            "no-such-installation",
        ),
        (Method::GET, format!("/api/v1/tenants/{other}/runs/{}", scene.run), "no-such-run"),
    ] {
        assert_eq!(scene.ask(&method, &path, Some(&stranger)).await.refusal(404), code, "{path}");
    }
    for list in ["installations", "plugins", "events", "runs"] {
        let answer = scene.ask(&Method::GET, &format!("/api/v1/tenants/{other}/{list}"), Some(&stranger)).await;
        assert_eq!(answer.json()["items"], json!([]), "{list}");
    }

    // The audit: everything for operators, its own for a merchant.
    let everything = desk.get("/api/v1/audit?limit=200").await.json()["items"].as_array().unwrap().clone();
    let count = |tenant: &str| everything.iter().filter(|entry| entry["tenant"] == tenant).count();
    assert!(count("t0") > 0 && count(&scene.tenant) > 5 && count(&other) > 0);
    let own = of(Who::MerchantOwn);
    for address in ["/api/v1/audit?limit=200".to_owned(), format!("/api/v1/audit?limit=200&tenant={}", scene.tenant)] {
        let seen = scene.ask(&Method::GET, &address, Some(&own)).await.json()["items"].as_array().unwrap().clone();
        assert_eq!(seen.len(), count(&scene.tenant), "{address}");
        assert!(seen.iter().all(|entry| entry["tenant"] == scene.tenant.as_str()));
    }
    for tenant in ["t0", &other, "t98765"] {
        let answer = scene.ask(&Method::GET, &format!("/api/v1/audit?tenant={tenant}"), Some(&own)).await;
        assert_eq!(answer.refusal(404), "no-such-tenant", "{tenant}");
    }
    let only = desk.get(&format!("/api/v1/audit?tenant={other}&limit=200")).await.json();
    assert_eq!(only["items"].as_array().unwrap().len(), count(&other));
    // In pages, newest first.
    let first = desk.get("/api/v1/audit?limit=2").await.json();
    let second = desk.get(&format!("/api/v1/audit?limit=2&after={}", first["next"].as_str().unwrap())).await.json();
    let numbers: Vec<i64> = [&first, &second]
        .into_iter()
        .flat_map(|page| page["items"].as_array().unwrap().iter().map(|entry| entry["number"].as_i64().unwrap()))
        .collect();
    let newest = everything.len() as i64;
    assert_eq!(numbers, [newest, newest - 1, newest - 2, newest - 3]);
}

#[tokio::test]
async fn what_a_merchant_does_bears_its_name_and_limits_are_not_its_to_set() {
    let scene = scene().await;
    let (id, secret) = scene.desk.token(Some(&scene.tenant)).await;
    let change = |body: serde_json::Value| {
        Request::patch(format!("/api/v1/tenants/{}/installations/{}", scene.tenant, scene.installation))
            .header("authorization", format!("Bearer {secret}"))
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap()
    };
    for limits in [json!({"fuel": 1_000_000_000}), json!({})] {
        assert_eq!(scene.desk.send(change(json!({"limits": limits}))).await.refusal(403), "operators-alone");
    }
    let install = Request::post(format!("/api/v1/tenants/{}/installations", scene.tenant))
        .header("authorization", format!("Bearer {secret}"))
        .header("content-type", "application/json")
        .body(Body::from(r#"{"plugin": "quiet", "version": "", "grants": [], "limits": {"fuel": 1}}"#))
        .unwrap();
    assert_eq!(scene.desk.send(install).await.refusal(403), "operators-alone");
    assert_eq!(scene.desk.send(change(json!({"state": "paused"}))).await.status.as_u16(), 200);
    let last = scene.desk.get("/api/v1/audit?limit=1").await.json()["items"][0].clone();
    assert_eq!((&last["action"], &last["actor"]), (&json!("installation-paused"), &json!(format!("merchant:{id}"))));
    assert_eq!(last["subjects"][0], json!(scene.installation));
    // Tokens are listed without their secrets.
    let listed = scene.desk.get("/api/v1/tokens?limit=200").await;
    assert!(!listed.text.contains("fsk_") && !listed.text.contains(&secret[4..]));
    assert!(listed.json()["items"].as_array().unwrap().iter().any(|token| token["id"] == id.as_str()));
}
