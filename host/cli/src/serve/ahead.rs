//! Now and then: tokens that are due are refreshed, so that the first event after quiet hours does not wait for one.

use std::sync::Arc;
use std::time::Duration;

use fangshi_tenants::Issuer;
use tokio::task::JoinHandle;

use super::rooms::Rooms;

/// How often to look: short against the fifth of a token's life (24 min) that is left when it is due.
const EVERY: Duration = Duration::from_secs(60);

/// Looks at once, and then until aborted.
pub fn start(rooms: &Rooms) -> JoinHandle<()> {
    let (tenants, platform) = (rooms.tenants.clone(), rooms.operations.authorizer());
    tokio::spawn(async move {
        let issuer: Arc<dyn Issuer> = platform;
        loop {
            match tenants.custody().refresh_ahead(&issuer).await {
                Ok(0) => {}
                Ok(refreshed) => tracing::info!(refreshed, "tokens were refreshed ahead"),
                Err(error) => tracing::warn!(%error, "tokens are refreshed when they are asked for only"),
            }
            tokio::time::sleep(EVERY).await;
        }
    })
}
