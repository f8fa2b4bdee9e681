//! The note of a gift: it is set by the gift's id, and shows in the orders made of the gift.
#![allow(unused_braces, clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::await_holding_lock, reason = "locks of the test's own ledgers, which nobody else takes meanwhile")]

mod rig;

use fangshi_journal::{EventFilter, EventView, GIFT_NOTE, RunState};
use fangshi_operations::{Proof, table};
use fangshi_runtime::{CallError, Outcome, RunHost};
use rig::{Mood, ORDER, Rig, outcome_of};
use serde_json::{Value, json};

const GIFT: &str = "3732700000000000777";
/// Another order of the gift.
const SIBLING: &str = "3705115058471208929";

async fn set_gift_note(host: &mut dyn RunHost) -> Result<Value, CallError> {
    host.operation("presents", "set-note", json!({"present_order_id": GIFT, "notes": "x"})).await
}

/// Sets the note at every event, whatever it is.
fn always() -> rig::Script {
    script!(|_input, host| outcome_of(set_gift_note(host).await.map(drop)))
}

async fn noted(rig: &Rig, order: &str) {
    rig.hand.advance(2_000);
    rig.push("channels_ec_order_ext_info_update", order, Some(GIFT_NOTE)).await;
    rig.settle().await;
}

/// Oldest first.
async fn events(rig: &Rig) -> Vec<EventView> {
    let filter = EventFilter { limit: 99, ..EventFilter::default() };
    let mut events = rig.journal.events(rig.tenant, &filter).await.unwrap().items;
    events.reverse();
    events
}

/// Who heard the n-th event, from 1.
fn heard(rig: &Rig, n: usize) -> Vec<u8> {
    rig.ran().iter().filter(|ran| ran.event == format!("e{n}")).map(|ran| ran.version).collect()
}

#[test]
fn notes_of_gifts_raise_the_type_that_lanes_look_for() {
    let of_gifts = table().iter().filter(|op| op.proof() == Proof::PresentOrder);
    assert!(of_gifts.map(|op| op.raises).eq([&[GIFT_NOTE][..]]));
}

#[tokio::test]
async fn a_gift_note_spares_its_causer_on_every_order_that_was_read() {
    let rig = Rig::new().await;
    rig.shop.give(GIFT, &[ORDER, SIBLING]);
    rig.install(1, true, always());
    rig.install(2, false, script!(|_input, _host| Outcome::Done));
    rig.pay(ORDER).await;
    rig.settle().await;
    noted(&rig, ORDER).await;
    assert_eq!(heard(&rig, 2), [2], "the plugin's own note");
    // Nobody has read the other order: of its gift nothing is known before its first run.
    noted(&rig, SIBLING).await;
    assert_eq!(heard(&rig, 3), [1, 2]);
    noted(&rig, ORDER).await;
    noted(&rig, SIBLING).await;
    assert_eq!((heard(&rig, 4), heard(&rig, 5)), (vec![2], vec![2]), "the two do not set each other off");

    let runs = rig.runs().await;
    let first = runs.iter().find(|run| run.hook == "on-pay" && run.installation.0 == 1).unwrap().id;
    let found: Vec<_> = events(&rig).await.iter().map(|event| event.echo_of).collect();
    assert_eq!((found[0], found[1], found[2]), (None, Some(first), None));
    assert!(found[3].is_some_and(|run| run != first) && found[4].is_some());
    // Two effects on the gift, two events of this order: the next one is somebody else's.
    noted(&rig, ORDER).await;
    assert_eq!(heard(&rig, 6), [1, 2]);
}

#[tokio::test]
async fn an_order_that_is_no_part_of_the_gift_has_no_echo_of_its_note() {
    let rig = Rig::new().await;
    rig.shop.give(GIFT, &[SIBLING]);
    rig.shop.give("3732700000000000778", &[ORDER]);
    rig.install(
        1,
        true,
        script!(|input, host| {
            if input.hook == "on-pay" {
                set_gift_note(host).await.unwrap();
            }
            Outcome::Done
        }),
    );
    rig.pay(ORDER).await;
    rig.settle().await;
    noted(&rig, ORDER).await;
    assert_eq!(heard(&rig, 2), [1]);
}

#[tokio::test]
async fn a_plugin_that_insists_on_a_gift_note_is_parked_as_a_loop_over_all_orders_of_the_gift() {
    let rig = Rig::new().await;
    rig.shop.give(GIFT, &[ORDER, SIBLING]);
    rig.install_for(rig.tenant, 1, true, json!({"effects_per_hour": 3, "echoes": true}), always());
    for order in [ORDER, SIBLING, ORDER, SIBLING] {
        noted(&rig, order).await;
    }
    assert_eq!(rig.shop.applied().len(), 3);
    let last = rig.runs().await.pop().unwrap();
    assert_eq!((last.state, last.reason.as_deref()), (RunState::Parked, Some("loop")));
}

#[tokio::test]
async fn a_gift_note_that_a_crash_took_away_is_sent_again_even_if_the_order_changed_just_before() {
    let mut rig = Rig::new().await;
    rig.shop.give(GIFT, &[ORDER]);
    let before = rig.shop.orders.lock().unwrap().clone();
    rig.install(1, true, always());
    rig.shop.moods.lock().unwrap().push_back(Mood::Hang);
    rig.pay(ORDER).await;
    rig.shop.hanging.notified().await;
    rig.crash().await;
    // The request never arrived.
    *rig.shop.orders.lock().unwrap() = before;
    rig.hand.advance(1_000);
    rig.restart().await;
    rig.settle().await;
    assert_eq!(rig.states().await, [RunState::Done]);
    assert_eq!(rig.shop.orders.lock().unwrap()[ORDER]["order_present_info"]["present_note"], "x");
    let detail = rig.journal.run(rig.tenant, rig.runs().await[0].id).await.unwrap().unwrap();
    assert_eq!(detail.effects[0].sends, 2);
    assert_eq!(serde_json::to_value(&detail.effects[0]).unwrap()["state"], "applied");
}

#[tokio::test]
async fn somebody_elses_gift_note_is_not_overwritten() {
    let mut rig = Rig::new().await;
    rig.shop.give(GIFT, &[ORDER]);
    rig.install(1, true, always());
    rig.shop.moods.lock().unwrap().push_back(Mood::Hang);
    rig.pay(ORDER).await;
    rig.shop.hanging.notified().await;
    rig.crash().await;
    rig.shop.orders.lock().unwrap().get_mut(ORDER).unwrap()["order_present_info"]["present_note"] = json!("by hand");
    rig.restart().await;
    rig.settle().await;
    assert_eq!(rig.shop.applied().len(), 1, "sent once, before the crash");
    assert_eq!(rig.shop.orders.lock().unwrap()[ORDER]["order_present_info"]["present_note"], "by hand");
}
