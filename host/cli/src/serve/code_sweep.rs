//! Compiled code of components that nobody has any more, removed once a day.

use std::time::Duration;

use fangshi_database::Digest;
use tokio::task::{JoinHandle, spawn_blocking};

use super::rooms::Rooms;

const SWEEP_EVERY: Duration = Duration::from_hours(24);

/// Sweeps at the start and every day, until aborted.
pub fn sweep_daily(rooms: &Rooms) -> JoinHandle<()> {
    let (tenants, runtime) = (rooms.tenants.clone(), rooms.runtime.clone());
    tokio::spawn(async move {
        let mut sweeps = tokio::time::interval(SWEEP_EVERY);
        loop {
            sweeps.tick().await;
            let wanted = match tenants.registry().digests().await {
                Ok(wanted) => wanted,
                Err(error) => {
                    tracing::warn!(%error, "compiled code is not swept: the versions can't be read");
                    continue;
                }
            };
            let runtime = runtime.clone();
            let swept = spawn_blocking(move || runtime.sweep_code(|digest| wanted.contains(&Digest(*digest)))).await;
            match swept {
                Ok(Ok(0)) => {}
                Ok(Ok(files)) => tracing::info!(files, "compiled code of components that nobody has was removed"),
                Ok(Err(error)) => tracing::warn!(%error, "compiled code that nobody needs can't be removed"),
                Err(_) => tracing::error!("sweeping compiled code broke off"),
            }
        }
    })
}
