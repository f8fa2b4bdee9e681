//! Runs that a host gave up while the platform failed: rejected or parked. The platform gets well again, so each must have its
//! cause: an effect of its own that met the fault, and of which nobody can tell whether it was done.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::Result;
use fangshi_platform::Ledger;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

use crate::oracle::{EFFECTS, Named};

/// The operation of which no reading shows whether it was done.
const UNSEEN: &str = "shop-phone/send-verify-code";
/// A run, its event, state and reason, and an operation of it that is in doubt.
type GivenUp = (i64, i64, i64, Option<String>, Option<String>);
/// `runs.state`.
const REJECTED: i64 = 3;

/// What a way to fail may leave of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaves {
    /// Nothing: in the end every run is done.
    Nothing,
    /// An effect in doubt, for which a plugin may reject.
    Doubt,
    /// A refusal for good.
    Refusal,
}

/// The newest event of the store, by its number; 0 without one.
pub fn newest_event(store: &Path) -> Result<i64> {
    on(store, async |pool| Ok(sqlx::query_scalar("SELECT COALESCE(max(seq), 0) FROM events").fetch_one(pool).await?))
}

/// Runs of events after this one that were given up without a cause, in words. `ledger`: the calls since then.
pub fn without_cause(store: &Path, after: i64, leaves: Leaves, ledger: &Ledger) -> Result<Vec<String>> {
    if leaves == Leaves::Refusal {
        return Ok(Vec::new());
    }
    let rows: Vec<GivenUp> = on(store, async |pool| {
        let text = "SELECT r.id, r.event_seq, r.state, r.reason, f.operation FROM runs r \
                    LEFT JOIN effects f ON f.run_id = r.id AND f.state = 4 WHERE r.state IN (3, 4) AND r.event_seq > $1";
        Ok(sqlx::query_as(text).bind(after).fetch_all(pool).await?)
    })?;
    let met = met(ledger);
    let mut runs: BTreeMap<i64, (bool, String)> = BTreeMap::new();
    for (run, event, state, reason, doubtful) in rows {
        let applied = doubtful.as_deref().and_then(|operation| met.get(&(event, operation)));
        let shows = doubtful.as_deref() != Some(UNSEEN) && applied.is_some_and(|applied| *applied);
        let caused = leaves == Leaves::Doubt && state == REJECTED && applied.is_some() && !shows;
        let ended = if state == REJECTED { "rejected" } else { "parked" };
        let (reason, doubtful) = (reason.as_deref().unwrap_or("no reason"), doubtful.as_deref().unwrap_or("nothing"));
        let told = format!("run {run} of event {event}: {ended} ({reason}), in doubt {doubtful}, applied {applied:?}");
        runs.entry(run).or_insert((false, told)).0 |= caused;
    }
    Ok(runs.into_values().filter(|(caused, _)| !caused).map(|(_, told)| told).collect())
}

/// Effects that met a fault, by event and operation, and whether the platform did them at any time.
fn met(ledger: &Ledger) -> HashMap<(i64, &'static str), bool> {
    let mut met: HashMap<(i64, &'static str), (bool, bool)> = HashMap::new();
    for (path, operation, _) in EFFECTS {
        for call in ledger.calls.iter().filter(|call| call.path == path) {
            if let Some(Named::Event(event)) = Named::of(call) {
                let seen = met.entry((event, operation)).or_default();
                *seen = (seen.0 || call.fault.is_some(), seen.1 || call.applied);
            }
        }
    }
    met.into_iter().filter(|(_, (fault, _))| *fault).map(|(effect, (_, applied))| (effect, applied)).collect()
}

/// How many effects met a fault.
pub fn effects_met(ledger: &Ledger) -> usize {
    met(ledger).len()
}

fn on<T>(store: &Path, look: impl AsyncFnOnce(&SqlitePool) -> Result<T>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(store).read_only(true)).await?;
        let found = look(&pool).await;
        pool.close().await;
        found
    })
}

#[cfg(test)]
mod tests {
    use fangshi_platform::{Call, Fault};
    use serde_json::json;

    use super::*;

    const SEND: &str = "delivery/send";

    /// Two runs, of the events 1 and 2, of which `change` makes what it likes.
    fn store(change: &'static str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let options = SqliteConnectOptions::new().filename(folder.path().join("store")).create_if_missing(true);
            let pool = SqlitePool::connect_with(options).await.unwrap();
            let tables = "CREATE TABLE events (seq INTEGER); CREATE TABLE effects (run_id INTEGER, operation TEXT, state INTEGER);
                CREATE TABLE runs (id INTEGER, event_seq INTEGER, state INTEGER, reason TEXT);
                INSERT INTO events VALUES (1), (2); INSERT INTO runs VALUES (11, 1, 2, NULL), (12, 2, 2, NULL);";
            for text in [tables, change] {
                sqlx::raw_sql(text).execute(&pool).await.unwrap();
            }
            pool.close().await;
        });
        folder
    }

    /// The one parcel of event 2.
    fn parcel(fault: Option<Fault>, applied: bool) -> Ledger {
        let (path, _, _) = EFFECTS[1];
        let request = json!({"order_id": "7", "delivery_list": [{"waybill_id": "SFe2"}]});
        Ledger { calls: vec![call(path, request, fault, applied)], pushes: Vec::new() }
    }

    fn call(path: &str, request: serde_json::Value, fault: Option<Fault>, applied: bool) -> Call {
        Call {
            id: 1,
            began: 1,
            ended: 2,
            at_ms: 0,
            appid: None,
            token_id: None,
            path: path.to_owned(),
            operation: None,
            request,
            order_id: Some("7".to_owned()),
            errcode: None,
            applied,
            issued: None,
            fault,
        }
    }

    fn found(change: &'static str, leaves: Leaves, ledger: &Ledger) -> usize {
        without_cause(&store(change).path().join("store"), 0, leaves, ledger).unwrap().len()
    }

    const REJECTED: &str =
        "UPDATE runs SET state = 3 WHERE id = 12; INSERT INTO effects VALUES (12, 'delivery/send', 4);
        INSERT INTO effects VALUES (12, 'notes/set-merchant-notes', 1);";
    const CUT: Option<Fault> = Some(Fault::Reset { applied: false });

    #[test]
    fn an_effect_in_doubt_is_a_cause_to_reject() {
        assert_eq!(SEND, EFFECTS[1].1);
        assert_eq!(found(REJECTED, Leaves::Doubt, &parcel(CUT, false)), 0);
        assert_eq!(found("", Leaves::Nothing, &parcel(CUT, false)), 0, "every run is done");
        assert_eq!(effects_met(&parcel(CUT, false)), 1);
        assert_eq!(effects_met(&parcel(None, true)), 0);
    }

    #[test]
    fn what_did_not_fail_or_shows_or_passes_is_none() {
        for (what, change, leaves, ledger) in [
            ("every call went well", REJECTED, Leaves::Doubt, parcel(None, true)),
            ("the parcel shows", REJECTED, Leaves::Doubt, parcel(CUT, true)),
            ("the platform said that it did nothing", REJECTED, Leaves::Nothing, parcel(CUT, false)),
            ("nothing is in doubt", "UPDATE runs SET state = 3 WHERE id = 12", Leaves::Doubt, parcel(CUT, false)),
            (
                "a platform that is well again parks nobody",
                "UPDATE runs SET state = 4 WHERE id = 12; INSERT INTO effects VALUES (12, 'delivery/send', 4)",
                Leaves::Doubt,
                parcel(CUT, false),
            ),
            (
                "another run's doubt",
                "UPDATE runs SET state = 3 WHERE id = 11; INSERT INTO effects VALUES (11, 'delivery/send', 4)",
                Leaves::Doubt,
                parcel(CUT, false),
            ),
        ] {
            assert_eq!(found(change, leaves, &ledger), 1, "{what}");
        }
    }

    #[test]
    fn a_code_that_was_sent_shows_nowhere() {
        let sent = call(EFFECTS[2].0, json!({"mobile": "13900000002"}), Some(Fault::ErrcodeApplied { code: -1 }), true);
        let ledger = Ledger { calls: vec![sent], pushes: Vec::new() };
        let change = "UPDATE runs SET state = 3 WHERE id = 12; INSERT INTO effects VALUES (12, 'shop-phone/send-verify-code', 4)";
        assert_eq!(found(change, Leaves::Doubt, &ledger), 0);
        assert_eq!(UNSEEN, EFFECTS[2].1);
    }

    #[test]
    fn what_a_refusal_ended_and_what_was_before_is_not_looked_at() {
        let folder = store("UPDATE runs SET state = 4");
        let store = folder.path().join("store");
        let nothing = Ledger::default();
        assert_eq!(without_cause(&store, 0, Leaves::Refusal, &nothing).unwrap().len(), 0);
        assert_eq!(without_cause(&store, 0, Leaves::Doubt, &nothing).unwrap().len(), 2);
        assert_eq!(newest_event(&store).unwrap(), 2);
        assert_eq!(without_cause(&store, 2, Leaves::Doubt, &nothing).unwrap().len(), 0);
    }
}
