//! Three ways to become a tenant: by a link, silently through the service market, and by one's own credentials.
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use fangshi_harness::Admin;
use fangshi_platform::{Platform, Shop};
use serde_json::{Value, json};

use crate::scene::{GIFTS, Member, TEA};
use crate::story::Story;

/// Looks at the host before the demo gives up; one every 20 ms.
const PATIENCE: usize = 1_500;

pub async fn all(admin: &Admin, platform: &Platform, shops: Vec<Shop>, story: &mut Story) -> Result<Vec<Member>> {
    story.title("Onboarding: by a link, silently through the service market, by one's own credentials");
    let mut members = Vec::new();
    for shop in shops {
        let tenant = match shop.appid.as_str() {
            TEA => by_own_credentials(admin, &shop).await?,
            GIFTS => silently(admin, &shop, story).await?,
            _ => by_link(admin, &shop, story).await?,
        };
        let sets = &tenant["permission_sets"];
        let id = tenant["id"].as_str().context("the tenant has no id")?.to_owned();
        story.say(&format!(
            "tenant {id}: {}, {:?}, appid {}, {}, permission sets {}",
            tenant["name"].as_str().unwrap_or_default(),
            shop.kind,
            shop.appid,
            tenant["user_name"].as_str().unwrap_or_default(),
            if sets.is_null() { "unknown".to_owned() } else { sets.to_string() },
        ));
        ensure!(tenant["state"] == "active", "{id} is {}", tenant["state"]);
        // As the platform knows it now: authorizing has changed it.
        let shop = platform.shop(&shop.appid).context("the shop is gone")?;
        members.push(Member { shop, tenant: id });
    }
    Ok(members)
}

/// The operator sends a link; the merchant confirms on the platform's page, which sends the browser back to the host.
async fn by_link(admin: &Admin, shop: &Shop, story: &mut Story) -> Result<Value> {
    story.step(&format!("{}: the operator asks the host for an authorization link", shop.name));
    let link = admin.post("/api/v1/authorizations", &json!({})).await?;
    let id = link["id"].as_str().context("the link has no id")?;
    story.say(&format!("link {id}: a page of the host, and the platform's pages for computer and phone"));
    let browser = reqwest::Client::builder().no_proxy().build()?;
    let page = browser.get(link["page_url"].as_str().unwrap_or_default()).send().await?.text().await?;
    ensure!(page.contains("授权您的微信小店"), "the page of the link shows something else: {page}");
    let confirm = format!("{}&shop={}", link["pc_url"].as_str().unwrap_or_default(), shop.appid);
    let mut result = browser.get(confirm).send().await?;
    let address = result.url().clone();
    let mut text = result.text().await?;
    // The page reloads by itself while the host is at work.
    for _ in 0..PATIENCE {
        if !text.contains("正在完成授权") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        result = browser.get(address.clone()).send().await?;
        text = result.text().await?;
    }
    ensure!(text.contains("授权成功"), "the merchant reads something else: {text}");
    ensure!(!address.as_str().contains("auth_code"), "the authorization code stays in the browser's address");
    story.say("the merchant confirms on the platform's page, comes back and reads 授权成功 · Authorized");
    let done = admin.get(&format!("/api/v1/authorizations/{id}")).await?;
    ensure!(done["state"] == "done", "link {id} is {}: {}", done["state"], done["reason"]);
    admin.get(&format!("/api/v1/tenants/{}", done["tenant"].as_str().unwrap_or_default())).await
}

/// The merchant bought the service in the market before the host started: no page, no event. The list shows it.
async fn silently(admin: &Admin, shop: &Shop, story: &mut Story) -> Result<Value> {
    story.step(&format!("{}: bought in the service market, no event came; the walk of the list finds it", shop.name));
    for _ in 0..PATIENCE {
        let found = admin.all("/api/v1/tenants").await?.into_iter().find(|tenant| tenant["appid"] == json!(shop.appid));
        if let Some(tenant) = found {
            return Ok(tenant);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("the walk did not find {}", shop.appid)
}

/// Its own appid, secret, token and AES key.
async fn by_own_credentials(admin: &Admin, shop: &Shop) -> Result<Value> {
    let body = json!({
        "platform": "weixin", "kind": "self-built", "appid": shop.appid, "user_name": shop.user_name, "name": shop.name,
        "appsecret": shop.appsecret(), "token": shop.token(), "encoding_aes_key": shop.encoding_aes_key(),
    });
    admin.post("/api/v1/tenants", &body).await
}
