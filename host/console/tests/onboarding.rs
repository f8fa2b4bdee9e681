//! A merchant authorizes: the link, the platform's pages, the way back, events, the list; against the fake platform
//! over real HTTP, with everything that can go wrong on the way.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use axum::http::StatusCode;
use fangshi_database::Clock;
use fangshi_platform::{AuthorizationFaults, Fault, NewShop, Platform, Settings, Target};
use fangshi_tenants::Authorizer;
use serde_json::{Value, json};
use support::Desk;

const SHOP: &str = "wxteahouse0000001";
const QUERY_AUTH: &str = "/cgi-bin/component/api_query_auth";

async fn platform() -> Platform {
    let platform = Platform::start(Settings::default()).await.unwrap();
    platform.add_shop(NewShop { name: Some("茶馆".into()), ..NewShop::unauthorized().appid(SHOP) }).unwrap();
    platform
}

/// A browser that follows nothing by itself.
struct Browser(reqwest::Client);

struct Seen {
    status: u16,
    location: Option<String>,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Browser {
    fn new() -> Browser {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Browser(client.build().unwrap())
    }

    async fn open(&self, url: &str) -> Seen {
        let answer = self.0.get(url).send().await.unwrap();
        let headers = answer.headers().clone();
        let location = headers.get("location").map(|to| to.to_str().unwrap().to_owned());
        Seen { status: answer.status().as_u16(), location, headers, text: answer.text().await.unwrap() }
    }
}

/// Everything that is due, as the host's own task does it.
async fn settle(desk: &Desk) {
    let platform: std::sync::Arc<dyn Authorizer> = desk.operations.authorizer();
    while desk.tenants.onboarding().step(&platform).await.unwrap().handled > 0 {}
}

async fn link(desk: &Desk, body: Value) -> Value {
    let answer = desk.post("/api/v1/authorizations", body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    answer.json()
}

async fn state(desk: &Desk, link: &Value) -> Value {
    desk.get(&format!("/api/v1/authorizations/{}", link["id"].as_str().unwrap())).await.json()
}

/// The merchant chooses the shop on the platform's page.
async fn confirm(browser: &Browser, url: &Value, more: &str) -> Seen {
    let (page, fragment) = url.as_str().unwrap().split_once('#').unwrap_or((url.as_str().unwrap(), ""));
    assert!(fragment.is_empty() || fragment == "wechat_redirect");
    browser.open(&format!("{page}&shop={SHOP}{more}")).await
}

async fn tenants(desk: &Desk) -> Vec<Value> {
    desk.get("/api/v1/tenants").await.json()["items"].as_array().unwrap().clone()
}

/// The shop's tokens work: an order is read through them.
async fn assert_works(desk: &Desk, platform: &Platform) {
    let tenants = tenants(desk).await;
    assert_eq!(tenants.len(), 1, "{tenants:?}");
    assert_eq!((&tenants[0]["appid"], &tenants[0]["state"]), (&json!(SHOP), &json!("active")));
    let order = platform.add_order(SHOP, fangshi_platform::NewOrder::default()).unwrap();
    let id = tenants[0]["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(desk.operations.read_order(id, &order).await.unwrap()["order_id"], json!(order));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merchant_authorizes_with_either_link_and_sees_it_done() {
    let browser = Browser::new();
    for url in ["pc_url", "h5_url"] {
        let platform = platform().await;
        let desk = Desk::with_platform(&platform).await;
        let link = link(&desk, json!({"redirect": "https://isv.example.com/back?a=1&b=2"})).await;
        assert_eq!(state(&desk, &link).await["state"], "waiting");

        let page = browser.open(link["page_url"].as_str().unwrap()).await;
        assert_eq!(page.status, 200);
        assert!(
            page.text.contains("在电脑上扫码授权") && page.text.contains("On a phone, inside WeChat"),
            "{}",
            page.text
        );
        assert!(page.text.contains("bindcomponent") && page.text.contains("wechat_redirect"), "{}", page.text);
        assert_eq!(page.headers["referrer-policy"], "origin", "the platform wants to see the domain, and no more");
        let style = browser.open(&format!("{}/authorize/style.css", desk.address)).await;
        assert_eq!(style.headers["content-type"], "text/css; charset=utf-8");

        let back = confirm(&browser, &link[url], "").await;
        let back = back.location.unwrap();
        let code = back.split("auth_code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        let done = browser.open(&back).await;
        assert_eq!(done.status, 303);
        assert_eq!(done.headers["referrer-policy"], "no-referrer");
        let to = done.location.unwrap();
        assert!(to.ends_with("/done") && !to.contains("code"), "{to}");
        settle(&desk).await;
        let result = browser.open(&format!("{}{to}", desk.address)).await;
        assert!(result.text.contains("授权成功") && result.text.contains("茶馆"), "{}", result.text);
        assert!(result.text.contains("https://isv.example.com/back?a=1&#38;b=2"), "{}", result.text);
        for seen in [&done.text, &result.text] {
            assert!(!seen.contains(&code), "the code is echoed");
        }
        assert!(result.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
        assert_eq!(
            (&result.headers["referrer-policy"], &result.headers["cache-control"]),
            (&"no-referrer".parse().unwrap(), &"no-store".parse().unwrap())
        );

        platform.drained().await;
        settle(&desk).await;
        let done = state(&desk, &link).await;
        let shop = tenants(&desk).await[0].clone();
        assert_eq!((&done["state"], &done["tenant"], &done["appid"]), (&json!("done"), &shop["id"], &json!(SHOP)));
        assert_eq!(shop["permission_sets"], json!([130, 131]));
        assert_eq!(shop["user_name"], platform.shop(SHOP).unwrap().user_name);
        assert_works(&desk, &platform).await;
        // The old link says that it is done, and offers no way to authorize.
        let again = browser.open(link["page_url"].as_str().unwrap()).await;
        assert!(again.text.contains("授权成功") && !again.text.contains("componentloginpage"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_gets_lost_on_the_way_is_made_good() {
    let browser = Browser::new();
    // What the platform does; whether the answer to the code is lost.
    let drop_event = AuthorizationFaults { drop_event: true, ..AuthorizationFaults::default() };
    let no_redirect = AuthorizationFaults { no_redirect: true, ..AuthorizationFaults::default() };
    let neither = AuthorizationFaults { drop_event: true, no_redirect: true, delay_event_s: 0 };
    for (faults, lost, code_life_s) in [
        (drop_event, false, 600),
        (drop_event, true, 600),
        (no_redirect, false, 600),
        (no_redirect, true, 600),
        (no_redirect, false, 0),
        (neither, false, 600),
        (AuthorizationFaults::default(), true, 600),
    ] {
        let what = format!("{faults:?}, lost {lost}, {code_life_s} s");
        let platform = platform().await;
        platform.configure(|settings| {
            settings.authorization_faults = faults;
            settings.code_life_s = code_life_s;
        });
        let desk = Desk::with_platform(&platform).await;
        let link = link(&desk, json!({"biz_appid": SHOP})).await;
        if lost {
            platform.fail_next(Target::path(QUERY_AUTH), 1, Fault::Reset { applied: true });
        }
        if let Some(back) = confirm(&browser, &link["pc_url"], "").await.location {
            assert_eq!(browser.open(&back).await.status, 303, "{what}");
        }
        platform.drained().await;
        settle(&desk).await;
        let desk = desk.restart(&platform).await;
        desk.tenants.onboarding().walk(&desk.operations.authorizer()).await.unwrap();
        for _ in 0..400 {
            settle(&desk).await;
            if state(&desk, &link).await["state"] == "done" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let done = state(&desk, &link).await;
        assert_eq!((&done["state"], &done["appid"]), (&json!("done"), &json!(SHOP)), "{what}: {done}");
        assert_works(&desk, &platform).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_replayed_and_foreign_redirects_change_nothing() {
    let browser = Browser::new();
    let platform = platform().await;
    let desk = Desk::with_platform(&platform).await;
    let (mine, other) = (link(&desk, json!({})).await, link(&desk, json!({})).await);
    let page = mine["page_url"].as_str().unwrap().to_owned();
    for path in ["0123", "..", "%2e%2e%2fapi", "%00", "style.css%00"] {
        let seen = browser.open(&format!("{}/authorize/{path}/done?auth_code=x", desk.address)).await;
        assert!(seen.status == 404 && !seen.text.contains("auth_code"), "{path}: {}", seen.status);
    }
    let unknown = browser.open(&format!("{}/authorize/0123", desk.address)).await;
    assert!(unknown.status == 404 && unknown.text.contains("链接无效") && unknown.text.contains("No such link"));

    // A made-up code: refused by the platform, and the true one still works.
    assert_eq!(browser.open(&format!("{page}/done?auth_code=<made-up>")).await.status, 303);
    let refused = browser.open(&format!("{page}/done")).await;
    assert!(refused.text.contains("授权码无效") && !refused.text.contains("made-up"), "{}", refused.text);
    assert_eq!(tenants(&desk).await.len(), 0);
    // The code of somebody else's link, once its event told whose it is.
    let foreign = confirm(&browser, &other["pc_url"], "").await.location.unwrap();
    platform.drained().await;
    let query = foreign.split_once('?').unwrap().1;
    browser.open(&format!("{page}/done?{query}")).await;
    settle(&desk).await;
    assert_eq!(state(&desk, &mine).await["tenant"], Value::Null);
    assert_eq!(state(&desk, &other).await["state"], "done");
    // Replayed.
    let calls = platform.ledger().calls.len();
    browser.open(&foreign).await;
    settle(&desk).await;
    assert_eq!(platform.ledger().calls.len(), calls, "a replay asks the platform");
    desk.tenants.flush_refusals().await.unwrap();
    let counted = desk.tenants.refusals(fangshi_tenants::TenantId::HOST).await.unwrap();
    let count = |reason: &str| counted.iter().find(|one| one.reason == reason).map_or(0, |one| one.count);
    assert!(count("authorize-unknown-link") >= 3, "{counted:?}");
    assert_eq!((count("authorize-code-of-another-link"), count("authorize-replayed")), (1, 1), "{counted:?}");
    assert_works(&desk, &platform).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_link_says_what_to_do_and_another_account_is_no_shop() {
    let browser = Browser::new();
    let platform = platform().await;
    platform.add_shop(NewShop { store: false, ..NewShop::unauthorized().appid("wxpublic") }).unwrap();
    let desk = Desk::with_platform(&platform).await;
    platform.configure(|settings| settings.pre_auth_life_s = 0);
    let over = link(&desk, json!({})).await;
    let page = browser.open(over["page_url"].as_str().unwrap()).await;
    assert!(page.text.contains("链接已过期") && page.text.contains("Ask your service provider"), "{}", page.text);
    let shown = state(&desk, &over).await;
    assert_eq!((&shown["state"], &shown["what_to_do"]), (&json!("expired"), &json!("make a new link")));

    platform.configure(|settings| settings.pre_auth_life_s = 600);
    let link = link(&desk, json!({})).await;
    let url = format!("{}&shop=wxpublic", link["pc_url"].as_str().unwrap());
    let back = browser.open(&url).await.location.unwrap();
    browser.open(&back).await;
    settle(&desk).await;
    let shown = state(&desk, &link).await;
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("failed"), &json!("not-a-shop")));
    let page = browser.open(back.split_once('?').unwrap().0).await;
    assert!(page.text.contains("不是微信小店"), "{}", page.text);
    let listed = desk.get("/api/v1/authorizers").await.json();
    assert_eq!((&listed["items"][0]["appid"], &listed["items"][0]["verdict"]), (&json!("wxpublic"), &json!("other")));
    assert_eq!(tenants(&desk).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_shop_stops_records_and_comes_back() {
    let platform = Platform::start(Settings::manual(Clock::system().now_s())).await.unwrap();
    platform.add_shop(NewShop { name: Some("茶馆".into()), ..NewShop::unauthorized().appid(SHOP) }).unwrap();
    let desk = Desk::with_platform(&platform).await;
    platform.authorize(SHOP, &[130, 131], "").unwrap();
    platform.drained().await;
    settle(&desk).await;
    assert_works(&desk, &platform).await;
    platform.advance(Duration::from_secs(2)).await;
    platform.revoke(SHOP);
    platform.drained().await;
    settle(&desk).await;
    let shop = tenants(&desk).await[0].clone();
    assert_eq!((&shop["state"], &shop["revoked_reason"]), (&json!("revoked"), &json!("unauthorized")), "{shop}");
    assert!(
        shop["revoked_at"].is_i64()
            && shop["what_to_do"]["en"].as_str().unwrap().contains("POST /api/v1/authorizations")
    );
    let id = shop["id"].as_str().unwrap();
    let calls = platform.ledger().calls.len();
    let fault = desk.operations.read_order(id.parse().unwrap(), "1").await.unwrap_err();
    assert_eq!((fault.class.name(), platform.ledger().calls.len()), ("revoked", calls), "nothing is sent");
    // What still comes is recorded.
    platform.add_order(SHOP, fangshi_platform::NewOrder::default()).unwrap();
    platform.drained().await;
    let events = desk.get(&format!("/api/v1/tenants/{id}/events")).await.json();
    assert!(events["items"].as_array().unwrap().iter().any(|event| event["event"] == "channels_ec_order_new"));

    // Authorized again with fewer sets.
    platform.advance(Duration::from_secs(2)).await;
    platform.authorize(SHOP, &[131], "").unwrap();
    platform.drained().await;
    settle(&desk).await;
    assert_works(&desk, &platform).await;
    assert_eq!(tenants(&desk).await[0]["permission_sets"], json!([131]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_call_that_wrongly_hears_61003_revokes_nobody() {
    let platform = platform().await;
    platform.configure(|settings| settings.authorization_faults.drop_event = true);
    let desk = Desk::with_platform(&platform).await;
    platform.authorize(SHOP, &[130, 131], "").unwrap();
    desk.tenants.onboarding().walk(&desk.operations.authorizer()).await.unwrap();
    settle(&desk).await;
    assert_works(&desk, &platform).await;
    let id = tenants(&desk).await[0]["id"].as_str().unwrap().parse().unwrap();
    // One wrong answer of the platform revokes nobody.
    platform.fail_next(Target::shop(SHOP), 1, Fault::Errcode { code: 61003 });
    assert_eq!(desk.operations.read_order(id, "1").await.unwrap_err().class.name(), "revoked");
    settle(&desk).await;
    assert_works(&desk, &platform).await;
}

/// Whether the merchant's page of consent names set 131 as what is missing, and whether it offers to approve.
async fn consent(desk: &Desk, tenant: &str, version: &Value) -> (bool, bool) {
    let made = desk.post(&format!("/api/v1/tenants/{tenant}/links"), json!({"purpose": "consent"})).await.json();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let entered = client.post(made["url"].as_str().unwrap()).send().await.unwrap();
    let cookie = entered.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let (plugin, version) = (version["plugin"].as_str().unwrap(), version["version"].as_str().unwrap());
    let page = format!("{}/merchant/consent/{plugin}/{version}", desk.address);
    let page = client.get(page).header("cookie", cookie).header("accept-language", "en").send().await.unwrap();
    assert_eq!(page.status().as_u16(), 200);
    let text = page.text().await.unwrap();
    (text.contains("permission set 131 (orders, delivery and after-sale)"), text.contains("id=\"approve\""))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_that_is_opened_again_makes_no_work() {
    let (browser, platform) = (Browser::new(), platform().await);
    let desk = Desk::with_platform(&platform).await;
    let link = link(&desk, json!({})).await;
    let back = confirm(&browser, &link["pc_url"], "").await.location.unwrap();
    assert_eq!(browser.open(&back).await.status, 303);
    platform.drained().await;
    settle(&desk).await;
    assert_eq!(state(&desk, &link).await["state"], "done");
    // Something of another account is due; whoever opens the address once more does not do it.
    platform.add_shop(NewShop::unauthorized().appid("wxother0000000001")).unwrap();
    platform.authorize("wxother0000000001", &[131], "").unwrap();
    platform.drained().await;
    let before = platform.ledger().calls.len();
    for _ in 0..3 {
        assert_eq!(browser.open(&back).await.status, 303);
    }
    assert_eq!(platform.ledger().calls.len(), before);
    settle(&desk).await;
    assert_eq!(tenants(&desk).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_needs_the_permission_sets_of_its_operations() {
    let platform = Platform::start(Settings::manual(Clock::system().now_s())).await.unwrap();
    platform.add_shop(NewShop::unauthorized().appid(SHOP)).unwrap();
    let desk = Desk::with_platform(&platform).await;
    platform.authorize(SHOP, &[130], "").unwrap();
    platform.drained().await;
    settle(&desk).await;
    let id = tenants(&desk).await[0]["id"].as_str().unwrap().to_owned();
    let installations = format!("/api/v1/tenants/{id}/installations");
    let uploaded = desk.upload(&id, "noting", support::guest::noting()).await.json();
    let body = json!({"plugin": uploaded["plugin"], "version": uploaded["version"], "grants": ["notes"]});
    let refused = desk.post(&installations, body.clone()).await;
    assert_eq!(refused.refusal(422), "permission-set-missing");
    assert!(refused.text.contains("set 131") && refused.text.contains("changemerchantnotes"), "{}", refused.text);
    assert_eq!(consent(&desk, &id, &uploaded).await, (true, false), "before anybody clicks");
    // A plugin that uses no operation needs none.
    let quiet = desk.upload(&id, "quiet", support::guest::quiet()).await.json();
    let none = json!({"plugin": quiet["plugin"], "version": quiet["version"], "grants": []});
    assert_eq!(desk.post(&installations, none).await.status, StatusCode::CREATED);
    // The merchant grants more: updateauthorized.
    platform.advance(Duration::from_secs(2)).await;
    platform.authorize(SHOP, &[130, 131], "").unwrap();
    platform.drained().await;
    settle(&desk).await;
    assert_eq!(consent(&desk, &id, &uploaded).await, (false, true));
    let installed = desk.post(&installations, body.clone()).await;
    assert_eq!(installed.status, StatusCode::CREATED);
    assert_eq!(tenants(&desk).await[0]["permissions_lacking"], json!([]));

    // The merchant takes it back: visible, and what needs it is refused here, without asking the platform.
    platform.advance(Duration::from_secs(2)).await;
    platform.authorize(SHOP, &[130], "").unwrap();
    platform.drained().await;
    settle(&desk).await;
    assert_eq!(
        tenants(&desk).await[0]["permissions_lacking"],
        json!([{"installation": installed.json()["id"], "permission_set": 131, "operations": ["changemerchantnotes"]}])
    );
    let before = platform.ledger().calls.len();
    let op = fangshi_operations::find("notes", "set-merchant-notes").unwrap();
    let request = json!({"order_id": "1", "merchant_notes": "n"});
    let fault = desk.operations.call(id.parse().unwrap(), op, &request).await.unwrap_err();
    assert_eq!((fault.class, fault.sent), (fangshi_operations::Class::Permission, fangshi_operations::Sent::NotSent));
    assert!(fault.message.contains("131"), "{fault}");
    assert_eq!(platform.ledger().calls.len(), before);
    assert_eq!(consent(&desk, &id, &uploaded).await, (true, false), "and the page of consent says so too");

    // Nobody told what a shop moved in from another system granted.
    let moved = desk.tenant("wxmoved").await;
    let uploaded = desk.upload(&moved, "noting", support::guest::noting()).await.json();
    let body = json!({"plugin": uploaded["plugin"], "version": uploaded["version"], "grants": ["notes"]});
    assert_eq!(desk.post(&format!("/api/v1/tenants/{moved}/installations"), body).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn without_component_or_address_the_answer_says_so() {
    let desk = Desk::with(None).await;
    assert_eq!(desk.post("/api/v1/authorizations", json!({})).await.refusal(409), "no-public-url");
    let own = json!({"kind": "self-built", "appid": "wxown", "user_name": "gh_1", "name": "店", "appsecret": "s",
        "token": "t", "encoding_aes_key": "a".repeat(43)});
    let own = desk.post("/api/v1/tenants", own).await.json();
    let links = format!("/api/v1/tenants/{}/links", own["id"].as_str().unwrap());
    assert_eq!(desk.post(&links, json!({"purpose": "x"})).await.refusal(409), "no-public-url");
    for body in [
        json!({"redirect": "javascript:alert(1)"}),
        json!({"redirect": "/back"}),
        json!({"biz_appid": "wx 1"}),
        json!({"auth_type": 0}),
        json!({"unknown": 1}),
    ] {
        let platform = Platform::start(Settings::default()).await.unwrap();
        let desk = Desk::with_platform(&platform).await;
        assert_eq!(desk.post("/api/v1/authorizations", body.clone()).await.refusal(422), "invalid-body", "{body}");
    }
    assert_eq!(desk.get("/api/v1/authorizations/z9").await.refusal(404), "no-such-authorization");
    assert_eq!(desk.get("/readyz").await.json()["component"], Value::Null);
    let platform = Platform::start(Settings::default()).await.unwrap();
    let desk = Desk::with_platform(&platform).await;
    let ready = desk.get("/readyz").await.json();
    assert_eq!(ready["component"]["ticket"], "good", "{ready}");
}

#[tokio::test]
async fn a_component_with_another_token_than_the_platforms_shows_in_its_readiness() {
    let platform = platform().await;
    let desk = Desk::with_platform(&platform).await;
    assert_eq!(desk.get("/readyz").await.json()["component"]["refusals"], json!([]));
    let push = format!("{}/callback/weixin/component?timestamp=1&nonce=n&encrypt_type=aes", desk.address);
    for _ in 0..2 {
        let url = format!("{push}&msg_signature={}", "0".repeat(40));
        let answer = Browser::new().0.post(url).body("<xml><Encrypt>AAAA</Encrypt></xml>").send().await.unwrap();
        assert_eq!(answer.status(), 401);
    }
    let ready = desk.get("/readyz").await.json();
    let told = &ready["component"]["refusals"][0];
    assert_eq!((&told["reason"], &told["count"]), (&json!("bad_signature"), &json!(2)), "{ready}");
}
