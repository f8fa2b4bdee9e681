//! `success` waits for the disk, and so does every request that changes something at the platform. A kill leaves the page cache,
//! so the crash test can't show it; a library preloaded into the host writes down the order of pushes (R), log writes (W), syncs
//! that begin (s) and end (S), answers (A), and of reads (G) and effects (E) that leave for the platform.
#![allow(clippy::unwrap_used)]

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use fangshi_harness::callbacks::{self, Paid, Shop};
use fangshi_harness::{HostConfig, HostProcess, guest, load};
use fangshi_platform::{NewOrder, NewShop, Platform, Settings, Step};
use serde_json::json;

/// What the library saw: a letter, and a descriptor or, of syncs, a thread.
type Seen = Vec<(char, u32)>;

/// Looks at the backlog before it counts as stuck.
const PATIENCE: usize = 3_000;

/// The host with the library in it.
struct Watched {
    host: HostProcess,
    log: PathBuf,
}

impl Watched {
    fn start(folder: &Path, config: &HostConfig) -> Watched {
        config.write(folder).unwrap();
        let log = folder.join("sync.log");
        let settings = [
            ("LD_PRELOAD".to_owned(), shim(folder).display().to_string()),
            ("FANGSHI_SYNC_LOG".to_owned(), log.display().to_string()),
        ];
        Watched { host: HostProcess::start_again(folder, &settings).unwrap(), log }
    }

    fn address(&self) -> SocketAddr {
        self.host.address.trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
    }

    fn forget(&self) {
        std::fs::write(&self.log, b"").unwrap();
    }

    fn seen(&self) -> Seen {
        let seen = std::fs::read_to_string(&self.log).unwrap();
        seen.lines().map(|line| (line.chars().next().unwrap(), line[2..].parse().unwrap())).collect()
    }
}

fn count(seen: &Seen, letter: char) -> usize {
    seen.iter().filter(|(seen, _)| *seen == letter).count()
}

fn now_s() -> i64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64
}

/// Pushes so many callbacks over so many connections.
fn watch(pushes: usize, connections: usize) -> Seen {
    let folder = tempfile::tempdir().unwrap();
    let (secrets, config) = callbacks::component();
    let watched = Watched::start(folder.path(), &config);
    let shops = callbacks::shops(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime
        .block_on(watched.host.admin().post(
            "/api/v1/tenants",
            &json!({"platform": "weixin", "kind": "authorized", "appid": shops[0].appid, "user_name": shops[0].user_name, "name": "a shop"}),
        ))
        .unwrap();
    let callbacks = callbacks::payments(&secrets, &shops, pushes, 3_700_000_000_000_000_000, now_s()).unwrap();
    watched.forget();
    let requests = Arc::new(callbacks.into_iter().map(|callback| callback.request).collect::<Vec<_>>());
    let report = load::send_all(watched.address(), requests, connections, false).unwrap();
    assert_eq!(report.accepted(), pushes);
    let seen = watched.seen();
    for letter in ['R', 'A'] {
        assert_eq!(count(&seen, letter), pushes, "the library saw every {letter}");
    }
    seen
}

/// Orders are paid one after the other, each of which a plugin reads and notes.
fn watch_effects(orders: usize) -> Seen {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let platform = runtime.block_on(Platform::start(Settings::default())).unwrap();
    let secrets = platform.component().callback_secrets();
    let watched = Watched::start(folder.path(), &HostConfig::of(&platform, ""));
    let admin = watched.host.admin();
    let shop = platform.add_shop(NewShop::authorized()).unwrap();
    let issued = platform.issue_tokens(&shop.appid).unwrap();
    runtime.block_on(async {
        let tenant = json!({"platform": "weixin", "kind": "authorized", "appid": shop.appid,
            "user_name": shop.user_name, "name": "a shop", "access_token": issued.access(),
            "refresh_token": issued.refresh()});
        let tenant = admin.post("/api/v1/tenants", &tenant).await.unwrap();
        let tenant = tenant["id"].as_str().unwrap();
        let uploaded = admin.upload(tenant, "notes", guest("large-order-note").unwrap()).await.unwrap();
        let grants = ["notes", "order-price", "order-summary"];
        admin.install(tenant, &uploaded, &grants, json!({"threshold": 1, "mark": "large"})).await.unwrap();
    });
    let named = Shop { appid: shop.appid.clone(), user_name: shop.user_name.clone() };
    watched.forget();
    for _ in 0..orders {
        let order_id = platform.add_order(&shop.appid, NewOrder::priced(66_600)).unwrap();
        platform.drive(&order_id, Step::Pay).unwrap();
        let paid = Paid { shop: &named, order_id, at: now_s() };
        let told = callbacks::told(&secrets, [paid].into_iter(), now_s()).unwrap();
        let requests = Arc::new(told.into_iter().map(|callback| callback.request).collect::<Vec<_>>());
        assert_eq!(load::send_all(watched.address(), requests, 1, false).unwrap().accepted(), 1);
        // One at a time, so that no other run writes between a read and its effect.
        let drained = runtime.block_on(async {
            for _ in 0..PATIENCE {
                if admin.get("/readyz").await.unwrap()["backlog"]["events"] == 0 {
                    return true;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            false
        });
        assert!(drained, "the backlog does not reach zero");
    }
    let seen = watched.seen();
    for letter in ['G', 'E'] {
        assert_eq!(count(&seen, letter), orders, "the library saw every {letter}: {seen:?}");
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

/// Whether the log was written, and a sync of it began after that and ended: in whatever thread.
fn is_written_and_synced(seen: &[(char, u32)]) -> bool {
    let Some(written) = seen.iter().position(|(letter, _)| *letter == 'W') else { return false };
    let after = &seen[written..];
    let ends =
        |(place, (letter, thread)): (usize, &(char, u32))| *letter == 's' && after[place..].contains(&('S', *thread));
    after.iter().enumerate().any(ends)
}

/// Between each of `from` and what it leads to (`to`, on the same connection where it is the same) the log was written and then
/// synced.
fn waits(seen: &[(char, u32)], from: char, to: char, same_connection: bool) -> Result<(), String> {
    let mut begun = HashMap::new();
    for (place, (letter, descriptor)) in seen.iter().enumerate() {
        let connection = if same_connection { *descriptor } else { 0 };
        if *letter == from {
            begun.insert(connection, place);
        } else if *letter == to {
            let since = begun.get(&connection).ok_or_else(|| format!("{to} at {place} without {from}: {seen:?}"))?;
            if !is_written_and_synced(&seen[*since..place]) {
                return Err(format!("{to} at {place} left before the log was written and synced: {seen:?}"));
            }
        }
    }
    Ok(())
}

#[test]
fn every_success_is_preceded_by_a_sync() {
    waits(&watch(60, 1), 'R', 'A', true).unwrap();
}

#[test]
fn every_success_of_a_group_is_preceded_by_its_sync() {
    let seen = watch(600, 32);
    waits(&seen, 'R', 'A', true).unwrap();
    let syncs = count(&seen, 'S');
    assert!(syncs < 600, "no group had two callbacks: {syncs} syncs");
}

/// What is written between the reading of an order and its note is the intent: the lane was entered before.
#[test]
fn every_effect_is_preceded_by_a_sync_of_its_intent() {
    waits(&watch_effects(20), 'G', 'E', false).unwrap();
}

#[test]
fn a_sync_counts_that_began_after_the_write_and_ended() {
    let order = |text: &str| -> Seen {
        let one = |word: &str| (word.chars().next().unwrap(), word[1..].parse().unwrap_or(0));
        text.split(' ').map(one).collect()
    };
    for (holds, text) in [
        (true, "G W s1 S1 E"),
        (true, "G s1 W s2 S1 S2 E"),
        (true, "W G W W s1 S1 E G W s1 S1 E"),
        (false, "G E"),
        (false, "G W E s1 S1"),
        (false, "G s1 S1 W E"),
        (false, "G s1 W S1 E"),
        (false, "G W s1 E S1"),
        (false, "G s1 W s2 S1 E"),
        (false, "W s1 S1 G E"),
        (false, "G W s1 S1 E G E"),
    ] {
        assert_eq!(waits(&order(text), 'G', 'E', false).is_ok(), holds, "{text}");
    }
    assert!(waits(&order("R1 R2 W s1 S1 A2 R2 A1"), 'R', 'A', true).is_ok());
    assert!(waits(&order("R1 W s1 S1 R2 A1 A2"), 'R', 'A', true).is_err(), "each connection by itself");
}
