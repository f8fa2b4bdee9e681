//! What a restore leaves behind.
#![allow(clippy::unwrap_used)]

mod rig;

use fangshi_database::Digest;
use fangshi_tenants::{Actor, ExportedHead, verify};
use rig::Rig;

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
