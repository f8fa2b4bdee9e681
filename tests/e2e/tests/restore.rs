//! A backup under load, and its return: held, read again, released, and nothing done twice.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::{collections::BTreeSet, fs, path::Path, process::Command};

use fangshi_e2e::{Scene, until};
use fangshi_harness::{Admin, HostConfig, HostProcess, binary};
use fangshi_platform::{NewOrder, Platform, Step};
use serde_json::{Value, json};

const NOTE: &str = "changemerchantnotes";

/// Runs a command of the binary; gives its exit code and all that it said.
fn fangshi(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(binary("fangshi").unwrap())
        .args(arguments)
        .arg("--config")
        .arg(folder.join("fangshi.toml"))
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

async fn drained(platform: &Platform, admin: &Admin) {
    until("the backlog does not empty", async || {
        platform.drained().await;
        let ready = admin.get("/readyz").await.unwrap();
        (ready["backlog"]["events"] == 0).then_some(())
    })
    .await;
}

fn notes_of(platform: &Platform, order: &str) -> usize {
    platform.ledger().applied_on(order).iter().filter(|call| call.operation == Some(NOTE)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_comes_back_from_a_backup_taken_under_load() {
    let (grants, settings) = (["notes", "order-price", "order-summary"], json!({"threshold": 1, "mark": "large"}));
    let scene = Scene::start("large-order-note", &grants, settings).await.unwrap();
    let Scene { platform, mut host, admin, appid, tenant, folder: first } = scene;
    let (away, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());

    let mut orders = Vec::new();
    for _ in 0..60 {
        orders.push(platform.add_order(&appid, NewOrder::priced(66_600)).unwrap());
    }
    for order in &orders[..20] {
        platform.drive(order, Step::Pay).unwrap();
    }
    let file = away.path().join("fangshi.backup");
    let (folder, to) = (first.path().to_owned(), file.to_str().unwrap().to_owned());
    let copying = tokio::task::spawn_blocking(move || fangshi(&folder, &["backup", "--to", &to]));
    for order in &orders[20..40] {
        platform.drive(order, Step::Pay).unwrap();
    }
    let (code, told) = copying.await.unwrap();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("no key is in it") && told.contains("custody.key"), "{told}");
    // The platform gives new tokens after the backup.
    platform.expire_tokens(&appid);
    for order in &orders[40..] {
        platform.drive(order, Step::Pay).unwrap();
    }
    drained(&platform, &admin).await;
    assert!(orders.iter().all(|order| notes_of(&platform, order) == 1), "every order was noted once");
    host.kill().unwrap();
    // A head of the lost store that was copied elsewhere: it knows of entries that the backup lacks.
    let (code, head) = fangshi(first.path(), &["audit", "head"]);
    assert_eq!(code, Some(0), "{head}");
    let copy = away.path().join("heads.txt");
    fs::write(&copy, format!("2020-01-01 {head}")).unwrap();

    let bytes = fs::read(&file).unwrap();
    let key = fs::read_to_string(first.path().join("keys/custody.key")).unwrap();
    let secret = key.split_whitespace().max_by_key(|word| word.len()).unwrap().to_owned();
    assert!(secret.len() >= 64, "the key was found");
    assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    let plain: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&secret[2 * at..2 * at + 2], 16).unwrap()).collect();
    assert!(!bytes.windows(32).any(|window| window == plain), "nor as bytes");

    HostConfig::of(&platform, "").write(second.path()).unwrap();
    let from = file.to_str().unwrap();
    let (code, told) = fangshi(second.path(), &["restore", "--from", from]);
    assert_eq!(code, Some(1), "without the key: {told}");
    assert!(!second.path().join("data/fangshi.db").exists());
    fs::copy(first.path().join("keys/custody.key"), second.path().join("keys/custody.key")).unwrap();
    let (code, told) = fangshi(second.path(), &["restore", "--from", from]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("GET /api/v1/tokens"), "{told}");
    let (code, told) = fangshi(second.path(), &["restore", "--from", from]);
    assert!(code == Some(1) && told.contains("move away fangshi.db"), "{told}");
    let (code, told) = fangshi(second.path(), &["restore", "--release"]);
    assert!(code == Some(1) && told.contains("not ready"), "nobody read anything again yet: {told}");

    let calls_before = platform.ledger().calls_of(NOTE).len();
    let host = HostProcess::start_again(second.path(), &[]).unwrap();
    let admin = host.admin();
    platform.point_at(&host.address);
    assert_eq!(admin.get("/readyz").await.unwrap()["held"], true);
    // A callback tells its time in seconds: one of the second of the restore may be of before.
    let restored_s = platform.now();
    until("time stands still", async || (platform.now() > restored_s).then_some(())).await;
    let late = platform.add_order(&appid, NewOrder::priced(66_600)).unwrap();
    platform.drive(&late, Step::Pay).unwrap();
    let events = format!("/api/v1/tenants/{tenant}/events?order_id={late}");
    until("the callback is not recorded while held", async || {
        platform.drained().await;
        let seen = admin.all(&events).await.unwrap();
        seen.iter().any(|event| event["event"] == "channels_ec_order_pay").then_some(())
    })
    .await;
    until("tokens and orders are not read again", async || {
        let (code, told) = {
            let folder = second.path().to_owned();
            tokio::task::spawn_blocking(move || fangshi(&folder, &["restore", "--release"])).await.unwrap()
        };
        assert!(code == Some(0) || told.contains("not ready"), "{told}");
        let calls = platform.ledger().calls_of(NOTE).len();
        assert!(code == Some(0) || calls == calls_before, "nothing is sent while held");
        (code == Some(0)).then_some(())
    })
    .await;
    drained(&platform, &admin).await;
    assert_eq!(admin.get("/readyz").await.unwrap()["held"], false);
    assert_eq!(notes_of(&platform, &late), 1, "an event from after the restore is as ever");
    let doubled: BTreeSet<&String> = orders.iter().filter(|order| notes_of(&platform, order) != 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    let runs: Vec<Value> = admin.all(&format!("/api/v1/tenants/{tenant}/runs")).await.unwrap();
    assert!(runs.iter().all(|run| run["state"] == "done"), "{runs:?}");
    host.terminate().unwrap();

    let (code, told) = fangshi(second.path(), &["audit", "verify"]);
    assert!(code == Some(0) && told.contains("the audit holds"), "{told}");
    let (code, told) = fangshi(second.path(), &["audit", "verify", "--heads", copy.to_str().unwrap()]);
    assert!(
        code == Some(3) && told.contains("the audit holds") && told.contains("cut by the restore at entry"),
        "{told}"
    );
}
