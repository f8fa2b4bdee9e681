//! Settings with a schema: read at the upload, held against at every change, a form on the merchant page; and secrets among
//! them, which nobody is shown again.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use support::{Answer, Desk, PUBLIC_URL, guest};

const SCHEMA: &str = r#"{"type": "object", "required": ["api_key"], "properties": {
    "from": {"type": "integer", "minimum": 1, "default": 100, "title": "From this on", "title_zh": "起点"},
    "mark": {"type": "string", "pattern": "^[^<]*$", "title": "Mark", "title_zh": "标记"},
    "colour": {"type": "string", "enum": ["red", "blue"]},
    "api_key": {"type": "string", "format": "password", "minLength": 8}}}"#;
const KEY: &str = "CANARY-api-key-0123";

struct Shop {
    desk: Desk,
    id: String,
    version: Value,
}

impl Shop {
    async fn new() -> Shop {
        let desk = Desk::new().await;
        let id = desk.tenant("wxone").await;
        let uploaded = desk.upload(&id, "careless", guest::careless(SCHEMA)).await;
        assert_eq!(uploaded.status, StatusCode::CREATED, "{}", uploaded.text);
        Shop { desk, version: uploaded.json(), id }
    }

    fn at(&self, rest: &str) -> String {
        format!("/api/v1/tenants/{}/{rest}", self.id)
    }

    async fn install(&self, settings: Value) -> Answer {
        let body = json!({"plugin": "careless", "version": self.version["version"], "grants": ["notes"], "settings": settings});
        self.desk.post(&self.at("installations"), body).await
    }

    /// The cookie of a session, and the proof that its forms carry.
    async fn enter(&self) -> (String, String) {
        let made = self.desk.post(&self.at("links"), json!({"purpose": "settings"})).await.json();
        let path = made["url"].as_str().unwrap().strip_prefix(PUBLIC_URL).unwrap().to_owned();
        let entered = self.desk.send(Request::post(path).body(Body::empty()).unwrap()).await;
        let cookie = entered.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let page = self.page("/merchant", &cookie).await;
        let proof = page.text.split("name=\"proof\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        (cookie, proof)
    }

    async fn page(&self, path: &str, cookie: &str) -> Answer {
        let request = Request::get(path).header("cookie", cookie).header("accept-language", "en");
        self.desk.send(request.body(Body::empty()).unwrap()).await
    }

    async fn send(&self, path: &str, cookie: &str, form: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::post(path).header("cookie", cookie).header("accept-language", "en");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.desk.send(request.body(Body::from(body)).unwrap()).await
    }
}

#[tokio::test]
async fn a_schema_is_read_at_the_upload_and_one_that_makes_no_form_is_refused() {
    let shop = Shop::new().await;
    assert_eq!(shop.version["settings_schema"], serde_json::from_str::<Value>(SCHEMA).unwrap());
    let plain = shop.desk.upload(&shop.id, "plain", guest::quiet()).await.json();
    assert!(plain.get("settings_schema").is_none(), "{plain}");
    let nested = r#"{"type": "object", "properties": {"a": {"type": "object"}}}"#;
    let refused = shop.desk.upload(&shop.id, "nested", guest::with_schema(guest::quiet(), nested)).await;
    assert_eq!(refused.refusal(422), "settings-schema");
    assert!(refused.text.contains("property `a`: `type` must be"), "{}", refused.text);
}

#[tokio::test]
async fn settings_that_do_not_fit_are_named_one_by_one() {
    let shop = Shop::new().await;
    let refused = shop.install(json!({"from": 0, "colour": "green", "size": 1, "api_key": "CANARY"})).await;
    assert_eq!(refused.refusal(422), "settings-unfit");
    for part in [
        "`from` must be an integer of at least 1",
        "`colour` must be one of",
        "`size` is no setting",
        "`api_key` must be a text of 8 to 10000 characters",
    ] {
        assert!(refused.text.contains(part), "{part}: {}", refused.text);
    }
    assert!(!refused.text.contains("CANARY"), "{}", refused.text);
    assert!(shop.install(json!({})).await.text.contains("`api_key` is missing"));

    let installed = shop.install(json!({"mark": "VIP", "api_key": KEY})).await;
    assert_eq!(installed.status, StatusCode::CREATED, "{}", installed.text);
    let one = shop.at(&format!("installations/{}", installed.json()["id"].as_str().unwrap()));
    let shown = shop.desk.get(&one).await.json();
    assert_eq!((&shown["settings"], &shown["secrets"]), (&json!({"mark": "VIP"}), &json!({"api_key": true})));
    let patch = |change| shop.desk.json(Method::PATCH, &one, change);
    let refused = patch(json!({"settings": {"from": "much"}})).await;
    assert_eq!(refused.refusal(422), "settings-unfit");
    assert_eq!(shop.desk.get(&one).await.json()["settings"], json!({"mark": "VIP"}), "nothing was changed");
    let changed = patch(json!({"settings": {"from": 7, "api_key": ""}})).await.json();
    assert_eq!((&changed["settings"], &changed["secrets"]), (&json!({"from": 7}), &json!({"api_key": true})));
    assert_eq!(patch(json!({"settings": {"api_key": null}})).await.refusal(422), "settings-unfit", "it is required");

    // Another version: what is set must fit it, or be given with it.
    let other = r#"{"type": "object", "required": ["region"], "properties": {"region": {"type": "string"}}}"#;
    let other = shop.desk.upload(&shop.id, "careless", guest::with_schema(guest::noting(), other)).await.json();
    let refused = patch(json!({"version": other["version"]})).await;
    assert_eq!(refused.refusal(422), "settings-unfit");
    for part in ["`region` is missing", "`from` is no setting", "send `settings` that fit"] {
        assert!(refused.text.contains(part), "{part}: {}", refused.text);
    }
    let replaced = patch(json!({"version": other["version"], "settings": {"region": "south"}})).await.json();
    assert_eq!((&replaced["settings"], &replaced["secrets"]), (&json!({"region": "south"}), &json!({"api_key": true})));
    // And back: it was kept.
    let back = patch(json!({"version": shop.version["version"], "settings": {}})).await;
    assert_eq!(back.json()["secrets"], json!({"api_key": true}), "{}", back.text);
}

#[tokio::test]
async fn a_version_without_a_schema_and_new_settings_lose_no_secret_in_silence() {
    let shop = Shop::new().await;
    let installed = shop.install(json!({"mark": "VIP", "api_key": KEY})).await;
    let one = shop.at(&format!("installations/{}", installed.json()["id"].as_str().unwrap()));
    let patch = |change| shop.desk.json(Method::PATCH, &one, change);
    let plain = shop.desk.upload(&shop.id, "careless", guest::noting()).await.json();
    let replaced = patch(json!({"version": plain["version"], "settings": {"any": [1]}})).await;
    assert!(!replaced.text.contains(KEY), "{}", replaced.text);
    let replaced = replaced.json();
    assert_eq!((&replaced["settings"], &replaced["secrets"]), (&json!({"any": [1]}), &json!({"api_key": true})));
    let back = patch(json!({"version": shop.version["version"], "settings": {}})).await;
    assert_eq!(back.json()["secrets"], json!({"api_key": true}), "it is set still: {}", back.text);
    let gone = patch(json!({"version": plain["version"], "settings": {"api_key": null}})).await;
    assert_eq!((&gone.json()["settings"], &gone.json()["secrets"]), (&json!({}), &json!({})), "{}", gone.text);
}

#[tokio::test]
async fn a_form_of_an_older_version_is_not_taken_for_the_one_at_work() {
    let shop = Shop::new().await;
    let installed = shop.install(json!({"from": 7, "api_key": KEY})).await.json();
    let form = format!("/merchant/installations/{}/settings", installed["id"].as_str().unwrap());
    let one = shop.at(&format!("installations/{}", installed["id"].as_str().unwrap()));
    let (cookie, proof) = shop.enter().await;
    let asked = shop.page(&form, &cookie).await;
    let version = shop.version["version"].as_str().unwrap().to_owned();
    assert!(asked.text.contains(&format!("name=\"version\" value=\"{version}\"")), "{}", asked.text);

    // Other choices, and what was open is a secret now.
    let next = r#"{"type": "object", "properties": {
        "from": {"type": "integer"}, "colour": {"type": "string", "enum": ["green", "red", "blue"]},
        "mark": {"type": "string", "format": "password"}, "api_key": {"type": "string"}}}"#;
    let next = shop.desk.upload(&shop.id, "careless", guest::with_schema(guest::noting(), next)).await.json();
    let settings = json!({"from": 8, "api_key": ""});
    let change = json!({"version": next["version"], "settings": settings});
    let replaced = shop.desk.json(Method::PATCH, &one, change).await;
    assert_eq!(replaced.status, StatusCode::OK, "{}", replaced.text);
    let before = replaced.json();

    let typed = [
        ("proof", proof.as_str()),
        ("version", version.as_str()),
        ("s-from", "55"),
        ("s-mark", "CANARY mark"),
        ("s-colour", "1"),
        ("s-api_key", "CANARY-typed-key"),
    ];
    let stale = shop.send(&form, &cookie, &typed).await;
    assert_eq!(stale.status, StatusCode::CONFLICT, "{}", stale.text);
    for part in [
        "since you opened this page another version",
        r#"name="s-from" value="55""#,
        r#"<option value="2" selected>blue"#,
        &format!("name=\"version\" value=\"{}\"", next["version"].as_str().unwrap()),
    ] {
        assert!(stale.text.contains(part), "{part}: {}", stale.text);
    }
    assert!(!stale.text.contains("CANARY"), "neither what was a secret nor what is one: {}", stale.text);
    assert_eq!(shop.desk.get(&one).await.json()["settings"], before["settings"], "nothing was saved");
    // A form from before forms told their version, and one that names none that there is.
    for version in ["", "guess"] {
        let sent = shop.send(&form, &cookie, &[("proof", &proof), ("version", version), ("s-from", "5")]).await;
        assert_eq!(sent.status, StatusCode::CONFLICT, "{version}");
    }
    let chinese = Request::post(&form).header("cookie", &cookie).header("accept-language", "zh-CN");
    let chinese = chinese.header("content-type", "application/x-www-form-urlencoded");
    let chinese = shop.desk.send(chinese.body(Body::from(format!("proof={proof}"))).unwrap()).await;
    assert!(chinese.text.contains("插件换成了另一个版本"), "{}", chinese.text);
    // What the page shows now can be sent.
    let version = next["version"].as_str().unwrap();
    let saved = [("proof", proof.as_str()), ("version", version), ("s-from", "55"), ("s-colour", "2")];
    assert_eq!(shop.send(&form, &cookie, &saved).await.status, StatusCode::SEE_OTHER);
    assert_eq!(shop.desk.get(&one).await.json()["settings"], json!({"from": 55, "colour": "blue"}));
}

#[tokio::test]
async fn a_secret_reaches_the_plugin_and_nobody_else() {
    let shop = Shop::new().await;
    let installed = shop.install(json!({"api_key": KEY})).await;
    let one = shop.at(&format!("installations/{}", installed.json()["id"].as_str().unwrap()));
    let mut told = vec![installed.text];
    shop.desk.paid(&shop.id, "3732676853715311104").await;
    let runs = shop.desk.get(&shop.at("runs")).await;
    let run = runs.json()["items"][0].clone();
    assert_eq!((&run["state"], &run["reason"]), (&json!("rejected"), &json!("reject")), "{run}");
    let detail = shop.desk.get(&shop.at(&format!("runs/{}", run["id"].as_str().unwrap()))).await;
    let attempt = detail.json()["attempt_list"][0].clone();
    assert_eq!(attempt["logs"][1]["text"], "[masked]", "the plugin did read and log it: {attempt}");
    assert_eq!(attempt["reason"], "[masked]");
    let replayed = shop.desk.post(&shop.at(&format!("runs/{}/replay", run["id"].as_str().unwrap())), json!({})).await;
    assert_eq!(replayed.json()["verdict"]["verdict"], "same", "{}", replayed.text);
    let installation = one.rsplit('/').next().unwrap();
    let ask = json!({"installation": installation, "version": shop.version["version"], "events": 5});
    let tested = shop.desk.post(&shop.at("backtests"), ask).await;
    assert_eq!(tested.json()["events"], 1, "{}", tested.text);
    told.extend([runs.text, detail.text, replayed.text, tested.text]);

    // A version without a schema does not open what an earlier one closed.
    let plain = shop.desk.upload(&shop.id, "careless", guest::noting()).await.json();
    let replaced = shop.desk.json(Method::PATCH, &one, json!({"version": plain["version"]})).await;
    assert_eq!(replaced.json()["settings"], json!({}), "{}", replaced.text);
    assert_eq!(replaced.json()["secrets"], json!({"api_key": true}));
    told.push(replaced.text);

    let (cookie, _) = shop.enter().await;
    for path in ["installations", "plugins", "events", "export"] {
        told.push(shop.desk.get(&shop.at(path)).await.text);
    }
    told.push(shop.desk.get("/api/v1/audit").await.text);
    told.push(shop.page("/merchant", &cookie).await.text);
    for text in told {
        assert!(!text.contains(KEY), "{text}");
    }
}

#[tokio::test]
async fn the_merchant_page_makes_a_form_and_tells_what_is_wrong_beside_each_field() {
    let shop = Shop::new().await;
    let (cookie, proof) = shop.enter().await;
    let consent = format!(
        "/merchant/consent/{}/{}",
        shop.version["plugin"].as_str().unwrap(),
        shop.version["version"].as_str().unwrap()
    );
    let asked = shop.page(&consent, &cookie).await;
    for part in ["From this on", r#"name="s-from" value="100""#, r#"type="password" name="s-api_key""#, "<option"] {
        assert!(asked.text.contains(part), "{part}: {}", asked.text);
    }
    let wrong = shop.send(&consent, &cookie, &[("proof", &proof), ("s-from", "0"), ("s-api_key", KEY)]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("A whole number of at least 1.") && !wrong.text.contains(KEY), "{}", wrong.text);
    let right = shop.send(&consent, &cookie, &[("proof", &proof), ("s-from", "100"), ("s-api_key", KEY)]).await;
    assert_eq!(right.status, StatusCode::SEE_OTHER, "{}", right.text);

    let installed = shop.desk.get(&shop.at("installations")).await.json()["items"][0].clone();
    assert_eq!((&installed["settings"], &installed["secrets"]), (&json!({}), &json!({"api_key": true})));
    let form = format!("/merchant/installations/{}/settings", installed["id"].as_str().unwrap());
    assert!(shop.page("/merchant", &cookie).await.text.contains(&form));
    let shown = shop.page(&form, &cookie).await;
    assert!(shown.text.contains("Leave empty to keep it") && !shown.text.contains(KEY), "{}", shown.text);
    assert_eq!(shop.send(&form, &cookie, &[("proof", "guess"), ("s-from", "5")]).await.status, StatusCode::FORBIDDEN);
    let version = shop.version["version"].as_str().unwrap();
    let sent = [("proof", proof.as_str()), ("version", version), ("s-from", "x"), ("s-mark", "<b>")];
    let wrong = shop.send(&form, &cookie, &sent).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    for part in ["It must match", "A whole number", r#"value="&#60;b&#62;""#] {
        assert!(wrong.text.contains(part), "{part}: {}", wrong.text);
    }
    let sent = [("proof", proof.as_str()), ("version", version), ("s-from", "5"), ("s-colour", "1"), ("s-api_key", "")];
    let saved = shop.send(&form, &cookie, &sent).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let installed = shop.desk.get(&shop.at("installations")).await.json()["items"][0].clone();
    assert_eq!(installed["settings"], json!({"from": 5, "colour": "blue"}));
    assert_eq!(installed["secrets"], json!({"api_key": true}));

    // Another shop's are not there.
    let other = shop.desk.tenant("wxtwo").await;
    let stranger = Shop { id: other, ..shop };
    let (cookie, proof) = stranger.enter().await;
    assert_eq!(stranger.page(&form, &cookie).await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        stranger.send(&form, &cookie, &[("proof", &proof), ("s-from", "9")]).await.status,
        StatusCode::NOT_FOUND
    );
}
