//! Attempts read back whole, for replay and backtest.

use fangshi_database::{RunId, TenantId};

use crate::attempt::{AttemptStart, RecordedCall};
use crate::{Journal, JournalError, seal};

/// An attempt as it was: what it started from, every call with its answer, its log and its end.
#[derive(Debug, Clone)]
pub struct RecordedAttempt {
    /// From 1.
    pub number: u32,
    /// As it was started.
    pub start: AttemptStart,
    /// Calls from position 0 on, without gaps.
    pub calls: Vec<RecordedCall>,
    /// Lines of the plugin's log: level and text.
    pub logs: Vec<(u8, String)>,
    /// Its end; none while it is under way, or cut off.
    pub ended: Option<EndedAs>,
}

/// How an attempt ended.
#[derive(Clone, PartialEq, Eq)]
pub struct EndedAs {
    /// Code: `done`, `trap`, …
    pub outcome: String,
    /// Words of the plugin or the host.
    pub reason: String,
    /// Fuel that it used; comparable within one engine.
    pub fuel: u64,
}

// The reason is the plugin's own words.
impl std::fmt::Debug for EndedAs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EndedAs").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

/// Outcome, reason, fuel.
type EndRow = (Option<String>, Option<Vec<u8>>, Option<i64>);

impl Journal {
    /// One attempt of a run; `None` if the tenant has no such run, or its start never became durable.
    pub async fn recorded_attempt(
        &self,
        tenant: TenantId,
        run: RunId,
        number: u32,
    ) -> Result<Option<RecordedAttempt>, JournalError> {
        let end: Option<EndRow> = sqlx::query_as(
            "SELECT a.outcome, a.reason, a.fuel FROM attempts a JOIN runs r ON r.id = a.run_id \
             WHERE a.run_id = $1 AND a.number = $2 AND r.tenant_id = $3",
        )
        .bind(run.0)
        .bind(i64::from(number))
        .bind(tenant.0)
        .fetch_optional(self.reader())
        .await?;
        let (Some((outcome, reason, fuel)), Some((start, _))) = (end, self.start_of(tenant, run, number).await?) else {
            return Ok(None);
        };
        let ended = match outcome {
            None => None,
            Some(outcome) => {
                let reason = match reason {
                    Some(sealed) => {
                        self.unseal(tenant, seal::ATTEMPT_REASON, &seal::attempt_row(run, number), &sealed)?
                    }
                    None => Vec::new(),
                };
                let reason = String::from_utf8_lossy(&reason).into_owned();
                Some(EndedAs { outcome, reason, fuel: fuel.unwrap_or_default() as u64 })
            }
        };
        let calls = self.recorded_calls(tenant, run, number).await?;
        let logs = self.recorded_logs(tenant, run, number).await?;
        Ok(Some(RecordedAttempt { number, start, calls, logs, ended }))
    }

    /// All attempts of a run whose start is durable, first to last.
    pub async fn recorded_attempts(&self, tenant: TenantId, run: RunId) -> Result<Vec<RecordedAttempt>, JournalError> {
        let numbers: Vec<i64> = sqlx::query_scalar("SELECT number FROM attempts WHERE run_id = $1 ORDER BY number")
            .bind(run.0)
            .fetch_all(self.reader())
            .await?;
        let mut attempts = Vec::with_capacity(numbers.len());
        for number in numbers {
            attempts.extend(self.recorded_attempt(tenant, run, number as u32).await?);
        }
        Ok(attempts)
    }

    async fn recorded_logs(
        &self,
        tenant: TenantId,
        run: RunId,
        attempt: u32,
    ) -> Result<Vec<(u8, String)>, JournalError> {
        let rows: Vec<(i64, i64, Vec<u8>)> =
            sqlx::query_as("SELECT line, level, text FROM logs WHERE run_id = $1 AND attempt = $2 ORDER BY line")
                .bind(run.0)
                .bind(i64::from(attempt))
                .fetch_all(self.reader())
                .await?;
        rows.into_iter()
            .map(|(line, level, sealed)| {
                let name = seal::line_row(run, attempt, line as u32);
                let plain = self.unseal(tenant, seal::LOG_TEXT, &name, &sealed)?;
                Ok((level as u8, String::from_utf8_lossy(&plain).into_owned()))
            })
            .collect()
    }
}
