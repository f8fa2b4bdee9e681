//! A restored store: held until it is released, and careful with what its runs may have sent since the backup.
#![allow(
    unused_braces,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and prints its seeds"
)]
#![allow(clippy::await_holding_lock, reason = "locks of the test's own ledgers, which nobody else takes meanwhile")]
#![allow(clippy::disallowed_methods, reason = "seeds come from the real clock")]

mod rig;

use std::sync::{Arc, Mutex};

use fangshi_journal::{AlertKind, EffectState, EventFilter, RunState};
use fangshi_runtime::{CallError, Outcome};
use fangshi_tenants::{Actor, AuditFilter, Door, NewToken, Role};
use rig::{ORDER, Rig, send_out, set_note};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

fn parcel() -> Value {
    json!({"order_id": ORDER, "delivery_list": [{"delivery_id": "SF", "waybill_id": "SF1", "deliver_type": 1,
        "product_infos": [{"product_id": "1", "product_cnt": 1, "sku_id": "1"}]}]})
}

type Answers = Arc<Mutex<Vec<(&'static str, Result<Value, CallError>)>>>;

/// Sets a note (resend), sends a parcel (verify), asks for a code (unknown).
fn three(answers: &Answers) -> rig::Script {
    let answers = Arc::clone(answers);
    script!(
        [answers] | _input,
        host | {
            let note = set_note(host, ORDER, "one").await;
            let sent = host.operation("delivery", "send", parcel()).await;
            let code = host.operation("shop-phone", "send-verify-code", json!({"mobile": "13900000000"})).await;
            *answers.lock().unwrap() = vec![("note", note), ("parcel", sent), ("code", code)];
            Outcome::Done
        }
    )
}

#[tokio::test]
async fn what_may_have_gone_outside_before_the_restore_is_not_sent_again() {
    let answers = Answers::default();
    let told = Arc::clone(&answers);
    let script = script!(
        [told] | _input,
        host | {
            let (post, get) = (send_out(host, "POST").await, send_out(host, "GET").await);
            *told.lock().unwrap() = vec![("POST", post), ("GET", get)];
            Outcome::Done
        }
    );
    let rig = restored_with(script, false).await;
    assert!(rig.shop.applied().is_empty(), "nothing is sent while the store is held");
    release(&rig).await;
    let answers = answers.lock().unwrap().clone();
    assert!(is_unknown(&answers[0].1), "{answers:?}");
    assert!(answers[1].1.is_ok(), "{answers:?}");
    let sent: Vec<_> = rig.shop.applied().iter().map(|request| request["method"].clone()).collect();
    assert_eq!(sent, ["GET"]);
}

fn is_unknown(answer: &Result<Value, CallError>) -> bool {
    matches!(answer, Err(CallError::OutcomeUnknown(_)))
}

/// An event that the backup brought with its run not begun, in a store that is restored.
async fn restored(answers: &Answers) -> Rig {
    restored_with(three(answers), false).await
}

async fn restored_with(script: rig::Script, reads_order: bool) -> Rig {
    let mut rig = Rig::new().await;
    rig.install(1, reads_order, script);
    rig.crash().await;
    rig.pay(ORDER).await;
    rig.journal.hold(Actor::Operator(None)).await.unwrap();
    rig.restart().await;
    assert!(rig.lanes.is_held());
    rig
}

async fn release(rig: &Rig) {
    // Longer than a request of the lost time could still be on its way.
    rig.hand.advance(20_000);
    assert!(rig.journal.release(Actor::Operator(None)).await.unwrap());
    rig.lanes.release().await;
    rig.settle().await;
}

#[tokio::test]
async fn sessions_and_unused_links_of_the_merchant_page_end_with_a_restore_and_tokens_stay() {
    let rig = Rig::new().await;
    let access = rig.tenants.access();
    let (_, unused) = access.make_link(rig.tenant, "x", 60).await.unwrap();
    let (_, used) = access.make_link(rig.tenant, "x", 60).await.unwrap();
    let (_, cookie) = access.enter(used.expose_secret()).await.unwrap().unwrap();
    let new = NewToken { role: Role::Operator, label: "erp".into(), expires_at: i64::MAX };
    let (_, token) = access.make_token(new).await.unwrap();
    rig.journal.hold(Actor::Operator(None)).await.unwrap();
    assert!(!access.is_open(unused.expose_secret()).await.unwrap());
    assert!(access.enter(unused.expose_secret()).await.unwrap().is_none());
    assert!(access.recognise(cookie.expose_secret(), Door::Page).await.unwrap().is_none());
    assert!(access.recognise(token.expose_secret(), Door::Api).await.unwrap().is_some(), "other systems live on them");
    let filter = AuditFilter { limit: 1, ..AuditFilter::default() };
    let told = rig.tenants.audit().list(&filter).await.unwrap().remove(0);
    let details = json!({"restored_at": rig.clock.now(), "sessions": 1, "links": 1});
    assert_eq!((told.action.as_str(), told.details), ("store-restored", Some(details)));
}

#[tokio::test]
async fn a_held_store_records_and_runs_nothing_and_goes_on_when_it_is_released() {
    let answers = Answers::default();
    let mut rig = restored(&answers).await;
    rig.push("channels_ec_order_new", "3700000000000000009", None).await;
    rig.lanes.sweep().await.unwrap();
    rig.restart().await;
    assert!(rig.lanes.is_held(), "a restart does not end it");
    assert_eq!(rig.count("SELECT count(*) FROM events").await, 2, "callbacks are recorded");
    assert_eq!((rig.ran().len(), rig.lanes.stats().running), (0, 0));
    assert!(rig.lanes.stats().waiting > 0, "they are queued");
    release(&rig).await;
    assert_eq!(rig.ran().len(), 2);
    assert!(!rig.journal.release(Actor::Operator(None)).await.unwrap(), "there is nothing left to release");
    let audited = "SELECT count(*) FROM audit WHERE action IN ('store-restored', 'store-released')";
    assert_eq!(rig.count(audited).await, 2);
    rig.restart().await;
    assert!(!rig.lanes.is_held());
}

#[tokio::test]
async fn a_restored_run_sends_only_what_can_be_verified_and_does_not_show() {
    let answers = Answers::default();
    let rig = restored(&answers).await;
    release(&rig).await;
    let sent = rig.shop.applied();
    assert_eq!(sent, [parcel()], "the parcel does not show, and everything else might have been done");
    let told = answers.lock().unwrap().clone();
    assert!(is_unknown(&told[0].1) && told[1].1.is_ok() && is_unknown(&told[2].1), "{told:?}");
    let run = rig.runs().await[0].clone();
    assert_eq!(run.state, RunState::Done);
    let effects = rig.journal.effects(rig.tenant, run.id).await.unwrap();
    let states: Vec<EffectState> = effects.iter().map(|effect| effect.state).collect();
    assert_eq!(states, [EffectState::Unknown, EffectState::Applied, EffectState::Unknown]);
}

#[tokio::test]
async fn what_was_done_after_the_backup_is_seen_and_not_done_again() {
    let answers = Answers::default();
    let rig = restored(&answers).await;
    // As the run left the order after the backup was taken.
    let order = json!({"order_id": ORDER, "status": 30, "update_time": rig.clock.now_s(), "order_detail": {
        "ext_info": {"merchant_notes": "one", "customer_notes": ""},
        "delivery_info": {"delivery_product_info": parcel()["delivery_list"]}}});
    rig.shop.orders.lock().unwrap().insert(ORDER.into(), order);
    release(&rig).await;
    assert!(rig.shop.applied().is_empty(), "nothing was sent twice");
    let told = answers.lock().unwrap().clone();
    assert!(told[0].1.is_ok() && told[1].1.is_ok() && is_unknown(&told[2].1), "{told:?}");
}

#[tokio::test]
async fn a_look_that_failed_does_not_make_a_later_attempt_forget_since_when_it_may_have_been_sent() {
    // Without a waybill the order need not show which parcel it was, only that something changed.
    let parcel = json!({"order_id": ORDER, "delivery_list": [{"deliver_type": 3,
        "product_infos": [{"product_id": "1", "product_cnt": 1, "sku_id": "1"}]}]});
    let answers = Answers::default();
    let sends: rig::Script = {
        let (answers, parcel) = (Arc::clone(&answers), parcel.clone());
        script!(
            [answers, parcel] | _input,
            host | {
                let sent = host.operation("delivery", "send", parcel).await;
                answers.lock().unwrap().push(("parcel", sent.clone()));
                match sent {
                    Err(CallError::Unavailable(_)) => {
                        Outcome::RetryLater { reason: "not known yet".into(), after: None }
                    }
                    _ => Outcome::Done,
                }
            }
        )
    };
    let rig = restored_with(sends, true).await;
    rig.hand.advance(10_000);
    let order = json!({"order_id": ORDER, "status": 30, "update_time": rig.clock.now_s(), "order_detail": {}});
    rig.shop.orders.lock().unwrap().insert(ORDER.into(), order);
    // The restore comes so much later that an order that was changed before it would count as untouched since.
    rig.hand.advance(3_600_000);
    rig.shop.looks_fail.store(1, std::sync::atomic::Ordering::SeqCst);
    release(&rig).await;
    assert_eq!(rig.states().await, [RunState::Waiting]);
    rig.advance(60).await;
    assert_eq!(rig.states().await, [RunState::Done]);
    assert!(rig.shop.applied().is_empty(), "it was sent before the store was lost");
    let told = answers.lock().unwrap().clone();
    assert!(told.len() == 2 && is_unknown(&told[1].1), "{told:?}");
}

#[tokio::test]
async fn a_plugin_that_insists_after_a_restore_makes_no_sendings_that_never_were() {
    let sends: rig::Script = script!(|_input, host| {
        for _ in 0..2 {
            if let Err(error) = host.operation("delivery", "send", parcel()).await {
                assert!(matches!(error, CallError::Unavailable(_)), "{error}");
            } else {
                return Outcome::Done;
            }
        }
        Outcome::RetryLater { reason: "not known yet".into(), after: None }
    });
    let rig = restored_with(sends, true).await;
    rig.hand.advance(10_000);
    let order = json!({"order_id": ORDER, "status": 20, "update_time": rig.clock.now_s() - 9_000, "order_detail": {}});
    rig.shop.orders.lock().unwrap().insert(ORDER.into(), order);
    rig.shop.looks_fail.store(2, std::sync::atomic::Ordering::SeqCst);
    release(&rig).await;
    assert_eq!(rig.states().await, [RunState::Waiting]);
    rig.advance(60).await;
    assert_eq!((rig.states().await, rig.shop.applied().len()), (vec![RunState::Done], 1));
}

/// A restored store, held, that lacks what happened between its backup and its loss; with a time in between, unix seconds.
async fn lost_and_restored(answers: &Answers) -> (Rig, i64) {
    let mut rig = Rig::new().await;
    rig.install(1, false, three(answers));
    rig.crash().await;
    let between = rig.clock.now_s();
    rig.hand.advance(600_000);
    rig.journal.hold(Actor::Operator(None)).await.unwrap();
    rig.restart().await;
    rig.hand.advance(600_000);
    (rig, between)
}

#[tokio::test]
async fn a_change_of_the_lost_time_that_reconciliation_finds_may_have_had_its_effects() {
    let answers = Answers::default();
    // A callback of then was answered, and its run done, by the store that was lost.
    let (rig, paid_at) = lost_and_restored(&answers).await;
    rig.reconcile("channels_ec_order_pay", ORDER, paid_at).await;
    release(&rig).await;
    assert_eq!(rig.shop.applied(), [parcel()]);
    let told = std::mem::take(&mut *answers.lock().unwrap());
    assert!(is_unknown(&told[0].1) && told[1].1.is_ok() && is_unknown(&told[2].1), "{told:?}");
    // What happened well after the restore no other store has heard of.
    rig.hand.advance(900_000);
    rig.reconcile("channels_ec_order_pay", "3700000000000000009", rig.clock.now_s() - 300).await;
    rig.settle().await;
    assert!(answers.lock().unwrap().iter().all(|(_, answer)| answer.is_ok()));
}

/// The order, after a run of the lost store noted and shipped it.
fn as_that_run_left_it(rig: &Rig, paid_at: i64) {
    let order = json!({"order_id": ORDER, "status": 30, "update_time": paid_at + 1, "order_detail": {
        "ext_info": {"merchant_notes": "one", "customer_notes": ""},
        "delivery_info": {"delivery_product_info": parcel()["delivery_list"]}}});
    rig.shop.orders.lock().unwrap().insert(ORDER.into(), order);
}

#[tokio::test]
async fn a_callback_of_the_lost_time_that_is_pushed_again_may_have_had_its_effects() {
    let answers = Answers::default();
    // The store that was lost committed it and sent its effects; only `success` did not arrive.
    let (rig, paid_at) = lost_and_restored(&answers).await;
    rig.push_of("channels_ec_order_pay", ORDER, paid_at).await;
    as_that_run_left_it(&rig, paid_at);
    release(&rig).await;
    assert!(rig.shop.applied().is_empty(), "nothing was sent twice");
    let told = std::mem::take(&mut *answers.lock().unwrap());
    assert!(told[0].1.is_ok() && told[1].1.is_ok() && is_unknown(&told[2].1), "{told:?}");
}

#[tokio::test]
async fn a_restored_run_decodes_nothing_anew() {
    for kept in [None, Some(json!({"address_info": {"user_name": "kept"}}))] {
        let answers = Answers::default();
        let decodes: rig::Script = {
            let answers = Arc::clone(&answers);
            script!(
                [answers] | _input,
                host | {
                    let decoded = host.operation("decode", "sensitive-info", json!({"order_id": ORDER})).await;
                    answers.lock().unwrap().push(("decode", decoded));
                    Outcome::Done
                }
            )
        };
        let rig = restored_with(decodes, false).await;
        rig.shop.kept.lock().unwrap().clone_from(&kept);
        release(&rig).await;
        assert!(rig.shop.ledger.lock().unwrap().is_empty(), "nothing was sent");
        let told = answers.lock().unwrap().clone();
        match kept {
            None => assert!(is_unknown(&told[0].1), "{told:?}"),
            Some(kept) => assert_eq!(told[0].1.as_ref().unwrap(), &kept),
        }
    }
}

#[tokio::test]
async fn events_after_the_restore_are_as_ever() {
    let answers = Answers::default();
    let rig = restored(&answers).await;
    release(&rig).await;
    rig.advance(900).await;
    let before = rig.shop.applied().len();
    rig.push("channels_ec_order_new", ORDER, None).await;
    rig.settle().await;
    assert!(answers.lock().unwrap().iter().all(|(_, answer)| answer.is_ok()));
    assert_eq!(rig.shop.applied().len(), before + 3);
}

#[tokio::test]
async fn what_a_clock_that_was_behind_dates_after_the_restore_is_not_done_twice() {
    let answers = Answers::default();
    let mut rig = Rig::new().await;
    rig.install(1, false, three(&answers));
    rig.crash().await;
    // The store was lost ten minutes from now, by the platform's clock, and had heard of a payment.
    let paid_at = rig.clock.now_s() + 540;
    rig.journal.hold(Actor::Operator(None)).await.unwrap();
    rig.restart().await;
    rig.push_of("channels_ec_order_pay", ORDER, paid_at).await;
    as_that_run_left_it(&rig, paid_at);
    release(&rig).await;
    let told = std::mem::take(&mut *answers.lock().unwrap());
    assert!(told[0].1.is_ok() && told[1].1.is_ok() && is_unknown(&told[2].1), "{told:?}");
    // The same note once more does no harm; a parcel is looked for, and for a code nothing shows.
    assert_eq!(rig.shop.applied(), [json!({"order_id": ORDER, "merchant_notes": "one"})]);
}

#[tokio::test]
async fn ids_that_the_lost_store_may_have_given_out_are_left_free() {
    let mut rig = Rig::new().await;
    rig.install(1, false, script!(|_input, _host| Outcome::Reject { reason: "no".into() }));
    let before = rig.pay(ORDER).await;
    rig.settle().await;
    rig.crash().await;
    rig.journal.hold(Actor::Operator(None)).await.unwrap();
    assert_eq!(rig.journal.restored().await.unwrap().unwrap().until(), before);
    rig.restart().await;
    release(&rig).await;
    let after = rig.pay(ORDER).await;
    rig.settle().await;
    assert!(after.0 > before.0 + 1_000_000);
    let runs = rig.runs().await;
    assert!(runs.len() == 2 && runs[1].id.0 > 1_000_000, "{runs:?}");
    assert_eq!(rig.count("SELECT seq FROM sqlite_sequence WHERE name = 'alerts'").await, 1_000_000);
    let events = rig.journal.events(rig.tenant, &EventFilter { limit: 9, ..EventFilter::default() }).await.unwrap();
    assert_eq!(events.items.iter().map(|event| event.seq).collect::<Vec<_>>(), [after, before], "over the gap");
}

#[tokio::test]
async fn the_operator_is_told_of_a_deadline_that_comes_near_while_the_store_is_held() {
    let answers = Answers::default();
    let rig = restored(&answers).await;
    // A buyer asks for another address: the platform agrees in twelve hours.
    rig.push("channels_ec_order_ext_info_update", "3700000000000000009", Some(4)).await;
    rig.lanes.sweep().await.unwrap();
    assert_eq!((rig.runs().await.len(), rig.ran().len()), (2, 0), "there are runs, and none is executed");
    assert!(rig.lanes.stats().waiting > 0);
    rig.hand.advance(11 * 3_600_000);
    rig.lanes.sweep().await.unwrap();
    let alerts = rig.journal.alerts(None, 9).await.unwrap();
    assert_eq!(alerts.iter().map(|alert| alert.kind).collect::<Vec<_>>(), [AlertKind::DeadlineNear]);
    release(&rig).await;
    assert_eq!(rig.ran().len(), 2);
}
