//! A refused refresh token, or none at all, made up for by the one that the platform shows (platform page 2.4). The answer of
//! a refresh may be lost again and again, by crashes and broken connections, and the platform refuses good tokens at times: a
//! refusal ends an authorization only once the account itself was asked.

use std::sync::Arc;

use super::ask::{Failure, Uncalled};
use super::refresh::Flying;
use super::rows::{Secrets, TokenRow};
use super::{IssueError, Issued, REVOKED};
use crate::{Tenant, TokenError};

impl Flying {
    /// Asks the platform for the account's refresh token, and tries it. A new one is written down first: it is there for the
    /// next attempt, whatever becomes of this one. The very token that was refused is tried once more. `refused`: the
    /// platform's code.
    pub(super) async fn recover(&self, tenant: &Tenant, row: &TokenRow, refused: i64) -> Result<Issued, Failure> {
        let issuer = &self.refresher.issuer;
        let info = self.as_component(row, |token, component| {
            let (issuer, appid) = (Arc::clone(issuer), tenant.appid.clone());
            async move { issuer.authorizer_info(&token, &component, &appid).await }
        });
        let shown = match info.await {
            Ok(info) => info.refresh,
            Err(Uncalled::NotSent(failure)) => return Err(failure),
            // Nothing is under way at the platform: this call changes nothing there.
            Err(Uncalled::Issue(IssueError::Unanswered(text))) => {
                return Err(Failure::Other(TokenError::Unavailable(text)));
            }
            // Its word on the account counts; any other refusal (a quota, a proxy, a stale ticket) says nothing of it.
            Err(Uncalled::Issue(error)) => return Err(error.into()),
        };
        let Some(shown) = shown else { return Err(while_granted(refused)) };
        if !row.secrets.has_refresh(&shown) {
            let secrets =
                Secrets { refresh: Some(shown.clone()), previous_refresh: row.secrets.refresh.clone(), access: None };
            if !self.keep_recovered(row.version, secrets).await.map_err(Failure::store)? {
                return Err(Failure::LeaseLost);
            }
        }
        tracing::warn!(tenant = %tenant.id, code = refused, "a refresh was refused; what the platform shows is tried");
        match self.ask_with(tenant, row, &shown).await {
            Ok(issued) => Ok(Issued { refresh: issued.refresh.or(Some(shown)), ..issued }),
            Err(Failure::Invalid { code }) => Err(while_granted(code)),
            Err(failure) => Err(failure),
        }
    }
}

/// A refusal of an account that the platform shows as granted: its token is no good, unless the platform says that it is the
/// authorization. That contradicts itself and is tried again later.
fn while_granted(code: i64) -> Failure {
    match code {
        REVOKED => {
            let message = "a refresh hears that the authorization was taken back, the account says that it stands";
            Failure::Other(TokenError::Refused { code, message: message.into() })
        }
        code => Failure::Invalid { code },
    }
}
