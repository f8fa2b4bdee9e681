//! The end of an authorization: what told of it and the state of the tenant, in one transaction.

use std::sync::Arc;

use fangshi_database::{BoxFuture, TenantId};
use serde_json::json;
use sqlx::SqliteConnection;

use crate::TenantsError;
use crate::audit::{self, Action, Actor, Entry};
use crate::directory::Directory;
use crate::tenant::{Tenant, TenantState};
use crate::tenant_rows;
use crate::to_the_end::to_the_end;

impl Directory {
    /// The one place where the host itself suspends or revokes a tenant. `told` writes down what said so, in the same
    /// transaction, and tells whether it still counts: if not, the tenant stays as it is. So does one that the operator
    /// suspended. Gives what `told` said.
    ///
    /// # Errors
    /// The store refused: neither is written.
    pub(crate) async fn stop<F>(
        self: &Arc<Self>,
        id: TenantId,
        state: TenantState,
        told: F,
    ) -> Result<bool, TenantsError>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<bool, TenantsError>> + Send + 'static,
    {
        let directory = Arc::clone(self);
        to_the_end(async move {
            // An authorization or a word of the operator comes before or after, never in between.
            let _changing = directory.changing.lock().await;
            let (vault, now, to) = (directory.vault.clone(), directory.clock.now(), state.clone());
            let written = directory.db.writer().submit(move |c| {
                Box::pin(async move {
                    if !told(c).await? {
                        return Ok::<_, TenantsError>((false, false));
                    }
                    let stopped = tenant_rows::stop(c, id, &to, now).await?;
                    if stopped {
                        audit::append(c, &vault, now, entry(id, &to)).await?;
                    }
                    Ok((true, stopped))
                })
            });
            let (counts, stopped) = written.await?;
            if let (true, Some(tenant)) = (stopped, directory.get(id)) {
                tracing::error!(tenant = %id, ?state, "the authorization has ended; the merchant must authorize again");
                directory.show(Tenant { state, ..Tenant::clone(&tenant) });
            }
            Ok(counts)
        })
        .await
    }
}

fn entry(id: TenantId, state: &TenantState) -> Entry {
    let action = match state {
        TenantState::Revoked { .. } => Action::TenantRevoked,
        TenantState::Suspended { .. } | TenantState::Active => Action::TenantSuspended,
    };
    let reason = state.because().map(|(reason, _)| reason);
    Entry::new(Actor::System, action, id).about(id).with(json!({"changed": ["state"], "reason": reason}))
}
