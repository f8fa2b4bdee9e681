//! What a restore leaves behind.
#![allow(clippy::unwrap_used)]

mod rig;

use fangshi_database::Digest;
use fangshi_journal::{Found, InstallationId, KnownOrder, LaneKey, NewEvent, Noted, Reading, SentPerhaps, Source};
use fangshi_tenants::{Actor, ExportedHead, verify};
use rig::Rig;
use serde_json::json;

#[tokio::test]
async fn a_restore_explains_the_heads_that_it_took_away_and_none_after_it() {
    let rig = Rig::new().await;
    rig.journal.hold(Actor::Operator(None)).await.unwrap();
    let head = |date: &str| ExportedHead { date: date.into(), number: 900, hash: Digest::of(b"lost") };
    let verified = verify(rig.db.reader(), rig.tenants.vault(), &[head("2026-01-01")], &[]).await.unwrap().unwrap();
    assert_eq!(verified.cut.len(), 1);
    let after = verify(rig.db.reader(), rig.tenants.vault(), &[head("2026-01-02")], &[]).await.unwrap();
    assert!(after.is_err(), "{after:?}");
}

#[tokio::test]
async fn lanes_of_schedules_are_no_orders_to_be_read_again() {
    let rig = Rig::new().await;
    let mut tick = rig.event(1);
    tick.order_id = LaneKey::of_schedule(rig.tenant, InstallationId(1), "morning").order_id.to_string();
    rig.journal.record_event(tick).await.unwrap();
    rig.journal.record_event(rig.event(2)).await.unwrap();
    let ticks = LaneKey::of_schedule(rig.tenant, InstallationId(1), "morning");
    assert_eq!(rig.journal.unplanned_lanes(None, 9).await.unwrap(), [rig.lane(), ticks]);
    assert_eq!(rig.journal.unfinished_orders(None, 9).await.unwrap(), [rig.lane()]);
}

#[tokio::test]
async fn what_a_reading_shows_after_a_restore_may_have_happened_before_it_unless_the_order_tells_when() {
    let rig = Rig::new().await;
    rig.hand.advance(3_600_000);
    rig.journal.hold(Actor::Operator(None)).await.unwrap();
    let restored = rig.journal.restored().await.unwrap().unwrap();
    let at = restored.restored_at / 1_000;
    let (since, update_time) = (at - 600, at + 1_800);
    let perhaps = |since, by_clock| Some(SentPerhaps { since, by_clock });
    // The order was updated after the restore; the reading before was long ago. A time that is a little later than the restore
    // is so by the platform's clock alone: this host's may have been behind.
    let dated = [
        (1, update_time, perhaps(since * 1_000, false)),
        (2, at, perhaps(at * 1_000, false)),
        (3, at + 1, perhaps(restored.restored_at, true)),
        (4, at + 900, perhaps(restored.restored_at, true)),
        (5, at + 901, None),
    ];
    for (n, created_at, expected) in dated {
        let order_id = format!("370000000000000000{n}");
        let event = NewEvent { source: Source::Reconciled, created_at, order_id: order_id.clone(), ..rig.event(n) };
        let order = LaneKey::new(event.tenant, &order_id);
        let known = KnownOrder { status: 20, update_time, read_at: 0, seen: None, look_at: None, facts: json!({}) };
        let found = vec![Found { event, since }];
        let reading = Reading { order: order.clone(), known, found, transition: None };
        assert_eq!(rig.journal.note_reading(reading).await.unwrap(), Noted::Written(1));
        let seq = rig.journal.reconciled(&order).await.unwrap()[0].seq;
        let event = rig.journal.event(order.tenant, seq).await.unwrap();
        assert_eq!(restored.sent_perhaps(&event), expected, "happened at {created_at}");
    }
}
