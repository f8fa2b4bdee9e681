//! The start of an attempt, and an attempt read back for its resume.

use std::collections::BTreeSet;
use std::sync::Arc;

use fangshi_database::{Digest, RunId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::effect::ANSWER;
use crate::flush::CallKind;
use crate::snapshot::SnapshotRow;
use crate::{Journal, JournalError, kept, seal, state};

/// What an attempt starts from: enough to execute it again exactly.
#[derive(Debug, Clone)]
pub struct AttemptStart {
    /// The pinned version.
    pub version: Digest,
    /// Engine version and flags.
    pub engine: String,
    /// The only time the guest sees, unix milliseconds.
    pub clock_ms: i64,
    /// The rest of the inputs.
    pub inputs: Inputs,
    /// The order as read before the hook.
    pub snapshot: Option<SnapshotRow>,
    /// How often it was resumed.
    pub resumes: u32,
}

/// Inputs of an attempt that come from the installation and the host. Stored sealed.
#[derive(Clone, Serialize, Deserialize)]
pub struct Inputs {
    /// The installation's settings.
    pub settings: Arc<Value>,
    /// Names of the settings whose values are never shown.
    #[serde(default)]
    pub secrets: BTreeSet<String>,
    /// Its grants.
    pub grants: BTreeSet<String>,
    /// Its limits, as set.
    pub limits: Value,
    /// Seed of the guest's random numbers, hex.
    #[serde(with = "hex::serde")]
    pub seed: [u8; 32],
    /// Whether the run is parked if this attempt fails.
    pub is_last: bool,
}

// Settings are the merchant's.
/// Version, engine, clock, inputs, snapshot, resumes, end.
type StartRow = (Vec<u8>, String, i64, Vec<u8>, Option<i64>, i64, Option<i64>);

impl std::fmt::Debug for Inputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inputs").field("grants", &self.grants).field("is_last", &self.is_last).finish_non_exhaustive()
    }
}

/// An attempt that has no end: its start, and the calls that its journal holds.
#[derive(Debug, Clone)]
pub struct OpenAttempt {
    /// As it was started.
    pub start: AttemptStart,
    /// Calls from position 0 on, without gaps.
    pub calls: Vec<RecordedCall>,
    /// Bytes that the journal keeps of it already.
    pub kept_bytes: u64,
}

/// A call of an attempt, as recorded.
#[derive(Clone)]
pub struct RecordedCall {
    /// From 0.
    pub position: u32,
    /// `notes/set-merchant-notes`.
    pub name: String,
    /// Read, effect or own.
    pub kind: CallKind,
    /// Keyed digest of name and request.
    pub digest: [u8; 32],
    /// The request.
    pub request: Value,
    /// Code of the result; none: no outcome yet.
    pub result: Option<String>,
    /// The answer, unless a snapshot is the answer.
    pub answer: Option<Value>,
    /// The order that was the answer.
    pub snapshot: Option<SnapshotRow>,
}

impl std::fmt::Debug for RecordedCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordedCall")
            .field("position", &self.position)
            .field("name", &self.name)
            .field("result", &self.result)
            .finish_non_exhaustive()
    }
}

#[derive(sqlx::FromRow)]
struct CallRead {
    position: i64,
    name: String,
    kind: i64,
    digest: Vec<u8>,
    request: Vec<u8>,
    result: Option<String>,
    answer: Option<Vec<u8>>,
    snapshot_id: Option<i64>,
}

impl Journal {
    /// Reads an attempt without an end, for its resume; `None` if its start never became durable.
    pub async fn open_attempt(
        &self,
        tenant: TenantId,
        run: RunId,
        number: u32,
    ) -> Result<Option<OpenAttempt>, JournalError> {
        match self.start_of(tenant, run, number).await? {
            Some((start, None)) => {
                let calls = self.recorded_calls(tenant, run, number).await?;
                Ok(Some(OpenAttempt { start, calls, kept_bytes: self.kept_bytes(run, number).await? }))
            }
            _ => Ok(None),
        }
    }

    /// Bytes of an attempt's calls and effects.
    async fn kept_bytes(&self, run: RunId, number: u32) -> Result<u64, JournalError> {
        let bytes: i64 = sqlx::query_scalar(
            "SELECT COALESCE((SELECT SUM(LENGTH(request) + COALESCE(LENGTH(answer), 0)) FROM calls \
             WHERE run_id = $1 AND attempt = $2), 0) \
             + COALESCE((SELECT SUM(LENGTH(request) + COALESCE(LENGTH(answer), 0)) FROM effects \
             WHERE run_id = $1 AND attempt = $2), 0)",
        )
        .bind(run.0)
        .bind(i64::from(number))
        .fetch_one(self.reader())
        .await?;
        Ok(bytes.unsigned_abs())
    }

    /// What an attempt started from, and when it ended.
    pub(crate) async fn start_of(
        &self,
        tenant: TenantId,
        run: RunId,
        number: u32,
    ) -> Result<Option<(AttemptStart, Option<i64>)>, JournalError> {
        let row: Option<StartRow> = sqlx::query_as(
            "SELECT version, engine, clock_ms, inputs, snapshot_id, resumes, ended_at FROM attempts \
             WHERE run_id = $1 AND number = $2",
        )
        .bind(run.0)
        .bind(i64::from(number))
        .fetch_optional(self.reader())
        .await?;
        let Some((version, engine, clock_ms, inputs, snapshot_id, resumes, ended_at)) = row else {
            return Ok(None);
        };
        let plain = self.unseal(tenant, seal::ATTEMPT_INPUTS, &seal::attempt_row(run, number), &inputs)?;
        let inputs = serde_json::from_slice(&plain)
            .map_err(|_| JournalError::Corrupt(format!("inputs of attempt {number} of {run}")))?;
        let snapshot = match snapshot_id {
            Some(id) => Some(self.snapshot(tenant, id).await?),
            None => None,
        };
        let start = AttemptStart {
            version: state::version(version)?,
            engine,
            clock_ms,
            inputs,
            snapshot,
            resumes: resumes as u32,
        };
        Ok(Some((start, ended_at)))
    }

    pub(crate) async fn recorded_calls(
        &self,
        tenant: TenantId,
        run: RunId,
        attempt: u32,
    ) -> Result<Vec<RecordedCall>, JournalError> {
        let rows: Vec<CallRead> = sqlx::query_as(
            "SELECT position, name, kind, digest, request, result, answer, snapshot_id FROM calls \
             WHERE run_id = $1 AND attempt = $2 ORDER BY position",
        )
        .bind(run.0)
        .bind(i64::from(attempt))
        .fetch_all(self.reader())
        .await?;
        let mut calls = Vec::with_capacity(rows.len());
        for (expected, row) in rows.into_iter().enumerate() {
            if row.position != expected as i64 {
                return Err(JournalError::Corrupt(format!("gap before call {} of {run}", row.position)));
            }
            let position = expected as u32;
            let name = seal::line_row(run, attempt, position);
            let request = self.unseal(tenant, seal::CALL_REQUEST, &name, &row.request)?;
            let answer = match row.answer {
                Some(sealed) => {
                    let plain = self.unseal(tenant, seal::CALL_ANSWER, &name, &sealed)?;
                    Some(kept::read(&plain, ANSWER)?)
                }
                None => None,
            };
            calls.push(RecordedCall {
                position,
                name: row.name,
                kind: CallKind::from_code(row.kind)?,
                digest: digest(row.digest)?,
                request: kept::read(&request, "JSON of a request")?,
                result: row.result,
                answer,
                snapshot: match row.snapshot_id {
                    Some(id) => Some(self.snapshot(tenant, id).await?),
                    None => None,
                },
            });
        }
        Ok(calls)
    }
}

pub(crate) fn digest(bytes: Vec<u8>) -> Result<[u8; 32], JournalError> {
    bytes.try_into().map_err(|_| JournalError::Corrupt("length of a digest".into()))
}
