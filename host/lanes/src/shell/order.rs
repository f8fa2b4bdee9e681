//! The order as read before the hook: one snapshot per event for all installations of the lane.

use std::sync::Arc;

use fangshi_journal::{EventSeq, SnapshotRow};
use fangshi_operations::Fault;
use fangshi_runtime::Snapshot;

use super::Core;
use fangshi_journal::LaneKey;

/// The snapshot of the event that a drain works on.
#[derive(Default)]
pub(crate) struct SnapshotOfEvent {
    kept: Option<(EventSeq, SnapshotRow)>,
}

impl SnapshotOfEvent {
    /// The snapshot for an attempt: the one that an earlier installation of the same event started from, unless something
    /// made it stale. A retry (`fresh`) always reads again.
    pub(crate) async fn read(
        &mut self,
        core: &Core,
        lane: &LaneKey,
        event: EventSeq,
        fresh: bool,
    ) -> Result<SnapshotRow, Fault> {
        if let Some((seq, snapshot)) = &self.kept
            && *seq == event
            && !fresh
        {
            return Ok(snapshot.clone());
        }
        self.kept = None;
        let json = core.shop.read_order(lane.tenant, &lane.order_id).await?;
        let snapshot = SnapshotRow::new(&lane.order_id, json, core.clock.now());
        self.kept = Some((event, snapshot.clone()));
        Ok(snapshot)
    }

    /// An effect changed the order, or may have.
    pub(crate) fn drop_it(&mut self) {
        self.kept = None;
    }
}

/// A snapshot as the runtime takes it.
pub(crate) fn for_guest(snapshot: &SnapshotRow) -> Arc<Snapshot> {
    Arc::new(Snapshot {
        order_id: snapshot.order_id.to_string(),
        json: (*snapshot.json).clone(),
        digest: snapshot.digest,
    })
}
