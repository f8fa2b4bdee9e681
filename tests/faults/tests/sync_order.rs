//! `success` waits for the disk. A kill leaves the page cache, so the crash test can't show it; a library preloaded into the
//! host writes down the order of log writes (W), syncs (S) and answers (A) instead.
use std::{path::Path, process::Command, sync::Arc};

use fangshi_harness::{HostProcess, callbacks, load};
use serde_json::json;

#[test]
fn every_success_is_preceded_by_a_sync() {
    let folder = tempfile::tempdir().unwrap();
    let shim = folder.path().join("sync_order.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("shim/sync_order.c");
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).arg(source).arg("-ldl").status().unwrap();
    assert!(built.success(), "the shim does not compile");

    let (secrets, config) = callbacks::component();
    config.write(folder.path()).unwrap();
    let log = folder.path().join("sync.log");
    let settings = [
        ("LD_PRELOAD".to_owned(), shim.display().to_string()),
        ("FANGSHI_SYNC_LOG".to_owned(), log.display().to_string()),
    ];
    let host = HostProcess::start_again(folder.path(), &settings).unwrap();
    let shops = callbacks::shops(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime
        .block_on(host.admin().post(
            "/api/v1/tenants",
            &json!({"platform": "weixin", "kind": "authorized", "appid": shops[0].appid, "user_name": shops[0].user_name, "name": "a shop"}),
        ))
        .unwrap();

    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64;
    let callbacks = callbacks::payments(&secrets, &shops, 60, 3_700_000_000_000_000_000, now).unwrap();
    std::fs::write(&log, b"").unwrap();
    // One connection: each callback is a group commit of its own, so the letters must come in threes.
    let requests = Arc::new(callbacks.into_iter().map(|callback| callback.request).collect::<Vec<_>>());
    let address = host.address.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
    let report = load::send_all(address, requests, 1, false).unwrap();
    assert_eq!(report.accepted(), 60);
    let letters = std::fs::read_to_string(&log).unwrap();
    assert_eq!(letters.matches('A').count(), 60, "the shim saw every answer: {letters}");
    for (number, between) in letters.split('A').take(60).enumerate() {
        let written = between.find('W').unwrap_or_else(|| panic!("answer {number} left without a write: {letters}"));
        assert!(between[written..].contains('S'), "answer {number} left before the sync: {letters}");
    }
}
