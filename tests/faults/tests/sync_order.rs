//! `success` waits for the disk. A kill leaves the page cache, so the crash test can't show it; a library preloaded into the
//! host writes down the order of pushes (R), log writes (W), syncs (S) and answers (A) instead.
#![allow(clippy::unwrap_used)]

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use fangshi_harness::{HostProcess, callbacks, load};
use serde_json::json;

/// Pushes so many callbacks over so many connections; gives what the library saw, letter and descriptor.
fn watch(count: usize, connections: usize) -> Vec<(char, u32)> {
    let folder = tempfile::tempdir().unwrap();
    let shim = shim(folder.path());
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
    let callbacks = callbacks::payments(&secrets, &shops, count, 3_700_000_000_000_000_000, now).unwrap();
    std::fs::write(&log, b"").unwrap();
    let requests = Arc::new(callbacks.into_iter().map(|callback| callback.request).collect::<Vec<_>>());
    let address = host.address.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
    let report = load::send_all(address, requests, connections, false).unwrap();
    assert_eq!(report.accepted(), count);
    let seen = std::fs::read_to_string(&log).unwrap();
    let seen: Vec<_> = seen.lines().map(|line| (line.chars().next().unwrap(), line[2..].parse().unwrap())).collect();
    for letter in ['R', 'A'] {
        assert_eq!(seen.iter().filter(|(seen, _)| *seen == letter).count(), count, "the library saw every {letter}");
    }
    seen
}

fn shim(folder: &Path) -> PathBuf {
    let shim = folder.join("sync_order.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("shim/sync_order.c");
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).arg(source).arg("-ldl").status().unwrap();
    assert!(built.success(), "the shim does not compile");
    shim
}

/// Between a push and its answer the log was written, and synced after that.
fn assert_answers_wait(seen: &[(char, u32)]) {
    let mut pushed = HashMap::new();
    for (place, (letter, descriptor)) in seen.iter().enumerate() {
        match letter {
            'R' => drop(pushed.insert(*descriptor, place)),
            'A' => {
                let since = &seen[pushed[descriptor]..place];
                let written = since.iter().position(|(letter, _)| *letter == 'W');
                let written = written.unwrap_or_else(|| panic!("answer at {place} left without a write: {seen:?}"));
                let synced = since[written..].iter().any(|(letter, _)| *letter == 'S');
                assert!(synced, "answer at {place} left before the sync: {seen:?}");
            }
            _ => {}
        }
    }
}

#[test]
fn every_success_is_preceded_by_a_sync() {
    assert_answers_wait(&watch(60, 1));
}

#[test]
fn every_success_of_a_group_is_preceded_by_its_sync() {
    let seen = watch(600, 32);
    assert_answers_wait(&seen);
    let syncs = seen.iter().filter(|(letter, _)| *letter == 'S').count();
    assert!(syncs < 600, "no group had two callbacks: {syncs} syncs");
}
