//! Alerts reach the one address that the config names, after a failure and a restart too, and carry nothing of a shop.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::sync::{Arc, Mutex};

use fangshi_harness::{HostProcess, callbacks};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

/// A request as it came: its head, and its body.
type Seen = (String, Value);

/// Takes alerts; the statuses of its answers are given one by one, the last is repeated.
async fn address_of_the_operator(statuses: Vec<u16>) -> (String, mpsc::Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/alerts?key=CANARY-address", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel(16);
    let answered = Arc::new(Mutex::new(0));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            let (head, body) = loop {
                let mut chunk = [0; 4096];
                let read = stream.read(&mut chunk).await.unwrap();
                assert!(read > 0, "a whole request");
                bytes.extend_from_slice(&chunk[..read]);
                let text = String::from_utf8(bytes.clone()).unwrap();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                if let Ok(body) = serde_json::from_str(body) {
                    break (head.to_lowercase(), body);
                }
            };
            let status = {
                let mut answered = answered.lock().unwrap();
                *answered += 1;
                statuses.get(*answered - 1).or(statuses.last()).copied().unwrap()
            };
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
            tell.send((head, body)).await.unwrap();
        }
    });
    (url, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_sent_until_it_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (url, mut told) = address_of_the_operator(vec![500, 200]).await;
    let (_, mut config) = callbacks::component();
    config.extra = format!("\n[alerts]\nwebhook_url = \"{url}\"\nwebhook_secret = \"CANARY-secret\"\n");
    let host = HostProcess::start(folder.path(), &config).unwrap();
    let admin = host.admin();
    let body = json!({"platform": "weixin", "kind": "authorized", "appid": "wxshop000000000001", "user_name": "gh_CANARY",
        "name": "CANARY-name"});
    let tenant = admin.post("/api/v1/tenants", &body).await.unwrap()["id"].as_str().unwrap().to_owned();
    let change = json!({"state": "suspended", "reason": "CANARY-reason"});
    let path = format!("/api/v1/tenants/{tenant}");
    admin.must(reqwest::Method::PATCH, &path, Some(&change)).await.unwrap();

    let (head, first) = told.recv().await.unwrap();
    assert_eq!((&first["kind"], &first["tenant"]), (&json!("tenant-stopped"), &json!(tenant)), "{first}");
    assert_eq!((&first["subject"], &first["count"]), (&json!("suspended"), &json!(1)));
    let signature = head.lines().find_map(|line| line.strip_prefix("fangshi-signature: ")).unwrap();
    let (time, mac) = signature.split_once(",v1=").unwrap();
    assert!(time.starts_with("t=") && mac.len() == 64, "{signature}");
    // It was refused; a host that starts over sends it again.
    let host = host.kill_and_restart().unwrap();
    let (_, second) = told.recv().await.unwrap();
    assert_eq!(second, first, "the same alert, by its number");
    let admin = host.admin();
    let listed = loop {
        let listed = admin.get("/api/v1/alerts").await.unwrap();
        if listed["items"][0]["sent_at"].is_i64() {
            break listed;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((&listed["items"][0]["id"], &listed["items"][1]), (&first["id"], &Value::Null), "{listed}");
    host.terminate().unwrap();
    let log = std::fs::read_to_string(folder.path().join("host.log")).unwrap();
    for text in [&first.to_string(), &listed.to_string(), &log] {
        assert!(!text.contains("CANARY"), "{text}");
    }
}
