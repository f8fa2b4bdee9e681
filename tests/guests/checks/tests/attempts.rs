//! Guests in the real lanes, journal and operations, against the fake platform: what was refused, trapped or cut off goes on
//! in the next attempt with fresh reads, and no settled effect is repeated. The platform's ledger says what was applied.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod rig;

use fangshi_journal::{EffectState, RunState};
use fangshi_platform::{Fault, Step};
use rig::{NOTES, Rig, SHIP, logs, outcomes};
use serde_json::Value;

const LIMITED: Fault = Fault::Errcode { code: 100_003 };
const CONFLICT: Fault = Fault::Errcode { code: 101_100 };

fn note_of(order: &Value) -> &str {
    order["order_detail"]["ext_info"]["merchant_notes"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_limited_the_next_attempt_reads_afresh_and_repeats_no_settled_effect() {
    let rig = Rig::with("note-then-ship").await;
    rig.fail(SHIP, 1, LIMITED);
    let order = rig.paid().await;
    rig.settle().await;
    let run = rig.run(&order).await;
    assert_eq!((run.run.state, outcomes(&run)), (RunState::Waiting, vec!["retry-later"]));
    rig.advance(400).await;
    let run = rig.run(&order).await;
    assert_eq!((run.run.state, outcomes(&run)), (RunState::Done, vec!["retry-later", "done"]));
    assert_eq!(logs(&run), [["found note \"\""], ["found note \"packed\""]], "the second attempt read the order again");
    assert_eq!((rig.calls(NOTES), rig.calls(SHIP)), (1, 2), "the note was answered from its outcome");
    assert_eq!(rig.applied(&order).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_conflict_the_next_attempt_makes_progress() {
    let rig = Rig::with("note-then-ship").await;
    rig.fail(NOTES, 1, CONFLICT);
    rig.fail(SHIP, 2, CONFLICT);
    let order = rig.paid().await;
    for _ in 0..4 {
        rig.advance(400).await;
    }
    let run = rig.run(&order).await;
    assert_eq!(run.run.state, RunState::Done);
    assert_eq!(outcomes(&run), ["retry-later", "retry-later", "retry-later", "done"]);
    assert_eq!((rig.calls(NOTES), rig.calls(SHIP)), (2, 3));
    assert_eq!(rig.applied(&order).len(), 2);
    let sends: Vec<_> = run.effects.iter().map(|effect| (effect.state, effect.sends)).collect();
    assert_eq!(sends, [(EffectState::Applied, 2), (EffectState::Applied, 3)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_trap_the_effect_before_it_stands_and_is_not_sent_again() {
    let rig = Rig::with("note-then-trap").await;
    let order = rig.paid().await;
    rig.settle().await;
    rig.advance(10).await;
    let run = rig.run(&order).await;
    assert_eq!((run.run.state, outcomes(&run)), (RunState::Done, vec!["trap", "done"]));
    assert_eq!((rig.calls(NOTES), rig.applied(&order).len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_call_that_is_made_again_at_once_is_the_same_effect() {
    let rig = Rig::with("insists-then-traps").await;
    rig.fail(NOTES, 1, LIMITED);
    let order = rig.paid().await;
    rig.settle().await;
    rig.advance(10).await;
    let run = rig.run(&order).await;
    assert_eq!((run.run.state, outcomes(&run)), (RunState::Done, vec!["trap", "done"]));
    assert_eq!(logs(&run), [["refused true"], ["refused false"]], "the second attempt hears what came of it");
    assert_eq!(rig.calls(NOTES), 2, "refused, then applied; the second attempt sends nothing");
    assert_eq!(rig.applied(&order).len(), 1);
    assert_eq!((run.effects.len(), run.effects[0].nth, run.effects[0].sends), (1, 0, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_equal_calls_that_were_both_done_stay_two_effects() {
    let rig = Rig::with("effect-twice").await;
    let order = rig.paid().await;
    rig.settle().await;
    let run = rig.run(&order).await;
    assert_eq!(run.effects.iter().map(|effect| effect.nth).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(rig.calls(NOTES), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kv_of_an_attempt_that_trapped_is_gone_and_of_one_that_ended_well_is_kept() {
    let rig = Rig::with("kv-then-trap").await;
    let order = rig.paid().await;
    rig.settle().await;
    rig.advance(10).await;
    let run = rig.run(&order).await;
    assert_eq!((run.run.state, outcomes(&run)), (RunState::Done, vec!["trap", "done"]));
    assert_eq!(logs(&run), [["held \"\""], ["held \"\""]], "nothing of the first attempt was kept");
    // The next run sees what the second attempt left, and that alone.
    let next = rig.paid().await;
    rig.settle().await;
    assert_eq!(logs(&rig.run(&next).await), [["held \"2;\""]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_of_an_order_reads_what_the_one_before_it_left() {
    let rig = Rig::with("reads-note-after").await;
    let order = rig.paid().await;
    rig.record(&order).await;
    rig.record(&order).await;
    rig.settle().await;
    let counts: Vec<_> = rig.applied(&order).iter().map(|request| request["merchant_notes"].clone()).collect();
    assert_eq!(counts, ["1", "2", "3"]);
}

/// Killed while the platform works on the note (`applied`: and it did it).
async fn cut_off_in_the_note(applied: bool) -> (Rig, String) {
    let rig = Rig::with("note-then-ship").await;
    rig.fail(NOTES, 1, Fault::hang(applied));
    let order = rig.paid().await;
    rig.crash_in(NOTES, 1).await;
    (rig, order)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_cut_off_is_resumed_with_its_inputs_and_a_harmless_effect_is_sent_once_more() {
    for applied in [true, false] {
        let (mut rig, order) = cut_off_in_the_note(applied).await;
        assert_eq!(outcomes(&rig.run(&order).await), ["open"]);
        rig.start_again().await;
        let run = rig.run(&order).await;
        assert_eq!((run.run.state, outcomes(&run)), (RunState::Done, vec!["done"]), "{applied}");
        assert_eq!(run.attempt_list[0].resumes, 1);
        assert_eq!(logs(&run), [["found note \"\""]], "the snapshot is the one that the attempt started from");
        assert_eq!(rig.calls(NOTES), if applied { 1 } else { 2 });
        assert_eq!(rig.applied(&order).len(), 2, "the note and the parcel, once each");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_that_somebody_changed_meanwhile_is_not_overwritten() {
    let (mut rig, order) = cut_off_in_the_note(false).await;
    assert_eq!(note_of(&rig.platform.order(&order).unwrap()), "");
    rig.platform.drive(&order, Step::WriteNote { notes: "by hand".into() }).unwrap();
    rig.start_again().await;
    let run = rig.run(&order).await;
    assert_eq!(note_of(&rig.platform.order(&order).unwrap()), "by hand");
    // The guest gives up on an outcome that nobody can tell; a person looks.
    assert_eq!((run.run.state, run.effects[0].state), (RunState::Rejected, EffectState::Unknown));
}

/// Killed while the platform works on the parcel.
async fn cut_off_in_the_parcel(applied: bool) -> (Rig, String) {
    let rig = Rig::with("note-then-ship").await;
    rig.fail(SHIP, 1, Fault::hang(applied));
    let order = rig.paid().await;
    rig.crash_in(SHIP, 1).await;
    (rig, order)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parcel_that_shows_is_not_sent_again() {
    let (mut rig, order) = cut_off_in_the_parcel(true).await;
    rig.start_again().await;
    let run = rig.run(&order).await;
    assert_eq!((run.run.state, outcomes(&run)), (RunState::Done, vec!["done"]));
    assert_eq!((rig.calls(SHIP), rig.calls(NOTES)), (1, 1), "the note came from the journal, by its position");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parcel_that_does_not_show_is_sent_again_only_when_the_first_can_no_longer_be_on_its_way() {
    let (mut rig, order) = cut_off_in_the_parcel(false).await;
    rig.start_again().await;
    let run = rig.run(&order).await;
    assert_eq!((run.run.state, outcomes(&run)), (RunState::Waiting, vec!["retry-later"]));
    assert_eq!(rig.calls(SHIP), 1, "the first request may still arrive");
    rig.advance(20).await;
    let run = rig.run(&order).await;
    assert_eq!((run.run.state, outcomes(&run)), (RunState::Done, vec!["retry-later", "done"]));
    assert_eq!((rig.calls(SHIP), rig.applied(&order).len()), (2, 2));
}
