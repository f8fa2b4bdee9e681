//! The oracle sees each broken rule: rows and calls as a sound host leaves them, with one thing changed.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

const SHOP: &str = "wxshop";

/// The tables as far as the oracle reads them.
const TABLES: &str = "
    CREATE TABLE events (seq INTEGER PRIMARY KEY, tenant_id INTEGER, order_id TEXT, created_at INTEGER);
    CREATE TABLE plugins (id INTEGER PRIMARY KEY, name TEXT);
    CREATE TABLE installations (id INTEGER PRIMARY KEY, tenant_id INTEGER, plugin_id INTEGER);
    CREATE TABLE runs (id INTEGER PRIMARY KEY, event_seq INTEGER, tenant_id INTEGER, order_id TEXT,
        installation_id INTEGER, state INTEGER, reason TEXT, repaired_at INTEGER);
    CREATE TABLE attempts (id INTEGER PRIMARY KEY, run_id INTEGER, number INTEGER, resumes INTEGER, outcome TEXT);
    CREATE TABLE effects (run_id INTEGER, operation TEXT, state INTEGER, sends INTEGER);
";

/// Two events of one order with a run of `one-unit` each, all done.
const SOUND: &str = "
    INSERT INTO plugins VALUES (1, 'one-unit');
    INSERT INTO installations VALUES (1, 1, 1);
    INSERT INTO events VALUES (1, 1, '7', 100), (2, 1, '7', 101);
    INSERT INTO runs VALUES (1, 1, 1, '7', 1, 2, NULL, NULL), (2, 2, 1, '7', 1, 2, NULL, NULL);
    INSERT INTO attempts VALUES (1, 1, 1, 0, 'done'), (2, 2, 1, 0, 'done');
    INSERT INTO effects SELECT runs.id, column1, 1, 1 FROM runs, (VALUES ('notes/set-merchant-notes'), ('delivery/send'),
        ('shop-phone/send-verify-code'));
";

fn call(id: u64, path: &str, request: Value) -> Call {
    let order_id = request["order_id"].as_str().map(str::to_owned);
    Call {
        id,
        began: 2 * id,
        ended: 2 * id + 1,
        at_ms: 0,
        appid: Some(SHOP.to_owned()),
        token_id: None,
        path: path.to_owned(),
        operation: None,
        request,
        order_id,
        errcode: Some(0),
        applied: true,
        issued: None,
        fault: None,
    }
}

/// The calls of both runs.
fn ledger() -> Ledger {
    let mut calls = Vec::new();
    for event in 1..=2 {
        let parcel = json!({"waybill_id": format!("SFe{event}")});
        let requests = [
            json!({"order_id": "7", "merchant_notes": format!("e{event}")}),
            json!({"order_id": "7", "delivery_list": [parcel]}),
            json!({"mobile": format!("139{event:08}")}),
        ];
        for ((path, _, _), request) in EFFECTS.into_iter().zip(requests) {
            calls.push(call(calls.len() as u64 + 1, path, request));
        }
    }
    Ledger { calls, pushes: Vec::new() }
}

/// What is found in the sound store after `change`.
fn found(change: &'static str, ledger: &Ledger) -> Found {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.db");
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let options = SqliteConnectOptions::new().filename(&store).create_if_missing(true);
        let pool = SqlitePool::connect_with(options).await.unwrap();
        for text in [TABLES, SOUND, change] {
            sqlx::raw_sql(text).execute(&pool).await.unwrap();
        }
        pool.close().await;
    });
    let acknowledged = [("7".to_owned(), 100), ("7".to_owned(), 101)];
    Found::judge(&store, ledger, &acknowledged).unwrap()
}

#[test]
fn a_sound_store_holds() {
    let found = found("", &ledger());
    found.hold(1).unwrap();
    assert_eq!((found.ended, found.outcome_unknown), ([2, 0, 0], 0));
}

#[test]
fn every_row_that_breaks_a_rule_is_seen() {
    for (what, change) in [
        (
            "an acknowledged callback without an event",
            "DELETE FROM events WHERE seq = 2; DELETE FROM runs WHERE id = 2",
        ),
        ("two events of one callback", "UPDATE events SET created_at = 100"),
        ("an event without its run", "DELETE FROM runs WHERE id = 2"),
        ("a run that goes on", "UPDATE runs SET state = 1 WHERE id = 2"),
        ("runs out of sequence", "UPDATE attempts SET id = 3 WHERE run_id = 1"),
        ("a done run without any effect", "DELETE FROM effects WHERE run_id = 2"),
        ("a done run without one effect", "DELETE FROM effects WHERE run_id = 2 AND operation = 'delivery/send'"),
        ("a done run whose effect was refused", "UPDATE effects SET state = 3 WHERE run_id = 2"),
        ("a done run whose effect nobody knows", "UPDATE effects SET state = 4 WHERE run_id = 2"),
        ("a done run with an effect twice", "INSERT INTO effects VALUES (2, 'delivery/send', 1, 1)"),
        ("a resume that diverged", "UPDATE runs SET state = 4, reason = 'divergence' WHERE id = 2"),
        (
            "a run that the host gave up",
            "UPDATE runs SET state = 4, reason = 'attempts' WHERE id = 2;
             UPDATE attempts SET outcome = 'host-fault' WHERE run_id = 2",
        ),
        (
            "a run that was cut off too often",
            "UPDATE runs SET state = 4, reason = 'attempts' WHERE id = 2;
             UPDATE attempts SET outcome = 'crashed' WHERE run_id = 2",
        ),
        (
            "a version that was not loaded",
            "UPDATE runs SET state = 4, reason = 'attempts' WHERE id = 2;
             UPDATE attempts SET outcome = 'not-loaded' WHERE run_id = 2",
        ),
    ] {
        let found = found(change, &ledger());
        assert!(found.hold(1).is_err(), "{what}: {found:?}");
    }
}

#[test]
fn what_a_platform_may_do_to_a_run_breaks_no_rule() {
    for (what, change) in [
        ("rejected before its effects", "UPDATE runs SET state = 3 WHERE id = 2; DELETE FROM effects WHERE run_id = 2"),
        (
            "parked since the platform never answered",
            "UPDATE runs SET state = 4, reason = 'attempts' WHERE id = 2; UPDATE effects SET state = 4 WHERE run_id = 2;
             UPDATE attempts SET outcome = 'retry-later' WHERE run_id = 2",
        ),
        // It does nothing at the platform.
        ("another guest", "UPDATE plugins SET name = 'reads-twice'; DELETE FROM effects"),
    ] {
        let found = found(change, &ledger());
        assert!(found.hold(1).is_ok(), "{what}: {found:?}");
    }
}

#[test]
fn every_call_that_breaks_a_rule_is_seen() {
    let change = |change: &dyn Fn(&mut Ledger)| {
        let mut ledger = ledger();
        change(&mut ledger);
        found("", &ledger)
    };
    let twice = change(&|ledger| {
        let again = Call { began: 100, ended: 101, ..ledger.calls[1].clone() };
        ledger.calls.push(again);
    });
    assert_eq!((twice.unsafe_effects_doubled, twice.hold(1).is_err()), (1, true));
    let invented = change(&|ledger| ledger.calls[1].applied = false);
    assert_eq!((invented.effects_invented, invented.hold(1).is_err()), (1, true));
    let at_once = change(&|ledger| ledger.calls[0].ended = 100);
    assert!(at_once.lane_order_broken > 0 && at_once.hold(1).is_err());
}
