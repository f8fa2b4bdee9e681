//! `fangshi replay` and `fangshi backtest` over the store of a host that is down: what they print, and that they send nothing and
//! leave the store as it was.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::{fs, path::Path, process::Command};

use fangshi_e2e::{Scene, until};
use fangshi_harness::{binary, guest};
use fangshi_platform::{NewOrder, Step};
use serde_json::{Value, json};

const ORDERS: usize = 3;

/// Runs a command of the binary; gives its exit code, its output and its complaints.
fn fangshi(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(binary("fangshi").unwrap())
        .args(arguments)
        .arg("--config")
        .arg(folder.join("fangshi.toml"))
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The same of a command that must go well.
fn told(folder: &Path, arguments: &[&str]) -> String {
    let (code, out, complaint) = fangshi(folder, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {complaint}");
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_is_executed_again_from_the_store_of_a_host_that_is_down() {
    let scene = Scene::start("reads-note-after", &["notes", "order-summary"], json!({})).await.unwrap();
    let Scene { platform, host, admin, appid, tenant, folder } = scene;
    for _ in 0..ORDERS {
        let order = platform.add_order(&appid, NewOrder::default()).unwrap();
        platform.drive(&order, Step::Pay).unwrap();
    }
    let runs = until("the orders are not noted", async || {
        platform.drained().await;
        let runs = admin.all(&format!("/api/v1/tenants/{tenant}/runs")).await.unwrap();
        (runs.len() == ORDERS && runs.iter().all(|run| run["state"] == "done")).then_some(runs)
    })
    .await;
    let run = runs[0]["id"].as_str().unwrap();
    // Another version of the plugin: another note, and a parcel. It is uploaded, and installed nowhere.
    let uploaded = admin.upload(&tenant, "reads-note-after", guest("note-then-ship").unwrap()).await.unwrap();
    let version = uploaded["version"].as_str().unwrap();
    let asked = uploaded["grants"].as_array().unwrap().iter().map(|grant| grant["name"].as_str().unwrap());
    let grants = asked.collect::<Vec<_>>().join(",");
    let installations = admin.all(&format!("/api/v1/tenants/{tenant}/installations")).await.unwrap();
    let installation = installations[0]["id"].as_str().unwrap();
    let replay = ["replay", "--tenant", &tenant, "--run", run];
    let of = ["--tenant", &tenant, "--installation", installation, "--version", version];
    let backtest = [&["backtest"], &of[..], &["--grants", &grants]].concat();

    let (code, _, complaint) = fangshi(folder.path(), &replay);
    assert!(code == Some(1) && complaint.contains("is in use by"), "beside the host: {complaint}");
    assert_eq!(host.terminate().unwrap(), Some(0));
    let store = folder.path().join("data/fangshi.db");
    let (before, sent) = (fs::read(&store).unwrap(), platform.ledger_len());

    let table = told(folder.path(), &replay);
    assert!(table.contains(&format!("attempt  1 of {run}")) && table.contains("verdict  the same"), "{table}");
    assert!(table.contains("outcome  then done, now done") && table.contains("calls    then"), "{table}");
    let out = told(folder.path(), &[&replay[..], &["--attempt", "1", "--json"]].concat());
    let replayed: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&replayed["run"], &replayed["attempt"]), (&json!(run), &json!(1)));
    assert_eq!(replayed["verdict"]["verdict"], "same", "{out}");
    assert_eq!(replayed["calls_then"], replayed["calls_now"]);
    let (code, _, complaint) = fangshi(folder.path(), &[&replay[..], &["--attempt", "2"]].concat());
    assert!(code == Some(1) && complaint.contains("has no recorded attempt 2"), "{complaint}");

    let table = told(folder.path(), &backtest);
    let sums = "3 events: 0 effects the same, 3 added, 0 lost, 3 changed; 0 outcomes changed";
    assert!(table.contains(sums), "{table}");
    assert!(
        table.contains("+ delivery/send") && table.contains("~ notes/set-merchant-notes (merchant_notes)"),
        "{table}"
    );
    let out = told(folder.path(), &[&backtest[..], &["--last", "50", "--json"]].concat());
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["events"], &report["version"]), (&json!(3), &json!(version)));
    assert_eq!((&report["totals"]["added"], &report["totals"]["changed"]), (&json!(3), &json!(3)));
    assert_eq!(report["items"][0]["changed"][0]["members"], json!(["merchant_notes"]), "{out}");
    let (code, _, complaint) = fangshi(folder.path(), &backtest[..backtest.len() - 2]);
    assert!(code == Some(1) && complaint.contains("delivery"), "without the grant: {complaint}");

    assert_eq!(platform.ledger_len(), sent, "something was sent");
    assert!(fs::read(&store).unwrap() == before, "the store is not as it was");
    let log = fs::metadata(folder.path().join("data/fangshi.db-wal"));
    assert!(log.is_err(), "something is left to be written");
}
