//! Every decode that reaches an installation passes through here, in the transaction in which it is served, and into the
//! audit.

use fangshi_database::{InstallationId, TenantId};
use serde_json::json;
use sqlx::SqliteConnection;

use super::{DecodeAsk, decide};
use crate::audit::{self, Action, Actor, Entry};
use crate::{TenantsError, Vault};

/// Buyer data in clear, on its way to an installation.
pub(super) struct Served<'a> {
    pub(super) tenant: TenantId,
    pub(super) installation: InstallationId,
    pub(super) order_id: &'a str,
    /// Unix ms.
    pub(super) at: i64,
    /// Of a live one: its row, made before it was asked.
    pub(super) asked: Option<i64>,
}

impl<'a> Served<'a> {
    pub(super) fn kept(ask: &'a DecodeAsk, at: i64) -> Served<'a> {
        Served { tenant: ask.tenant, installation: ask.installation, order_id: &ask.order_id, at, asked: None }
    }

    pub(super) fn live(ask: &'a DecodeAsk, at: i64, row: i64) -> Served<'a> {
        Served { asked: Some(row), ..Served::kept(ask, at) }
    }
}

/// Records one.
pub(super) async fn record_decode(
    c: &mut SqliteConnection,
    vault: &Vault,
    served: &Served<'_>,
) -> Result<(), TenantsError> {
    match served.asked {
        Some(row) => {
            let done = sqlx::query("UPDATE decodes SET outcome = 1 WHERE id = $1 AND outcome = 0").bind(row);
            if done.execute(&mut *c).await?.rows_affected() == 0 {
                // Recorded already: whoever wrote it did not hear so, and writes again.
                return Ok(());
            }
        }
        None => {
            sqlx::query(
                "INSERT INTO decodes (tenant_id, installation_id, order_id, day, live, outcome, at) \
                 VALUES ($1, $2, $3, $4, 0, 1, $5)",
            )
            .bind(served.tenant.0)
            .bind(served.installation.0)
            .bind(served.order_id)
            .bind(decide::day(served.at))
            .bind(served.at)
            .execute(&mut *c)
            .await?;
        }
    }
    let entry = Entry::new(Actor::System, Action::Decoded, served.tenant).about(served.installation);
    let details = json!({"order_id": served.order_id, "live": served.asked.is_some()});
    audit::append(c, vault, served.at, entry.with(details)).await?;
    Ok(())
}
