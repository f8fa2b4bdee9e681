//! The head of the audit, exported once a day.

use std::path::Path;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::rooms::Rooms;
use crate::audit::HEADS_FOLDER;

/// How often to look whether the day has a head yet.
const LOOK_EVERY: Duration = Duration::from_secs(600);

/// Exports at the start and at the first look of every day, until aborted.
pub fn export_daily(rooms: &Rooms, data_dir: &Path) -> JoinHandle<()> {
    let (audit, clock, folder) = (rooms.tenants.audit(), rooms.clock.clone(), data_dir.join(HEADS_FOLDER));
    tokio::spawn(async move {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            match audit.export_head(&folder, clock.now()).await {
                Ok(true) => tracing::info!(folder = %folder.display(), "the head of the audit was exported"),
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "the head of the audit could not be exported"),
            }
        }
    })
}
