//! The merchant page in a real browser: headless Chromium, driven through chromedriver.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use fangshi_harness::{Admin, HostConfig, HostProcess, guest};
use fangshi_platform::{NewOrder, NewShop, Platform, Settings, Step};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;

/// How long a page may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// chromedriver on a free port; ended when dropped.
struct Driver {
    child: Child,
    address: String,
}

impl Driver {
    fn start() -> Driver {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("chromedriver: {error}; `cargo xtask test` installs it (Debian: chromium-driver)")
            });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // "ChromeDriver was started successfully on port 40123."
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split("started successfully on port ").nth(1).map(|port| port.trim_end_matches('.').to_owned())
            })
            .unwrap();
        // Read on, or it stops at a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Driver { child, address: format!("http://127.0.0.1:{port}") }
    }

    /// A fresh browser that asks for pages in this language.
    async fn browser(&self, profile: &Path, language: &str) -> Client {
        let arguments = [
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--window-size=1000,1400".to_owned(),
            format!("--accept-lang={language}"),
            format!("--user-data-dir={}", profile.display()),
        ];
        let wanted = json!({"goog:chromeOptions": {"args": arguments, "prefs": {"intl.accept_languages": language}}});
        ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted.as_object().unwrap().clone())
            .connect(&self.address)
            .await
            .unwrap()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for an element.
async fn find(browser: &Client, css: &str) -> fantoccini::elements::Element {
    match browser.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await {
        Ok(element) => element,
        Err(error) => panic!("no {css}: {error}\n{}", text(browser).await),
    }
}

async fn click(browser: &Client, css: &str) {
    find(browser, css).await.click().await.unwrap();
}

async fn text(browser: &Client) -> String {
    browser.find(Locator::Css("body")).await.unwrap().text().await.unwrap()
}

/// Keeps a picture of the page, for people, where `FANGSHI_SCREENSHOTS` says.
async fn picture(browser: &Client, name: &str) {
    if let Some(folder) = std::env::var_os("FANGSHI_SCREENSHOTS") {
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), browser.screenshot().await.unwrap()).unwrap();
    }
}

async fn tenant(admin: &Admin, platform: &Platform, name: &str) -> (String, String) {
    let shop = platform.add_shop(NewShop::authorized()).unwrap();
    let tokens = platform.issue_tokens(&shop.appid).unwrap();
    let body = json!({
        "platform": "weixin", "kind": "authorized", "appid": shop.appid, "user_name": shop.user_name, "name": name,
        "access_token": tokens.access(), "refresh_token": tokens.refresh(),
    });
    let made = admin.post("/api/v1/tenants", &body).await.unwrap();
    (made["id"].as_str().unwrap().to_owned(), shop.appid.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_uploads_reads_approves_and_pauses() {
    let platform = Platform::start(Settings::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = HostConfig::of(&platform, "");
    let host = HostProcess::start(folder.path(), &config).unwrap();
    platform.point_at(&host.address);
    let admin = host.admin();
    let (own, appid) = tenant(&admin, &platform, "云溪茶铺").await;
    let (other, _) = tenant(&admin, &platform, "别人的店").await;
    // The other shop's plugin, to reach for.
    let foreign = admin.upload(&other, "foreign", guest("settings-only").unwrap()).await.unwrap();
    let grants: Vec<String> =
        foreign["grants"].as_array().unwrap().iter().map(|grant| grant["name"].as_str().unwrap().to_owned()).collect();
    let grants: Vec<&str> = grants.iter().map(String::as_str).collect();
    let foreign_installation = admin.install(&other, &foreign, &grants, json!({})).await.unwrap();
    let link = admin.post(&format!("/api/v1/tenants/{own}/links"), &json!({"purpose": "first plugin"})).await.unwrap();
    let link = link["url"].as_str().unwrap().to_owned();
    assert!(link.starts_with(&host.address), "{link}");

    let driver = Driver::start();
    let profile = tempfile::tempdir().unwrap();
    let browser = driver.browser(profile.path(), "en-GB,en").await;

    // Without a session there is nothing to see.
    browser.goto(&format!("{}/merchant", host.address)).await.unwrap();
    assert!(text(&browser).await.contains("Enter by a link first"));

    // In the browser's language at first; then Chinese by the switch.
    browser.goto(&link).await.unwrap();
    assert!(text(&browser).await.contains("Manage your shop's plugins"));
    click(&browser, "#chinese").await;
    browser.wait().at_most(PATIENCE).for_element(Locator::Css("html[lang=zh-CN]")).await.unwrap();
    picture(&browser, "1-enter").await;
    click(&browser, "#enter").await;
    find(&browser, "#upload").await;
    let shown = text(&browser).await;
    assert!(shown.contains("云溪茶铺") && shown.contains("还没有插件"), "{shown}");
    assert!(browser.current_url().await.unwrap().path() == "/merchant", "the secret has left the address");

    // A wrong file: what is wrong and what to do, in either language.
    let wrong = folder.path().join("notes.wasm");
    std::fs::write(&wrong, "not a plugin").unwrap();
    find(&browser, "#file").await.send_keys(&wrong.display().to_string()).await.unwrap();
    click(&browser, "#upload").await;
    let trouble = find(&browser, "#trouble").await.text().await.unwrap();
    assert!(trouble.contains("这不是插件文件") && trouble.contains("请确认选对了文件"), "{trouble}");
    picture(&browser, "2-trouble").await;

    // The right one: the page of consent.
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests/large-order-note.wasm");
    find(&browser, "#file").await.send_keys(&file.canonicalize().unwrap().display().to_string()).await.unwrap();
    click(&browser, "#upload").await;
    find(&browser, "#approve").await;
    let consent = text(&browser).await;
    let price = "读取订单金额、结算费用，以及推广者的昵称、账号 ID 和佣金";
    for part in ["买家付款时", "修改订单的商家备注", price, "个人信息", "金额"] {
        assert!(consent.contains(part), "{part} is not in {consent}");
    }
    picture(&browser, "3-consent").await;
    click(&browser, "#english").await;
    browser.wait().at_most(PATIENCE).for_element(Locator::Css("html[lang=en]")).await.unwrap();
    let consent = text(&browser).await;
    for part in ["When a buyer pays", "Replace the merchant's note on an order", "personal data", "money"] {
        assert!(consent.contains(part), "{part} is not in {consent}");
    }
    let installations = admin.all(&format!("/api/v1/tenants/{own}/installations")).await.unwrap();
    assert!(installations.is_empty(), "nothing is installed before the consent");
    click(&browser, "#approve").await;
    find(&browser, "article.item .mark.on").await;
    let installation = admin.all(&format!("/api/v1/tenants/{own}/installations")).await.unwrap().remove(0);
    assert_eq!(installation["state"], "active");
    let mut granted: Vec<&str> = installation["grants"].as_array().unwrap().iter().filter_map(|g| g.as_str()).collect();
    granted.sort_unstable();
    assert_eq!(granted, ["notes", "order-price", "order-summary"], "exactly what was shown");

    // Its settings: what is wrong stands beside its field, what is right is kept.
    click(&browser, "a.settings-of").await;
    let mark = find(&browser, "#s-mark").await;
    assert_eq!(mark.prop("value").await.unwrap().as_deref(), Some("大额订单"), "the default");
    assert!(text(&browser).await.contains("From this total on"));
    mark.clear().await.unwrap();
    mark.send_keys("VIP").await.unwrap();
    let threshold = find(&browser, "#s-threshold").await;
    threshold.clear().await.unwrap();
    threshold.send_keys("-5").await.unwrap();
    // The browser would not send it; the host must not need the browser.
    browser.execute("document.querySelector('form.settings').noValidate = true", vec![]).await.unwrap();
    click(&browser, "#save").await;
    let problem = find(&browser, "[data-setting=threshold] .problem").await.text().await.unwrap();
    assert_eq!(problem, "A whole number of at least 0.");
    picture(&browser, "5-settings").await;
    let threshold = find(&browser, "#s-threshold").await;
    threshold.clear().await.unwrap();
    threshold.send_keys("60000").await.unwrap();
    click(&browser, "#save").await;
    find(&browser, "article.item .mark.on").await;
    let installation = admin.all(&format!("/api/v1/tenants/{own}/installations")).await.unwrap().remove(0);
    assert_eq!(installation["settings"], json!({"threshold": 60_000, "mark": "VIP"}));

    // An order is paid; its run shows.
    let order = platform.add_order(&appid, NewOrder::priced(66_600)).unwrap();
    platform.drive(&order, Step::Pay).unwrap();
    let mut seen = String::new();
    for _ in 0..200 {
        platform.drained().await;
        browser.goto(&format!("{}/merchant", host.address)).await.unwrap();
        seen = text(&browser).await;
        if seen.contains("done") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(seen.contains("done") && seen.contains("When a buyer pays"), "{seen}");
    picture(&browser, "4-home").await;

    // Paused, and back to work.
    click(&browser, "article.item form button").await;
    find(&browser, "article.item .mark.off").await;
    let id = installation["id"].as_str().unwrap();
    let state = admin.get(&format!("/api/v1/tenants/{own}/installations/{id}")).await.unwrap()["state"].clone();
    assert_eq!(state, "paused");
    click(&browser, "article.item form button").await;
    find(&browser, "article.item .mark.on").await;

    // What is another shop's is not there, whoever knows its ids.
    let version = foreign["version"].as_str().unwrap();
    let plugin = foreign["plugin"].as_str().unwrap();
    browser.goto(&format!("{}/merchant/consent/{plugin}/{version}", host.address)).await.unwrap();
    assert!(text(&browser).await.contains("Not found"));
    browser.goto(&format!("{}/merchant", host.address)).await.unwrap();
    let foreign_id = foreign_installation["id"].as_str().unwrap();
    // The page's own form, bent to the other's installation: its proof is good, the id is not.
    let bend = format!(
        "const form = document.querySelector('article.item form'); form.action = '/merchant/installations/{foreign_id}/pause'; form.submit();"
    );
    // Scripts of pages are forbidden; the driver's own are not.
    browser.execute(&bend, vec![]).await.unwrap();
    browser.wait().at_most(PATIENCE).for_element(Locator::Css(".middle")).await.unwrap();
    assert!(text(&browser).await.contains("Not found"));
    let state =
        admin.get(&format!("/api/v1/tenants/{other}/installations/{foreign_id}")).await.unwrap()["state"].clone();
    assert_eq!(state, "active");
    // The cookie opens no API, and no script of the page could read it.
    browser.goto(&format!("{}/api/v1/tenants/{own}", host.address)).await.unwrap();
    assert!(text(&browser).await.contains("unauthorized"));
    browser.goto(&format!("{}/merchant", host.address)).await.unwrap();
    let readable = browser.execute("return document.cookie", vec![]).await.unwrap();
    assert_eq!(readable, json!(""));

    // The link is used up; leaving ends the session.
    browser.goto(&link).await.unwrap();
    assert!(text(&browser).await.contains("no longer good"));
    browser.goto(&format!("{}/merchant", host.address)).await.unwrap();
    click(&browser, "#leave").await;
    browser.wait().at_most(PATIENCE).for_element(Locator::Css(".middle")).await.unwrap();
    browser.goto(&format!("{}/merchant", host.address)).await.unwrap();
    assert!(text(&browser).await.contains("Enter by a link first"));
    browser.close().await.unwrap();

    // All of it bears the session's name.
    let audit = admin.get(&format!("/api/v1/audit?tenant={own}&limit=200")).await.unwrap();
    let merchant: Vec<&str> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .filter(|entry| entry["actor"].as_str().unwrap().starts_with("merchant:"))
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    let expected = [
        "link-used",
        "plugin-uploaded",
        "installation-made",
        "installation-changed",
        "installation-paused",
        "installation-resumed",
        "access-token-revoked",
    ];
    assert_eq!(merchant, expected);
    assert_eq!(host.terminate().unwrap(), Some(0));
}
