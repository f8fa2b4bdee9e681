//! Scripts as writes: in one trip alone, and beside others.

use super::*;
use crate::{Place, Script, ScriptError};

/// Inserts keys, with a condition between them that holds if there are `count` marks.
fn script(keys: [i64; 2], count: i64) -> (Script, Place) {
    let mut script = Script::new();
    let add = "INSERT INTO marks (key, value, body) VALUES ($1, 0, x'')";
    let _ = script.add(add).bind(keys[0]);
    let condition = script.require("(SELECT count(*) FROM marks) = $1").bind(count).place();
    let _ = script.add(add).bind(keys[1]);
    (script, condition)
}

#[tokio::test]
async fn a_script_is_carried_out_whole_or_not_at_all() {
    let store = store().await;
    let writer = store.db.writer();
    for synced in [true, false] {
        let count = || ask(&store.db, "SELECT count(*) FROM marks");
        let before = count().await;
        let (whole, _) = script([10 * before + 1, 10 * before + 2], before + 1);
        writer.run(whole, synced).await.unwrap();
        assert_eq!(count().await, before + 2);
        let (refused, condition) = script([901, 902], before + 7);
        let Err(ScriptError::Refused(place)) = writer.run(refused, synced).await else { panic!("not refused") };
        assert_eq!(place, condition);
        let (failing, _) = script([903, 903], before + 3);
        let Err(ScriptError::Write(WriteError::Row(error))) = writer.run(failing, synced).await else { panic!("done") };
        assert!(error.to_string().contains("UNIQUE"), "{error}");
        assert_eq!(count().await, before + 2, "nothing of either is left");
        // The connection goes on as if nothing had been.
        store.marks.insert(Mark::new(1000 + before)).await.unwrap();
    }
}

#[tokio::test]
async fn beside_other_writes_a_refused_script_takes_nothing_with_it() {
    let store = store().await;
    let writer = store.db.writer();
    for with_row in [false, true] {
        let base = 100 * i64::from(with_row);
        let there = ask(&store.db, "SELECT count(*) FROM marks").await;
        let release = hold(writer).await;
        let row = with_row.then(|| insert(&store, Mark::new(base + 50)));
        let (first, _) = script([base + 1, base + 2], there + 1 + i64::from(with_row));
        let (refused, condition) = script([base + 3, base + 4], 0);
        let (last, _) = script([base + 5, base + 6], there + 3 + i64::from(with_row));
        let waiting: Vec<_> = [first, refused, last]
            .into_iter()
            .map(|script| {
                let writer = writer.clone();
                tokio::spawn(async move { writer.run(script, false).await })
            })
            .collect();
        queued().await;
        release.send(()).unwrap();
        let mut told = Vec::new();
        for one in waiting {
            told.push(one.await.unwrap().map(drop));
        }
        assert!(
            matches!(told[..], [Ok(()), Err(ScriptError::Refused(place)), Ok(())] if place == condition),
            "{told:?}"
        );
        assert_eq!(ask(&store.db, "SELECT count(*) FROM marks").await, there + 4 + i64::from(with_row));
        if let Some(row) = row {
            assert!(!row.await.unwrap().unwrap().duplicate);
        }
    }
}

#[tokio::test]
async fn a_condition_may_ask_what_the_statement_before_it_wrote() {
    let store = store().await;
    let writer = store.db.writer();
    let touch = |key: i64| {
        let mut script = Script::new();
        let _ = script.add("UPDATE marks SET value = value + 1 WHERE key = $1").bind(key);
        let _ = script.require("changes() > 0");
        writer.run(script, true)
    };
    store.marks.insert(Mark::new(1)).await.unwrap();
    touch(1).await.unwrap();
    assert!(matches!(touch(2).await, Err(ScriptError::Refused(_))));
    assert_eq!(ask(&store.db, "SELECT value FROM marks").await, 1);
    // An overflow of a statement's own is no condition.
    let mut script = Script::new();
    let _ = script.add("SELECT abs(-9223372036854775808)");
    assert!(matches!(writer.run(script, true).await, Err(ScriptError::Write(WriteError::Row(_)))));
}

#[tokio::test]
async fn a_long_script_is_one_transaction() {
    let store = store().await;
    let writer = store.db.writer();
    let long = |last: i64| {
        let mut script = Script::new();
        for key in (0..99).chain([last]) {
            let _ = script.add("INSERT INTO marks (key, value, body) VALUES ($1, 0, x'')").bind(key);
        }
        writer.run(script, true)
    };
    assert!(long(0).await.is_err());
    assert_eq!(ask(&store.db, "SELECT count(*) FROM marks").await, 0);
    long(99).await.unwrap();
    assert_eq!(ask(&store.db, "SELECT count(*) FROM marks").await, 100);
}
