//! The clock of schedules: looks often, since a look without a due tick costs one small read.

use std::time::Duration;

use fangshi_lanes::Ticker;
use tokio::task::JoinHandle;

/// How often to look. A tick comes at most so late; cron knows minutes.
const EVERY: Duration = Duration::from_secs(1);

/// Looks at once, since the host may have been down when something was due, and then until aborted.
pub fn start(ticker: Ticker) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            match ticker.look().await {
                Ok(ticked) if ticked.skipped > 0 => {
                    tracing::info!(skipped = ticked.skipped, "ticks of schedules were skipped");
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "schedules are left for later"),
            }
            tokio::time::sleep(EVERY).await;
        }
    })
}
