//! The step that refreshes ahead: a shop without an event for hours still has a token when one comes.

use std::sync::Arc;

use fangshi_database::TenantId;
use sqlx::SqlitePool;

use super::{Custody, Issuer};
use crate::TokenError;
use crate::error::StoreError;

/// Rows looked at together.
const PAGE: u32 = 64;

impl Custody {
    /// Refreshes the tokens that are due (80 % of their life, with jitter) of active tenants with an active installation, one
    /// after the other; gives how many were due. One that cannot be had is left for the next time.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn refresh_ahead(&self, issuer: &Arc<dyn Issuer>) -> Result<usize, TokenError> {
        let directory = &self.inner.directory;
        let (mut asked, mut after) = (0, TenantId::HOST);
        loop {
            let found = due(directory.db.reader(), directory.clock.now(), after, PAGE).await?;
            for tenant in &found {
                if let Err(error) = self.access_token(*tenant, issuer).await {
                    tracing::warn!(%tenant, %error, "a token could not be refreshed ahead");
                }
            }
            asked += found.len();
            match found.last() {
                Some(last) => after = *last,
                None => return Ok(asked),
            }
        }
    }
}

/// Tenants whose token is due at `now` (unix ms) and who will want it, by number, after one: they are active and have an
/// active installation, nobody refreshes it already, and there is something to refresh it with.
async fn due(db: &SqlitePool, now: i64, after: TenantId, limit: u32) -> Result<Vec<TenantId>, StoreError> {
    let due: Vec<i64> = sqlx::query_scalar(
        "SELECT k.tenant_id FROM tokens k JOIN tenants t ON t.id = k.tenant_id WHERE k.kind = 'access' \
         AND k.tenant_id > $2 AND k.refresh_at <= $1 AND k.refused_code IS NULL \
         AND (k.lease_owner IS NULL OR k.lease_until <= $1) AND t.state = 'active' \
         AND (k.refresh IS NOT NULL OR t.kind = 'self-built') \
         AND EXISTS (SELECT 1 FROM installations i WHERE i.tenant_id = k.tenant_id AND i.state = 'active') \
         ORDER BY k.tenant_id LIMIT $3",
    )
    .bind(now)
    .bind(after.0)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(due.into_iter().map(TenantId).collect())
}
