//! Secrets and buyer data stay where they belong: planted canaries are found in no log, database file, metric or page.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::{fs, path::Path};

use fangshi_harness::{HostConfig, HostProcess, OPERATOR_TOKEN, guest};
use fangshi_platform::{Address, NewOrder, NewShop, Platform, Settings, Step};
use serde_json::json;

const RECIPIENT: &str = "CANARY收件人";
const STREET: &str = "CANARY街 1 号";
const PHONE: &str = "13977700421";

#[tokio::test(flavor = "multi_thread")]
async fn canaries_are_found_nowhere() {
    let platform = Platform::start(Settings::default()).await.unwrap();
    let component = platform.component();
    let folder = tempfile::tempdir().unwrap();
    HostConfig::of(&platform, "").write(folder.path()).unwrap();
    let loud = [("RUST_LOG".to_owned(), "trace,hyper=trace,hyper_util=trace,reqwest=trace".to_owned())];
    let host = HostProcess::start_again(folder.path(), &loud).unwrap();
    let admin = host.admin();
    // Without virtual numbers a decode gives the phone in clear as well.
    let shop = platform.add_shop(NewShop { virtual_numbers: false, ..NewShop::authorized() }).unwrap();
    let tokens = platform.issue_tokens(&shop.appid).unwrap();
    let tenant = admin
        .post(
            "/api/v1/tenants",
            &json!({
                "platform": "weixin", "kind": "authorized", "appid": shop.appid, "user_name": shop.user_name, "name": "a shop",
                "access_token": tokens.access(), "refresh_token": tokens.refresh(),
            }),
        )
        .await
        .unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    platform.point_at(&host.address);
    let uploaded = admin.upload(&tenant, "large-order-note", guest("large-order-note").unwrap()).await.unwrap();
    let settings = json!({"threshold": 1, "mark": "CANARY-SETTING"});
    admin.install(&tenant, &uploaded, &["notes", "order-price", "order-summary"], settings).await.unwrap();
    // The platform masks recipient and phone in whatever it shows but the answer of a decode.
    let uploaded = admin.upload(&tenant, "wide-import", guest("wide-import").unwrap()).await.unwrap();
    admin.install(&tenant, &uploaded, &["decode"], json!({})).await.unwrap();

    let order = platform
        .add_order(
            &shop.appid,
            NewOrder {
                openid: "oCANARYopenid000000000000001".into(),
                customer_notes: "CANARY-BUYER-NOTE".into(),
                address: Address {
                    user_name: RECIPIENT.into(),
                    detail_info: STREET.into(),
                    tel_number: PHONE.into(),
                    ..Address::default()
                },
                ..NewOrder::priced(66_600)
            },
        )
        .unwrap();
    // The planted token dies, so that a refresh happens under the eyes of the log.
    platform.expire_tokens(&shop.appid);
    platform.drive(&order, Step::Pay).unwrap();
    let mut done = false;
    for _ in 0..600 {
        platform.drained().await;
        let runs = admin.all(&format!("/api/v1/tenants/{tenant}/runs")).await.unwrap();
        done = runs.len() == 2 && runs.iter().all(|run| run["state"] == "done");
        if done && admin.get("/readyz").await.unwrap()["backlog"]["events"] == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(done, "the runs did not end");
    let note = platform.order(&order).unwrap()["order_detail"]["ext_info"]["merchant_notes"].clone();
    assert_eq!(note, "CANARY-SETTING", "the plugin did its work");

    let mut pages = admin.get("/metrics").await.unwrap().to_string();
    for path in ["tenants", &format!("tenants/{tenant}/events"), &format!("tenants/{tenant}/runs")] {
        pages += &admin.get(&format!("/api/v1/{path}")).await.unwrap().to_string();
    }
    for run in admin.all(&format!("/api/v1/tenants/{tenant}/runs")).await.unwrap() {
        let path = format!("/api/v1/tenants/{tenant}/runs/{}", run["id"].as_str().unwrap());
        pages += &admin.get(&path).await.unwrap().to_string();
    }
    // What was given is not given back in a refusal.
    let wrong = [
        json!({"platform": "weixin", "kind": "authorized", "appid": shop.appid, "name": "again", "access_token": tokens.access(),
            "refresh_token": tokens.refresh()}),
        json!({"platform": "weixin", "kind": tokens.access(), "appid": 1, "access_token": [tokens.access()]}),
        json!({"platform": "weixin", "kind": "authorized", "appid": "x y", "name": "", "refresh_token": tokens.refresh()}),
    ];
    for body in wrong {
        let (status, error) = admin.call(reqwest::Method::POST, "/api/v1/tenants", Some(&body)).await.unwrap();
        assert!(status.is_client_error(), "{status}");
        pages += &error.to_string();
    }
    // A forged push: the log tells of it to whoever asks for all.
    let forged = format!("{}/callback/weixin/{}", host.address.trim_end_matches('/'), shop.appid);
    let refused =
        reqwest::Client::builder().no_proxy().build().unwrap().post(forged).body("<xml/>").send().await.unwrap();
    assert!(refused.status().is_client_error());
    pages += &refused.text().await.unwrap();
    // A link, so that a pre-auth code is given out too.
    let link = admin.post("/api/v1/authorizations", &json!({})).await.unwrap();
    pages += &admin.get(&format!("/api/v1/authorizations/{}", link["id"].as_str().unwrap())).await.unwrap().to_string();
    host.terminate().unwrap();

    let given_out = platform.secrets_given_out();
    for kind in ["refreshtoken@@@", "ticket@@@", "preauthcode@@@"] {
        assert!(given_out.iter().any(|secret| secret.starts_with(kind)), "no {kind} was given out");
    }
    let ledger = platform.ledger();
    for call in ["api_component_token", "api_authorizer_token"] {
        assert!(!ledger.calls_of(call).is_empty(), "{call} was not made");
    }
    let decoded = ledger.calls_of("decodesensitiveinfo").iter().any(|call| call.errcode == Some(0));
    assert!(decoded, "the recipient was never in the host in clear");
    assert!(pages.contains("decode/sensitive-info"), "no page shows the decode");
    let planted = [
        tokens.access(),
        tokens.refresh().unwrap(),
        component.appsecret(),
        component.token(),
        component.encoding_aes_key(),
        OPERATOR_TOKEN,
        "CANARY",
        PHONE,
    ];
    let secrets: Vec<&str> = planted.into_iter().chain(given_out.iter().map(String::as_str)).collect();
    let mut files = vec![("pages".to_owned(), pages.into_bytes())];
    collect(&folder.path().join("data"), &mut files);
    collect(&folder.path().join("host.log"), &mut files);
    assert!(files.len() > 2, "the store and the log were found");
    let log = String::from_utf8(fs::read(folder.path().join("host.log")).unwrap()).unwrap();
    assert!(log.contains(" DEBUG "), "the log does not show all that it can");
    for (name, bytes) in &files {
        for secret in &secrets {
            // The mark that the plugin wrote is the merchant's own word; a page may show it, a file may not.
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found || (name == "pages" && *secret == "CANARY"), "{secret:.8}… is in {name}");
        }
    }
    let pages = String::from_utf8_lossy(&files[0].1).into_owned();
    for canary in ["CANARY-BUYER-NOTE", "oCANARYopenid", RECIPIENT, STREET] {
        assert!(!pages.contains(canary), "{canary} is on a page");
    }
}

fn collect(place: &Path, files: &mut Vec<(String, Vec<u8>)>) {
    if place.is_dir() {
        for entry in fs::read_dir(place).unwrap() {
            collect(&entry.unwrap().path(), files);
        }
    } else {
        files.push((place.display().to_string(), fs::read(place).unwrap()));
    }
}
