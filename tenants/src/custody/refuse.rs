//! The step from a refused refresh token, or an authorization taken back, to a stopped tenant: one transaction.

use std::sync::Arc;

use fangshi_database::{BoxFuture, TenantId};
use serde_json::json;
use sqlx::SqliteConnection;

use super::refresh::{Flying, as_token_error};
use super::{Inner, Key, REVOKED, rows};
use crate::TokenError;
use crate::audit::Action;
use crate::error::StoreError;
use crate::tenant::{SuspendedBy, TenantState};

impl Flying {
    /// The merchant must authorize again: noted in the row together with the tenant's suspension. False if the row has
    /// moved on.
    pub(super) async fn refuse(&self, version: i64, code: i64) -> Result<bool, TokenError> {
        let (custody, key) = (Arc::clone(self.custody()), self.key);
        let stopped = self.custody().end(key.tenant, code, move |c| note_refusal(c, custody, key, version, code));
        stopped.await
    }

    /// A tenant whose refusal is noted and that is active all the same (a store of an older host, say) is stopped now.
    pub(super) async fn end_again(&self, version: i64, code: i64) {
        let (key, custody) = (self.key, self.custody());
        if !custody.directory.get(key.tenant).is_some_and(|tenant| tenant.is_active()) {
            return;
        }
        if let Err(error) = custody.end(key.tenant, code, move |c| rows::is_refused(c, key, version)).await {
            tracing::error!(tenant = %key.tenant, %error, "the tenant could not be stopped");
        }
    }
}

impl Inner {
    pub(super) async fn revoked(&self, tenant: TenantId, version: i64) -> Result<(), TokenError> {
        self.end(tenant, REVOKED, move |c| rows::is_version(c, Key::access(tenant), version)).await.map(drop)
    }

    /// Stops a tenant whose authorization has ended, by the platform's code, with what told of it.
    async fn end<F>(&self, tenant: TenantId, code: i64, told: F) -> Result<bool, TokenError>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<bool, StoreError>> + Send + 'static,
    {
        let since = self.directory.clock.now();
        let state = match code {
            REVOKED => TenantState::Revoked { reason: format!("platform-{code}"), since },
            _ => TenantState::Suspended {
                by: SuspendedBy::Platform,
                reason: format!("reauthorize: the platform refuses the refresh token ({code})"),
                since,
            },
        };
        let stopped = self.directory.stop(tenant, state, |c| Box::pin(async move { Ok(told(c).await?) }));
        stopped.await.map_err(as_token_error)
    }
}

fn note_refusal(
    c: &mut SqliteConnection,
    custody: Arc<Inner>,
    key: Key,
    version: i64,
    code: i64,
) -> BoxFuture<'_, Result<bool, StoreError>> {
    Box::pin(async move {
        let noted = rows::refuse(c, key, version, &custody.owner, code, custody.directory.clock.now()).await?;
        if noted {
            let details = json!({"kind": key.kind.code(), "version": version, "code": code});
            custody.tell(c, key, Action::TokenRefused, details).await?;
        }
        Ok(noted)
    })
}
