//! Which effects of ours might explain an event, and how many an installation made of late.

use fangshi_database::{InstallationId, Place, RunId, Script};

use crate::effect::is_busy;
use crate::lane::LaneKey;
use crate::step::Step;
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
    /// Whether it has explained an event of the order already.
    pub used: bool,
    /// Whether a busy platform was asked for it, and nothing shows yet that it was done.
    pub busy: bool,
}

/// Effects on one order, oldest first.
pub type Traces = Vec<EffectTrace>;

/// How far before an event [`LaneState::effects`](crate::LaneState::effects) reach, seconds: more than any effect takes to
/// cause an event.
pub const ECHO_REACH_S: i64 = 3_600;

/// The `type` of an event about a gift's note. The note is of the gift, and each order made of it has an event of its own.
pub const GIFT_NOTE: i64 = 8;

/// Id, run, installation, operation, state, result, intent, and whether it is used.
pub(crate) type Stored = (i64, i64, i64, String, i64, Option<String>, i64, bool);

/// Effects on the lane's order in the reach of its new events; none without such events.
pub(crate) fn effects_before(script: &mut Script, lane: &LaneKey) -> Place {
    script
        .add(
            "SELECT id, run_id, installation_id, operation, state, result, intent_at, \
             EXISTS (SELECT 1 FROM events WHERE events.echo_of = effects.id AND events.order_id = $2) \
             FROM effects WHERE tenant_id = $1 AND order_id = $2 AND $2 <> '' \
             AND intent_at >= (SELECT min(created_at) - $3 FROM events \
             WHERE tenant_id = $1 AND order_id = $2 AND state = 0) * 1000 ORDER BY intent_at, id",
        )
        .bind(lane.tenant.0)
        .bind(lane.order_id.to_string())
        .bind(ECHO_REACH_S)
        .place()
}

pub(crate) fn traced(rows: Vec<Stored>) -> Result<Traces, JournalError> {
    rows.into_iter()
        .map(|(id, run, installation, operation, state, result, intent_at, used)| {
            let state = EffectState::from_code(state)?;
            Ok(EffectTrace {
                id,
                run: RunId(run),
                installation: InstallationId(installation),
                operation,
                state,
                intent_at,
                used,
                busy: is_busy(state, result.as_deref()),
            })
        })
        .collect()
}

impl Journal {
    /// Effects on an order (by whichever lane) since a time, unix milliseconds, oldest first.
    pub async fn effects_on(&self, order: &LaneKey, since_ms: i64) -> Result<Traces, JournalError> {
        self.traces(order, &order.order_id, since_ms).await
    }

    /// Effects on the gift that an order was made of since a time, unix milliseconds, oldest first. One of them explains one
    /// event of each of the gift's orders: whether it is used is told for this one.
    pub async fn effects_on_gift(&self, order: &LaneKey, gift: &str, since_ms: i64) -> Result<Traces, JournalError> {
        self.traces(order, gift, since_ms).await
    }

    async fn traces(&self, seen_by: &LaneKey, changed: &str, since_ms: i64) -> Result<Traces, JournalError> {
        let rows = sqlx::query_as(
            "SELECT id, run_id, installation_id, operation, state, result, intent_at, \
             EXISTS (SELECT 1 FROM events WHERE events.echo_of = effects.id AND events.order_id = $4) \
             FROM effects WHERE tenant_id = $1 AND order_id = $2 AND intent_at >= $3 ORDER BY intent_at, id",
        )
        .bind(seen_by.tenant.0)
        .bind(changed)
        .bind(since_ms)
        .bind(&*seen_by.order_id)
        .fetch_all(self.reader())
        .await?;
        traced(rows)
    }
}

/// How many effects an installation may send on one order, those counted whose last intent is since a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// At most so many, the one that asks included.
    pub effects: u32,
    /// Unix milliseconds.
    pub since_ms: i64,
    /// An operation that does not count.
    pub but: &'static str,
}

impl Allowance {
    /// One more must be allowed.
    pub(crate) fn require(&self, step: &mut Step, order: &LaneKey, installation: InstallationId) {
        let left = step
            .script
            .require(
                "(SELECT COALESCE(SUM(sends), 0) FROM effects WHERE tenant_id = $1 AND order_id = $2 \
                 AND intent_at >= $3 AND installation_id = $4 AND operation <> $5) < $6",
            )
            .bind(order.tenant.0)
            .bind(order.order_id.to_string())
            .bind(self.since_ms)
            .bind(installation.0)
            .bind(self.but)
            .bind(i64::from(self.effects))
            .place();
        step.or(left, JournalError::TooManyEffects);
    }
}
