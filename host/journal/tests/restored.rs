//! What a restore leaves behind.
#![allow(clippy::unwrap_used)]

mod rig;

use fangshi_database::Digest;
use fangshi_journal::{InstallationId, LaneKey};
use fangshi_tenants::{Actor, ExportedHead, verify};
use rig::Rig;

#[tokio::test]
async fn a_restore_explains_the_heads_that_it_took_away_and_none_after_it() {
    let rig = Rig::new().await;
    rig.journal.hold(Actor::Operator(None)).await.unwrap();
    let head = |date: &str| ExportedHead { date: date.into(), number: 900, hash: Digest::of(b"lost") };
    let verified = verify(rig.db.reader(), rig.tenants.vault(), &[head("2026-01-01")]).await.unwrap().unwrap();
    assert_eq!(verified.cut.len(), 1);
    let after = verify(rig.db.reader(), rig.tenants.vault(), &[head("2026-01-02")]).await.unwrap();
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
