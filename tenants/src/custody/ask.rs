//! Asking the platform, by the kind of tenant.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::component::ComponentCallError;
use super::refresh::Flying;
use super::rows::{self, TokenRow};
use super::{IssueError, Issued, Key, REVOKED, closing, decide};
use crate::error::StoreError;
use crate::tenant::TenantKind;
use crate::{Tenant, TokenError};

/// A call of the issuer that takes longer is given up.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// In place of the platform's code: there was nothing to ask it with.
const NO_REFRESH_TOKEN: i64 = 0;

impl Flying {
    /// One new token for `row`, by the tenant's kind.
    pub(super) async fn ask(&self, row: &TokenRow) -> Result<Issued, Failure> {
        match &self.tenant {
            None => self.ask_component(row).await,
            Some(tenant) if tenant.kind == TenantKind::SelfBuilt => self.ask_stable(tenant, row).await,
            Some(tenant) => self.ask_authorizer(tenant, row).await,
        }
    }

    async fn ask_component(&self, row: &TokenRow) -> Result<Issued, Failure> {
        let no = |text: &str| Failure::Other(TokenError::Component(text.into()));
        let component =
            self.custody().component.as_ref().ok_or_else(|| no("[weixin] component_appid is not configured"))?;
        let directory = &self.custody().directory;
        let ticket = rows::read(directory.db.reader(), &directory.vault, Key::TICKET).await.map_err(Failure::store)?;
        let Some(ticket) = ticket.filter(|row| row.expires_at > self.now()).and_then(|row| row.secrets.access) else {
            self.custody().ask_for_ticket(self.issuer()).await;
            let text = "the platform has not pushed a component_verify_ticket within 12 h; it was asked to";
            return Err(Failure::NotAsked(TokenError::Component(text.into())));
        };
        self.hold_on(row).await?;
        let call = self.issuer().component_token(&component.appid, &component.appsecret, &ticket);
        match in_time(call).await {
            Ok(issued) => Ok(issued),
            Err(error @ (IssueError::Unavailable(_) | IssueError::Unanswered(_) | IssueError::Limited { .. })) => {
                Err(error.into())
            }
            // No merchant's authorization is at stake here: secret or ticket are wrong.
            Err(IssueError::Invalid { code, message } | IssueError::Refused { code, message }) => {
                if decide::is_bad_ticket(code) {
                    self.custody().ask_for_ticket(self.issuer()).await;
                }
                Err(no(&format!("the platform refused it ({code}): {message}")))
            }
        }
    }

    async fn ask_stable(&self, tenant: &Tenant, row: &TokenRow) -> Result<Issued, Failure> {
        let secret = tenant.appsecret.as_ref().ok_or(Failure::Other(TokenError::NoTokens(tenant.id)))?;
        self.hold_on(row).await?;
        let issued = in_time(self.issuer().stable_token(&tenant.appid, secret, false)).await?;
        let refused = row.expires_at == 0 || self.slot.is_dead(row.version);
        let old = row.secrets.access.as_ref().map(ExposeSecret::expose_secret);
        if refused && old == Some(issued.access.expose_secret()) {
            // The platform gives the very token that it refused: insist on another.
            self.hold_on(row).await?;
            return Ok(in_time(self.issuer().stable_token(&tenant.appid, secret, true)).await?);
        }
        Ok(issued)
    }

    /// With the refresh token, then with the one before it: a process that was cut off after the platform's answer may have
    /// left that as the good one. Whatever is refused, the account itself is asked before anything ends.
    async fn ask_authorizer(&self, tenant: &Tenant, row: &TokenRow) -> Result<Issued, Failure> {
        let newest = row.secrets.refresh.as_ref();
        let newer = |one: &SecretString| newest.is_some_and(|newest| newest.expose_secret() == one.expose_secret());
        let previous = row.secrets.previous_refresh.as_ref().filter(|previous| !newer(previous));
        let mut refused = NO_REFRESH_TOKEN;
        for refresh in newest.into_iter().chain(previous) {
            match self.ask_with(tenant, row, refresh).await {
                Ok(issued) => {
                    return Ok(Issued { refresh: issued.refresh.or_else(|| Some(refresh.clone())), ..issued });
                }
                Err(Failure::Invalid { code }) => refused = code,
                Err(failure) => return Err(failure),
            }
            // The account is refused, and not its token: another one says no more.
            if refused == REVOKED {
                break;
            }
        }
        self.recover(tenant, row, refused).await
    }

    pub(super) async fn ask_with(
        &self,
        tenant: &Tenant,
        row: &TokenRow,
        refresh: &SecretString,
    ) -> Result<Issued, Failure> {
        let issuer = &self.refresher.issuer;
        let outcome = self.as_component(row, |token, component| {
            let (issuer, appid, refresh) = (Arc::clone(issuer), tenant.appid.clone(), refresh.clone());
            async move { issuer.authorizer_token(&token, &component, &appid, &refresh).await }
        });
        outcome.await.map_err(|error| match error {
            Uncalled::NotSent(failure) => failure,
            Uncalled::Issue(error) => error.into(),
        })
    }

    /// A call with the component's token, under the lease: fetching that token may have taken longer than the lease was
    /// taken for.
    pub(super) async fn as_component<T, F>(
        &self,
        row: &TokenRow,
        call: impl Fn(SecretString, String) -> F,
    ) -> Result<T, Uncalled>
    where
        F: Future<Output = Result<T, IssueError>>,
    {
        let outcome = self.custody().as_component(&self.refresher.issuer, |token, component| {
            let sending = call(token, component);
            async move {
                match self.hold_on(row).await {
                    Ok(()) => sending.await.map(Ok),
                    Err(failure) => Ok(Err(failure)),
                }
            }
        });
        match outcome.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(failure)) => Err(Uncalled::NotSent(failure)),
            Err(ComponentCallError::Token(error)) => Err(Uncalled::NotSent(Failure::Other(error))),
            Err(ComponentCallError::Issue(error)) => Err(Uncalled::Issue(error)),
        }
    }

    /// Takes the lease for one more call, whose time is shorter than the lease. Without it nothing may be sent, nor while the
    /// host is closing.
    async fn hold_on(&self, row: &TokenRow) -> Result<(), Failure> {
        if self.custody().flights.is_closed() {
            return Err(Failure::NotAsked(closing()));
        }
        match self.lease_on(row.version).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::LeaseLost),
            Err(error) => Err(Failure::store(error)),
        }
    }
}

/// Why a call with the component's token brought nothing.
pub(super) enum Uncalled {
    NotSent(Failure),
    Issue(IssueError),
}

/// Why there is no new token.
pub(super) enum Failure {
    /// The refresh token is no longer accepted; with code 0 there is none.
    Invalid {
        code: i64,
    },
    Other(TokenError),
    /// A call was sent and got no answer: the platform may be at it still.
    Unanswered(TokenError),
    /// A quota is used up until then, unix ms.
    Limited {
        until: i64,
        error: TokenError,
    },
    /// Another process took the lease, or a new authorization came: what stands in the row counts.
    LeaseLost,
    /// For want of a ticket, which may come at any moment, or because the host is closing: there is no reason to leave the
    /// platform alone.
    NotAsked(TokenError),
}

impl Failure {
    pub(super) fn store(error: StoreError) -> Failure {
        Failure::Other(error.into())
    }
}

impl From<IssueError> for Failure {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Invalid { code, .. } => Failure::Invalid { code },
            IssueError::Unavailable(text) => Failure::Other(TokenError::Unavailable(text)),
            IssueError::Unanswered(text) => Failure::Unanswered(TokenError::Unavailable(text)),
            IssueError::Limited { code, message, until } => {
                Failure::Limited { until, error: TokenError::Unavailable(format!("{message} ({code})")) }
            }
            IssueError::Refused { code, message } => Failure::Other(TokenError::Refused { code, message }),
        }
    }
}

async fn in_time(call: impl Future<Output = Result<Issued, IssueError>>) -> Result<Issued, IssueError> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(outcome) => outcome,
        Err(_) => Err(IssueError::Unanswered(format!("no answer within {} s", CALL_TIMEOUT.as_secs()))),
    }
}
