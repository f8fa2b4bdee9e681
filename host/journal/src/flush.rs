//! Writing buffered rows. Each insert does nothing, or the same again, when its row is there already.

use std::sync::Arc;

use fangshi_database::{RunId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::SqliteConnection;

use crate::attempt::AttemptStart;
use crate::effect::EffectKey;
use crate::lane::Fence;
use crate::snapshot::{SealedSnapshot, SnapshotRow};
use crate::{Journal, JournalError, kept, seal};

/// What kind of host call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallKind {
    /// Changes nothing outside.
    Read,
    /// Changes something outside: see the effect.
    Effect,
    /// The installation's own store.
    Own,
}

impl CallKind {
    fn code(self) -> i64 {
        match self {
            CallKind::Read => 0,
            CallKind::Effect => 1,
            CallKind::Own => 2,
        }
    }

    pub(crate) fn from_code(code: i64) -> Result<CallKind, JournalError> {
        Ok(match code {
            0 => CallKind::Read,
            1 => CallKind::Effect,
            2 => CallKind::Own,
            other => return Err(JournalError::Corrupt(format!("call kind {other}"))),
        })
    }
}

/// Where the answer of a call came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallOrigin {
    /// The call itself.
    Live,
    /// The recorded outcome of the same effect in an earlier attempt.
    EarlierEffect,
    /// The order was read again and showed what became of an earlier intent.
    Reread,
    /// A decode that was kept: nothing was sent.
    Kept,
}

impl CallOrigin {
    fn code(self) -> i64 {
        match self {
            CallOrigin::Live => 0,
            CallOrigin::EarlierEffect => 1,
            CallOrigin::Reread => 2,
            CallOrigin::Kept => 3,
        }
    }

    pub(crate) fn from_code(code: i64) -> Result<CallOrigin, JournalError> {
        Ok(match code {
            0 => CallOrigin::Live,
            1 => CallOrigin::EarlierEffect,
            2 => CallOrigin::Reread,
            3 => CallOrigin::Kept,
            other => return Err(JournalError::Corrupt(format!("call origin {other}"))),
        })
    }
}

/// A host call on its way into the journal.
#[derive(Clone)]
pub struct CallRow {
    /// From 0, without gaps.
    pub position: u32,
    /// `notes/set-merchant-notes`.
    pub name: String,
    /// What kind.
    pub kind: CallKind,
    /// Keyed digest of name and request ([`Journal::call_digest`]).
    pub digest: [u8; 32],
    /// The request.
    pub request: Arc<Value>,
    /// Code of the result (`ok`, `limited`, …); none: an intent.
    pub result: Option<&'static str>,
    /// The answer, unless a snapshot is the answer.
    pub answer: Option<Value>,
    /// The order that is the answer.
    pub snapshot: Option<SnapshotRow>,
    /// The effect it made or was answered by.
    pub effect: Option<EffectKey>,
    /// Where the answer came from.
    pub origin: CallOrigin,
    /// When it began, unix milliseconds.
    pub at_ms: i64,
    /// How long it took, milliseconds.
    pub took_ms: Option<i64>,
}

/// A sealed row.
pub(crate) enum Row {
    Start(Box<StartRow>),
    Call(Box<SealedCall>),
    Log(LogRow),
}

pub(crate) struct StartRow {
    run: RunId,
    number: u32,
    version: [u8; 32],
    engine: String,
    clock_ms: i64,
    inputs: Vec<u8>,
    snapshot: Option<SealedSnapshot>,
    resumes: u32,
    started_at: i64,
}

pub(crate) struct SealedCall {
    run: RunId,
    attempt: u32,
    position: u32,
    name: String,
    kind: CallKind,
    digest: [u8; 32],
    request: Vec<u8>,
    result: Option<&'static str>,
    answer: Option<Vec<u8>>,
    snapshot: Option<SealedSnapshot>,
    effect: Option<EffectKey>,
    origin: CallOrigin,
    at_ms: i64,
    took_ms: Option<i64>,
}

pub(crate) struct LogRow {
    run: RunId,
    attempt: u32,
    line: u32,
    position: u32,
    level: u8,
    text: Vec<u8>,
}

impl Row {
    pub(crate) fn start(
        journal: &Journal,
        tenant: TenantId,
        run: RunId,
        number: u32,
        start: &AttemptStart,
    ) -> Result<Row, JournalError> {
        let inputs = serde_json::to_vec(&start.inputs).map_err(|e| JournalError::Corrupt(format!("inputs: {e}")))?;
        Ok(Row::Start(Box::new(StartRow {
            run,
            number,
            version: start.version.0,
            engine: start.engine.clone(),
            clock_ms: start.clock_ms,
            inputs: journal.seal(tenant, seal::ATTEMPT_INPUTS, &seal::attempt_row(run, number), &inputs)?,
            snapshot: seal_snapshot(journal, tenant, start.snapshot.as_ref())?,
            resumes: start.resumes,
            started_at: journal.clock.now(),
        })))
    }

    pub(crate) fn call(
        journal: &Journal,
        tenant: TenantId,
        run: RunId,
        attempt: u32,
        call: &CallRow,
    ) -> Result<Row, JournalError> {
        let row = seal::line_row(run, attempt, call.position);
        let request = journal.seal(tenant, seal::CALL_REQUEST, &row, &kept::of_request(&call.request))?;
        let answer = match &call.answer {
            Some(answer) => Some(journal.seal(tenant, seal::CALL_ANSWER, &row, &kept::of_answer(answer))?),
            None => None,
        };
        Ok(Row::Call(Box::new(SealedCall {
            run,
            attempt,
            position: call.position,
            name: call.name.clone(),
            kind: call.kind,
            digest: call.digest,
            request,
            result: call.result,
            answer,
            snapshot: seal_snapshot(journal, tenant, call.snapshot.as_ref())?,
            effect: call.effect.clone(),
            origin: call.origin,
            at_ms: call.at_ms,
            took_ms: call.took_ms,
        })))
    }

    #[allow(clippy::too_many_arguments)] // a row's columns
    pub(crate) fn log(
        journal: &Journal,
        tenant: TenantId,
        run: RunId,
        attempt: u32,
        line: u32,
        position: u32,
        level: u8,
        text: &str,
    ) -> Result<Row, JournalError> {
        let text = journal.seal(tenant, seal::LOG_TEXT, &seal::line_row(run, attempt, line), text.as_bytes())?;
        Ok(Row::Log(LogRow { run, attempt, line, position, level, text }))
    }

    /// Bytes that it takes, but for what is as small in every row.
    pub(crate) fn bytes(&self) -> usize {
        let of = |snapshot: &Option<SealedSnapshot>| snapshot.as_ref().map_or(0, SealedSnapshot::bytes);
        match self {
            Row::Start(start) => start.inputs.len() + of(&start.snapshot),
            Row::Call(call) => call.request.len() + call.answer.as_ref().map_or(0, Vec::len) + of(&call.snapshot),
            Row::Log(log) => log.text.len(),
        }
    }

    async fn insert(&self, conn: &mut SqliteConnection, fence: &Fence) -> Result<(), JournalError> {
        match self {
            Row::Start(start) => start.insert(conn, fence).await,
            Row::Call(call) => call.insert(conn).await,
            Row::Log(log) => log.insert(conn).await,
        }
    }
}

fn seal_snapshot(
    journal: &Journal,
    tenant: TenantId,
    snapshot: Option<&SnapshotRow>,
) -> Result<Option<SealedSnapshot>, JournalError> {
    snapshot.map(|snapshot| SealedSnapshot::seal(journal, tenant, snapshot)).transpose()
}

/// Writes buffered rows; the fence was checked in the same transaction.
pub(crate) async fn insert_all(
    conn: &mut SqliteConnection,
    fence: &Fence,
    rows: &[Arc<Row>],
) -> Result<(), JournalError> {
    for row in rows {
        row.insert(conn, fence).await?;
    }
    Ok(())
}

impl StartRow {
    async fn insert(&self, conn: &mut SqliteConnection, fence: &Fence) -> Result<(), JournalError> {
        let snapshot_id = match &self.snapshot {
            Some(snapshot) => Some(snapshot.insert(conn).await?),
            None => None,
        };
        sqlx::query(
            "INSERT INTO attempts (run_id, number, epoch, resumes, version, engine, clock_ms, inputs, snapshot_id, \
             started_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (run_id, number) DO UPDATE SET epoch = excluded.epoch, resumes = excluded.resumes",
        )
        .bind(self.run.0)
        .bind(i64::from(self.number))
        .bind(fence.epoch)
        .bind(i64::from(self.resumes))
        .bind(self.version.as_slice())
        .bind(self.engine.as_str())
        .bind(self.clock_ms)
        .bind(self.inputs.as_slice())
        .bind(snapshot_id)
        .bind(self.started_at)
        .execute(&mut *conn)
        .await?;
        Ok(())
    }
}

impl SealedCall {
    pub(crate) async fn insert(&self, conn: &mut SqliteConnection) -> Result<(), JournalError> {
        let snapshot_id = match &self.snapshot {
            Some(snapshot) => Some(snapshot.insert(conn).await?),
            None => None,
        };
        let effect_id = match &self.effect {
            Some(key) => key.find(conn, self.run).await?,
            None => None,
        };
        sqlx::query(
            "INSERT INTO calls (run_id, attempt, position, name, kind, digest, request, result, answer, snapshot_id, \
             effect_id, origin, at_ms, took_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
             ON CONFLICT (run_id, attempt, position) DO UPDATE SET result = excluded.result, answer = excluded.answer, \
             effect_id = excluded.effect_id, origin = excluded.origin, took_ms = excluded.took_ms \
             WHERE calls.result IS NULL AND calls.digest = excluded.digest",
        )
        .bind(self.run.0)
        .bind(i64::from(self.attempt))
        .bind(i64::from(self.position))
        .bind(self.name.as_str())
        .bind(self.kind.code())
        .bind(self.digest.as_slice())
        .bind(self.request.as_slice())
        .bind(self.result)
        .bind(self.answer.as_deref())
        .bind(snapshot_id)
        .bind(effect_id)
        .bind(self.origin.code())
        .bind(self.at_ms)
        .bind(self.took_ms)
        .execute(&mut *conn)
        .await?;
        Ok(())
    }
}

impl LogRow {
    async fn insert(&self, conn: &mut SqliteConnection) -> Result<(), JournalError> {
        sqlx::query(
            "INSERT INTO logs (run_id, attempt, line, position, level, text) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT DO NOTHING",
        )
        .bind(self.run.0)
        .bind(i64::from(self.attempt))
        .bind(i64::from(self.line))
        .bind(i64::from(self.position))
        .bind(i64::from(self.level))
        .bind(self.text.as_slice())
        .execute(&mut *conn)
        .await?;
        Ok(())
    }
}
