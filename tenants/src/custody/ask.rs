//! Asking the platform, by the kind of tenant.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::refresh::Flying;
use super::rows::{self, TokenRow};
use super::{IssueError, Issued, Key, decide};
use crate::error::StoreError;
use crate::tenant::TenantKind;
use crate::{Tenant, TokenError};

/// A call of the issuer that takes longer is given up.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
impl Flying {
    /// One new token for `row`, by the tenant's kind.
    pub(super) async fn ask(&self, row: &TokenRow) -> Result<Issued, Failure> {
        match &self.tenant {
            None => self.ask_component().await,
            Some(tenant) if tenant.kind == TenantKind::SelfBuilt => self.ask_stable(tenant, row).await,
            Some(tenant) => self.ask_authorizer(tenant, row).await,
        }
    }

    async fn ask_component(&self) -> Result<Issued, Failure> {
        let no = |text: &str| Failure::Other(TokenError::Component(text.into()));
        let component =
            self.custody().component.as_ref().ok_or_else(|| no("[weixin] component_appid is not configured"))?;
        let directory = &self.custody().directory;
        let ticket = rows::read(directory.db.reader(), &directory.vault, Key::TICKET).await.map_err(Failure::store)?;
        let ticket = ticket
            .filter(|row| row.expires_at > self.now())
            .and_then(|row| row.secrets.access)
            .ok_or_else(|| no("the platform has not pushed a component_verify_ticket within 12 h"))?;
        let call = self.issuer().component_token(&component.appid, &component.appsecret, &ticket);
        in_time(call).await.map_err(|error| match error {
            // No merchant's authorization is at stake here: secret or ticket are wrong.
            IssueError::Invalid { code, message } | IssueError::Refused { code, message } => {
                no(&format!("the platform refused it ({code}): {message}"))
            }
            IssueError::Unavailable(text) => Failure::Other(TokenError::Unavailable(text)),
        })
    }

    async fn ask_stable(&self, tenant: &Tenant, row: &TokenRow) -> Result<Issued, Failure> {
        let secret = tenant.appsecret.as_ref().ok_or(Failure::Other(TokenError::NoTokens(tenant.id)))?;
        let issued = in_time(self.issuer().stable_token(&tenant.appid, secret, false)).await?;
        let refused = row.expires_at == 0 || self.slot.is_dead(row.version);
        let old = row.secrets.access.as_ref().map(ExposeSecret::expose_secret);
        if refused && old == Some(issued.access.expose_secret()) {
            // The platform gives the very token that it refused: insist on another.
            return Ok(in_time(self.issuer().stable_token(&tenant.appid, secret, true)).await?);
        }
        Ok(issued)
    }

    async fn ask_authorizer(&self, tenant: &Tenant, row: &TokenRow) -> Result<Issued, Failure> {
        let none = || Failure::Invalid { code: 0 };
        let refresh = row.secrets.refresh.as_ref().ok_or_else(none)?;
        let refused = match self.ask_with(tenant, refresh).await {
            Err(refused @ Failure::Invalid { .. }) => refused,
            outcome => return outcome,
        };
        // The one before it, once: a process that was cut off after the platform's answer may have left it as the good one.
        match &row.secrets.previous_refresh {
            Some(previous) if previous.expose_secret() != refresh.expose_secret() => {
                let issued = self.ask_with(tenant, previous).await?;
                Ok(Issued { refresh: issued.refresh.or_else(|| Some(previous.clone())), ..issued })
            }
            _ => Err(refused),
        }
    }

    async fn ask_with(&self, tenant: &Tenant, refresh: &SecretString) -> Result<Issued, Failure> {
        let no = || Failure::Other(TokenError::Component("[weixin] component_appid is not configured".into()));
        let component = self.custody().component.as_ref().ok_or_else(no)?;
        let mut retried = false;
        loop {
            let token = self.refresher.token(Key::COMPONENT, None).await.map_err(Failure::Other)?;
            let call = self.issuer().authorizer_token(&token.access, &component.appid, &tenant.appid, refresh);
            match in_time(call).await {
                Err(IssueError::Refused { code, .. }) if decide::is_stale_token(code) && !retried => {
                    self.custody().invalidate(Key::COMPONENT, token.version).await;
                    retried = true;
                }
                outcome => return Ok(outcome?),
            }
        }
    }
}

/// Why there is no new token.
pub(super) enum Failure {
    /// The refresh token is no longer accepted; with code 0 there is none.
    Invalid {
        code: i64,
    },
    Other(TokenError),
}

impl Failure {
    fn store(error: StoreError) -> Failure {
        Failure::Other(error.into())
    }
}

impl From<IssueError> for Failure {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Invalid { code, .. } => Failure::Invalid { code },
            IssueError::Unavailable(text) => Failure::Other(TokenError::Unavailable(text)),
            IssueError::Refused { code, message } => Failure::Other(TokenError::Refused { code, message }),
        }
    }
}

async fn in_time(call: impl Future<Output = Result<Issued, IssueError>>) -> Result<Issued, IssueError> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(outcome) => outcome,
        Err(_) => Err(IssueError::Unavailable(format!("no answer within {} s", CALL_TIMEOUT.as_secs()))),
    }
}
