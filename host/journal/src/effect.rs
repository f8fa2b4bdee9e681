//! Effects: the intent before anything is sent, the outcome before the plugin sees it.

use std::sync::Arc;

use fangshi_database::{InstallationId, RunId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::attempt::digest;
use crate::buffer::Buffer;
use crate::echo::Allowance;
use crate::flush::{CallKind, CallRow, Row, add_all};
use crate::lane::{Fence, LaneKey};
use crate::snapshot::SnapshotRow;
use crate::step::Step;
use crate::{Journal, JournalError, kept, seal};

/// What can't be read, in an error.
pub(crate) const ANSWER: &str = "JSON of an answer";

/// Names an effect within its run: equal calls are told apart by their count, never by position.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EffectKey {
    /// `notes/set-merchant-notes`.
    pub operation: String,
    /// Keyed digest of the canonical request.
    pub digest: [u8; 32],
    /// The n-th equal call of an attempt, from 0; a call that was refused for now and made again keeps its number.
    pub nth: u32,
}

/// Where an effect stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffectState {
    /// May have been sent; nothing more is known.
    Intent,
    /// The platform said yes, or the order showed it.
    Applied,
    /// Refused, and the same request would be refused again.
    Refused,
    /// Not applied, but worth another try in a new attempt.
    RefusedForNow,
    /// Sent without an answer, or to a busy platform ([`Effect::met_a_busy_platform`]), and nothing tells yet.
    Unknown,
}

impl EffectState {
    /// Whether it is known for good what came of it, so that it is never sent again.
    pub fn is_settled(self) -> bool {
        matches!(self, EffectState::Applied | EffectState::Refused)
    }

    fn code(self) -> i64 {
        match self {
            EffectState::Intent => 0,
            EffectState::Applied => 1,
            EffectState::Refused => 2,
            EffectState::RefusedForNow => 3,
            EffectState::Unknown => 4,
        }
    }

    pub(crate) fn from_code(code: i64) -> Result<EffectState, JournalError> {
        Ok(match code {
            0 => EffectState::Intent,
            1 => EffectState::Applied,
            2 => EffectState::Refused,
            3 => EffectState::RefusedForNow,
            4 => EffectState::Unknown,
            other => return Err(JournalError::Corrupt(format!("effect state {other}"))),
        })
    }
}

/// The `result` of an effect in [`EffectState::Unknown`] that a busy platform answered.
pub const BUSY: &str = "unavailable";

/// An effect of a run, read back.
#[derive(Clone)]
pub struct Effect {
    /// Its key.
    pub key: EffectKey,
    /// Where it stands.
    pub state: EffectState,
    /// How often it was, or may have been, sent.
    pub sends: u32,
    /// Intents before the last one that never got an answer.
    pub unsure: u32,
    /// The attempt of the last intent.
    pub attempt: u32,
    /// Code of the outcome.
    pub result: Option<String>,
    /// The outcome's answer.
    pub answer: Option<Value>,
    /// The order as it was known before the intent.
    pub before: Option<SnapshotRow>,
    /// When the last intent became durable, unix milliseconds.
    pub intent_at: i64,
    /// When its outcome did, be it that nobody knows one.
    pub outcome_at: Option<i64>,
}

impl Effect {
    /// Whether the platform answered the last send with being busy: it may have been applied, and a look tells.
    pub fn met_a_busy_platform(&self) -> bool {
        is_busy(self.state, self.result.as_deref())
    }
}

/// Whether a busy platform was asked for an effect with this state and `result`, and no look has told since.
pub(crate) fn is_busy(state: EffectState, result: Option<&str>) -> bool {
    state == EffectState::Unknown && result == Some(BUSY)
}

/// An effect that is about to be sent.
#[derive(Clone)]
pub struct Intent {
    /// Its key.
    pub key: EffectKey,
    /// The order that it changes; the gift order, if it changes a gift.
    pub order_id: String,
    /// Who causes it.
    pub installation: InstallationId,
    /// The request.
    pub request: Arc<Value>,
    /// The last snapshot of what it changes that this attempt started from or read: of a gift, that of an order made of it.
    pub before: Option<SnapshotRow>,
    /// The call's place in the attempt.
    pub position: u32,
}

/// What became of an effect.
#[derive(Clone)]
pub struct Outcome {
    /// Its key.
    pub key: EffectKey,
    /// Where it stands now.
    pub state: EffectState,
    /// Nothing left the host after the last intent: it counts as no send.
    pub kept_back: bool,
    /// The platform answered that it is busy ([`Effect::met_a_busy_platform`]).
    pub busy: bool,
    /// The platform's code of a refusal.
    pub platform_code: Option<i64>,
    /// The platform's request id.
    pub rid: Option<String>,
    /// The call that the plugin made, with its answer.
    pub call: CallRow,
}

#[derive(sqlx::FromRow)]
struct EffectRead {
    operation: String,
    digest: Vec<u8>,
    nth: i64,
    state: i64,
    sends: i64,
    unsure: i64,
    attempt: i64,
    result: Option<String>,
    answer: Option<Vec<u8>>,
    before_id: Option<i64>,
    intent_at: i64,
    outcome_at: Option<i64>,
}

impl Journal {
    /// All effects of a run so far, unsealed.
    pub async fn effects(&self, tenant: TenantId, run: RunId) -> Result<Vec<Effect>, JournalError> {
        let rows: Vec<EffectRead> = sqlx::query_as(
            "SELECT operation, digest, nth, state, sends, unsure, attempt, result, answer, before_id, \
             intent_at, outcome_at FROM effects \
             WHERE run_id = $1 ORDER BY id",
        )
        .bind(run.0)
        .fetch_all(self.reader())
        .await?;
        let mut effects = Vec::with_capacity(rows.len());
        for row in rows {
            let key = EffectKey { operation: row.operation, digest: digest(row.digest)?, nth: row.nth as u32 };
            let name = seal::effect_row(run, &key.digest, key.nth);
            let answer = match row.answer {
                Some(sealed) => {
                    let plain = self.unseal(tenant, seal::EFFECT_ANSWER, &name, &sealed)?;
                    Some(kept::read(&plain, ANSWER)?)
                }
                None => None,
            };
            effects.push(Effect {
                state: EffectState::from_code(row.state)?,
                sends: row.sends as u32,
                unsure: row.unsure as u32,
                attempt: row.attempt as u32,
                result: row.result,
                answer,
                before: match row.before_id {
                    Some(id) => Some(self.snapshot(tenant, id).await?),
                    None => None,
                },
                intent_at: row.intent_at,
                outcome_at: row.outcome_at,
                key,
            });
        }
        Ok(effects)
    }

    /// Makes what is buffered durable, without an intent.
    pub async fn flush(&self, fence: &Fence, buffer: &Buffer) -> Result<(), JournalError> {
        let rows = buffer.rows();
        let mut step = Step::held(fence);
        add_all(&mut step.script, fence, &rows);
        self.take(step, true).await?;
        buffer.confirm(rows.len());
        Ok(())
    }

    /// Makes an intent durable, with everything buffered before it. Only then may the request be sent.
    ///
    /// # Errors
    /// [`JournalError::Stale`] if the lane was entered by somebody else: the request must not be sent.
    /// [`JournalError::TooManyEffects`]: nor is it one more than `within` allows.
    pub async fn intent(
        &self,
        fence: &Fence,
        buffer: &Buffer,
        intent: &Intent,
        within: Option<Allowance>,
    ) -> Result<(), JournalError> {
        let (tenant, run, attempt) = (buffer.tenant(), buffer.run(), buffer.attempt());
        let name = seal::effect_row(run, &intent.key.digest, intent.key.nth);
        let request = self.seal(tenant, seal::EFFECT_REQUEST, &name, &kept::of_request(&intent.request))?;
        let now = self.clock.now();
        let call = Row::call(
            self,
            tenant,
            run,
            attempt,
            &CallRow {
                position: intent.position,
                name: intent.key.operation.clone(),
                kind: CallKind::Effect,
                digest: intent.key.digest,
                request: intent.request.clone(),
                result: None,
                answer: None,
                snapshot: None,
                effect: Some(intent.key.clone()),
                origin: crate::CallOrigin::Live,
                at_ms: now,
                took_ms: None,
            },
        )?;
        buffer.took(intent.position);
        buffer.counted((request.len() + call.bytes()) as u64);
        let rows = buffer.rows();
        let mut step = Step::held(fence);
        if let Some(within) = within {
            within.require(&mut step, &LaneKey::new(tenant, &intent.order_id), intent.installation);
        }
        add_all(&mut step.script, fence, &rows);
        step.add(
            "INSERT INTO effects (tenant_id, order_id, installation_id, run_id, operation, digest, nth, \
                 attempt, position, request, before_id, state, sends, unsure, epoch, intent_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, (SELECT id FROM snapshots \
                 WHERE tenant_id = $1 AND order_id = $14 AND digest = $11), 0, 1, 0, $12, $13) \
                 ON CONFLICT (run_id, operation, digest, nth) DO UPDATE SET attempt = excluded.attempt, \
                 position = excluded.position, before_id = excluded.before_id, state = 0, sends = effects.sends + 1, \
                 unsure = effects.unsure + (effects.state = 0 OR \
                 (effects.state = 4 AND COALESCE(effects.result, '') <> 'unavailable')), \
                 result = NULL, answer = NULL, platform_code = NULL, rid = NULL, epoch = excluded.epoch, \
                 intent_at = excluded.intent_at, outcome_at = NULL WHERE effects.state NOT IN (1, 2)",
        )
        .bind(tenant.0)
        .bind(intent.order_id.clone())
        .bind(intent.installation.0)
        .bind(run.0)
        .bind(intent.key.operation.clone())
        .bind(intent.key.digest.to_vec())
        .bind(i64::from(intent.key.nth))
        .bind(i64::from(attempt))
        .bind(i64::from(intent.position))
        .bind(request)
        .bind(intent.before.as_ref().map(|order| order.digest.to_vec()))
        .bind(fence.epoch)
        .bind(now)
        .bind(intent.before.as_ref().map(|order| order.order_id.to_string()));
        step.must_change_or_corrupt(format_args!("a settled effect of {run} would be sent again"));
        add_all(&mut step.script, fence, &[Arc::new(call)]);
        self.take(step, true).await?;
        buffer.confirm(rows.len());
        Ok(())
    }

    /// Makes an outcome durable. Only then may the plugin see it.
    ///
    /// # Errors
    /// [`JournalError::Stale`] if the lane was entered by somebody else: the plugin must not go on.
    pub async fn outcome(&self, fence: &Fence, buffer: &Buffer, outcome: &Outcome) -> Result<(), JournalError> {
        let (tenant, run) = (buffer.tenant(), buffer.run());
        let name = seal::effect_row(run, &outcome.key.digest, outcome.key.nth);
        let answer = match &outcome.call.answer {
            Some(answer) => Some(self.seal(tenant, seal::EFFECT_ANSWER, &name, &kept::of_answer(answer))?),
            None => None,
        };
        let call = Row::call(self, tenant, run, buffer.attempt(), &outcome.call)?;
        buffer.took(outcome.call.position);
        buffer.counted((answer.as_ref().map_or(0, Vec::len) + call.bytes()) as u64);
        // Whatever the plugin hears.
        let result = match outcome.state {
            EffectState::Unknown => Some(if outcome.busy { BUSY } else { "outcome-unknown" }),
            _ => outcome.call.result,
        };
        let now = self.clock.now();
        let rows = buffer.rows();
        let mut step = Step::held(fence);
        add_all(&mut step.script, fence, &rows);
        step.add(
            "UPDATE effects SET state = $1, result = $2, answer = $3, platform_code = $4, rid = $5, \
                 epoch = $6, outcome_at = $7, sends = sends - $12, \
                 unsure = unsure - ($1 = 4 AND state = 3 AND unsure > 0) \
                 WHERE run_id = $8 AND operation = $9 AND digest = $10 AND nth = $11 AND state IN (0, 3, 4)",
        )
        .bind(outcome.state.code())
        .bind(result)
        .bind(answer)
        .bind(outcome.platform_code)
        .bind(outcome.rid.clone())
        .bind(fence.epoch)
        .bind(now)
        .bind(run.0)
        .bind(outcome.key.operation.clone())
        .bind(outcome.key.digest.to_vec())
        .bind(i64::from(outcome.key.nth))
        .bind(i64::from(outcome.kept_back));
        step.must_change_or_corrupt(format_args!("an outcome of {run} without an intent"));
        add_all(&mut step.script, fence, &[Arc::new(call)]);
        self.take(step, true).await?;
        buffer.confirm(rows.len());
        Ok(())
    }
}
