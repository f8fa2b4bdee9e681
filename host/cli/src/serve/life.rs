//! Now and then: the retention of revoked tenants, and what deletions left to do.

use std::time::Duration;

use fangshi_journal::Journal;
use fangshi_lanes::Lanes;
use fangshi_tenants::{Retention, Tenants};
use tokio::task::JoinHandle;

/// How often to look. A deletion ends with the second look that finds nothing.
const EVERY: Duration = Duration::from_secs(60);

/// Looks at once, since a crash may have left something, and then until aborted.
pub fn start(tenants: Tenants, journal: Journal, lanes: Lanes, retention: Retention) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            let now = journal.clock().now();
            // A restored store may not know who came back since the backup: nothing is deleted while it is held.
            if !lanes.is_held()
                && let Err(error) = journal.tend_tenants(retention, now).await
            {
                tracing::warn!(%error, "deletions of tenants are left for later");
            }
            if let Err(error) = tenants.note_deletions().await {
                tracing::error!(%error, "a restore would bring deleted tenants back");
            }
            tokio::time::sleep(EVERY).await;
        }
    })
}
