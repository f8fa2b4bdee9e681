//! Parked runs that are let run again, by a person's word.

use fangshi_database::{Digest, RunId, TenantId};
use fangshi_tenants::{Action, Actor, Entry};
use serde_json::json;
use sqlx::SqliteConnection;

use crate::lane::LaneKey;
use crate::{Journal, JournalError};

/// One run to be repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repair {
    /// The run.
    pub run: RunId,
    /// The version to pin it to from now on; none: the one that it has.
    pub version: Option<Digest>,
}

/// A run that runs again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// The run.
    pub run: RunId,
    /// Its lane, which was poked.
    pub lane: LaneKey,
}

impl Journal {
    /// Opens parked runs again, each with a fresh budget of attempts, in one transaction with the audit's entry. They
    /// stand outside the sequence of their lanes from then on. Their settled effects stay settled. What is not a parked
    /// run of the tenant (any more) is left out of the answer.
    ///
    /// # Errors
    /// The store refused: nothing was opened.
    pub async fn repair(
        &self,
        actor: Actor,
        tenant: TenantId,
        repairs: Vec<Repair>,
    ) -> Result<Vec<Repaired>, JournalError> {
        let (now, audit) = (self.clock.now(), self.tenants.audit());
        let repaired = self
            .write(move |conn| {
                Box::pin(async move {
                    let mut repaired = Vec::new();
                    let mut entry = Entry::new(actor, Action::RunsRepaired, tenant);
                    let mut versions = serde_json::Map::new();
                    for repair in repairs {
                        let Some(lane) = reopen(conn, tenant, repair, now).await? else { continue };
                        if let Some(version) = repair.version {
                            versions.insert(repair.run.to_string(), json!(version.to_string()));
                        }
                        entry = entry.about(repair.run);
                        repaired.push(Repaired { run: repair.run, lane });
                    }
                    if !repaired.is_empty() {
                        if !versions.is_empty() {
                            entry = entry.with(json!({ "versions": versions }));
                        }
                        audit.append(conn, entry).await.map_err(JournalError::Audit)?;
                    }
                    Ok(repaired)
                })
            })
            .await?;
        for one in &repaired {
            self.poke(&one.lane);
        }
        Ok(repaired)
    }
}

async fn reopen(
    conn: &mut SqliteConnection,
    tenant: TenantId,
    repair: Repair,
    now: i64,
) -> Result<Option<LaneKey>, JournalError> {
    let row: Option<(String, i64)> = sqlx::query_as(
        "UPDATE runs SET state = 0, reason = NULL, budget_from = attempts, first_at = NULL, \
         next_at = $1, repaired_at = $1, finished_at = NULL, version = COALESCE($4, version), \
         alerted_at = CASE WHEN deadline_at > $1 THEN NULL ELSE alerted_at END \
         WHERE id = $2 AND tenant_id = $3 AND state = 4 RETURNING order_id, event_seq",
    )
    .bind(now)
    .bind(repair.run.0)
    .bind(tenant.0)
    .bind(repair.version.map(|version| version.0.to_vec()))
    .fetch_optional(&mut *conn)
    .await?;
    let Some((order_id, event)) = row else { return Ok(None) };
    sqlx::query("UPDATE events SET state = 1, finished_at = NULL WHERE seq = $1 AND state = 2")
        .bind(event)
        .execute(&mut *conn)
        .await?;
    Ok(Some(LaneKey::new(tenant, &order_id)))
}
