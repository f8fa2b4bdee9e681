//! Which effects of ours might explain an event, and how many an installation made of late.

use fangshi_database::{InstallationId, RunId};

use crate::lane::LaneKey;
use crate::{EffectState, Journal, JournalError};

/// An effect as seen by the echo rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectTrace {
    /// `effects.id`.
    pub id: i64,
    /// The run that made it.
    pub run: RunId,
    /// Who caused it.
    pub installation: InstallationId,
    /// `notes/set-merchant-notes`.
    pub operation: String,
    /// Where it stands.
    pub state: EffectState,
    /// Unix milliseconds.
    pub intent_at: i64,
    /// Whether it has explained an event already.
    pub used: bool,
}

/// Effects on one order, oldest first.
pub type Traces = Vec<EffectTrace>;

impl Journal {
    /// Effects on an order (by whichever lane) since a time, unix milliseconds, oldest first.
    pub async fn effects_on(&self, order: &LaneKey, since_ms: i64) -> Result<Traces, JournalError> {
        let rows: Vec<(i64, i64, i64, String, i64, i64, i64)> = sqlx::query_as(
            "SELECT id, run_id, installation_id, operation, state, intent_at, \
             EXISTS (SELECT 1 FROM events WHERE events.echo_of = effects.id) \
             FROM effects WHERE tenant_id = $1 AND order_id = $2 AND intent_at >= $3 ORDER BY intent_at, id",
        )
        .bind(order.tenant.0)
        .bind(&*order.order_id)
        .bind(since_ms)
        .fetch_all(self.reader())
        .await?;
        rows.into_iter()
            .map(|(id, run, installation, operation, state, intent_at, used)| {
                Ok(EffectTrace {
                    id,
                    run: RunId(run),
                    installation: InstallationId(installation),
                    operation,
                    state: EffectState::from_code(state)?,
                    intent_at,
                    used: used != 0,
                })
            })
            .collect()
    }

    /// How often an installation sent effects on an order, those counted whose last intent is since a time, unix
    /// milliseconds, but for those of one operation.
    pub async fn effects_since(
        &self,
        order: &LaneKey,
        installation: InstallationId,
        since_ms: i64,
        but: &str,
    ) -> Result<u32, JournalError> {
        let (count,): (i64,) = sqlx::query_as(
            "SELECT COALESCE(SUM(sends), 0) FROM effects WHERE tenant_id = $1 AND order_id = $2 AND intent_at >= $3 \
             AND installation_id = $4 AND operation <> $5",
        )
        .bind(order.tenant.0)
        .bind(&*order.order_id)
        .bind(since_ms)
        .bind(installation.0)
        .bind(but)
        .fetch_one(self.reader())
        .await?;
        Ok(count as u32)
    }
}
