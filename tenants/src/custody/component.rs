//! The component's own: its ticket, asked for when none comes, and calls with its token.

use std::sync::Arc;
use std::time::Duration;

use fangshi_database::TenantId;
use secrecy::SecretString;

use super::rows;
use super::{Custody, Inner, IssueError, Issuer, Key, decide};
use crate::TokenError;
use crate::custody::refresh::Refresher;
use crate::error::StoreError;
use crate::refusals::Refusal;

/// Tickets come every 10 minutes: asking more often brings nothing.
const ASK_GAP_MS: i64 = 600_000;
/// A call of the issuer that takes longer is given up.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How the component stands, for health pages. Times in unix ms, 0 if never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentHealth {
    /// Whether a ticket is there and good.
    pub ticket_good: bool,
    /// When the ticket was made.
    pub ticket_at: i64,
    /// When the platform was last asked to push tickets again.
    pub ticket_asked_at: i64,
    /// Whether a component token is there and good.
    pub token_good: bool,
    /// When it ends.
    pub token_expires_at: i64,
    /// What was refused that came for the component and for no tenant, most frequent first.
    pub refusals: Vec<Refusal>,
}

/// A call with the component's token failed.
#[derive(Debug)]
pub(crate) enum ComponentCallError {
    /// There is no such token.
    Token(TokenError),
    /// The platform did not do it.
    Issue(IssueError),
}

impl std::fmt::Display for ComponentCallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ComponentCallError::Token(error) => error.fmt(f),
            ComponentCallError::Issue(error) => error.fmt(f),
        }
    }
}

impl Custody {
    /// Asks the platform for tickets if there is none that is good, at most once in 10 minutes. For the start; later the
    /// wish for a component token does it. True if the platform was asked.
    pub async fn ask_for_ticket(&self, issuer: &Arc<dyn Issuer>) -> bool {
        match self.component_health().await {
            Ok(Some(health)) if !health.ticket_good => self.inner.ask_for_ticket(issuer.as_ref()).await,
            _ => false,
        }
    }

    /// How the component stands; `None` if none is configured.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn component_health(&self) -> Result<Option<ComponentHealth>, TokenError> {
        if self.inner.component.is_none() {
            return Ok(None);
        }
        let directory = &self.inner.directory;
        let ticket = rows::times(directory.db.reader(), Key::TICKET).await?.unwrap_or_default();
        let token = rows::times(directory.db.reader(), Key::COMPONENT).await?.unwrap_or_default();
        let now = directory.clock.now();
        Ok(Some(ComponentHealth {
            ticket_good: ticket.1 > now,
            ticket_at: ticket.0,
            ticket_asked_at: ticket.2,
            token_good: token.1 > now,
            token_expires_at: token.1,
            refusals: self.inner.refusals.of(TenantId::HOST).await?,
        }))
    }

    /// How the component stood within the last second, by one look for all who ask at once: strangers who ask for the
    /// host's health must not load the store.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn recent_component_health(&self) -> Result<Option<ComponentHealth>, Arc<TokenError>> {
        let custody = self.clone();
        let look = || async move { custody.component_health().await.map_err(Arc::new) };
        let seen = self.inner.health.get(&self.inner.directory.clock, look).await;
        seen.unwrap_or_else(|| Err(Arc::new(TokenError::Unavailable("the component's state can't be read".into()))))
    }

    /// The component's appid, if one is configured.
    pub(crate) fn component_appid(&self) -> Option<&str> {
        self.inner.component.as_ref().map(|component| component.appid.as_str())
    }

    /// Makes a call with the component's token and appid; once more with a new token if the platform finds it stale.
    pub(crate) async fn as_component<T, F>(
        &self,
        issuer: &Arc<dyn Issuer>,
        call: impl Fn(SecretString, String) -> F,
    ) -> Result<T, ComponentCallError>
    where
        F: Future<Output = Result<T, IssueError>>,
    {
        self.inner.as_component(issuer, call).await
    }
}

impl Inner {
    pub(super) async fn as_component<T, F>(
        self: &Arc<Self>,
        issuer: &Arc<dyn Issuer>,
        call: impl Fn(SecretString, String) -> F,
    ) -> Result<T, ComponentCallError>
    where
        F: Future<Output = Result<T, IssueError>>,
    {
        let no = || TokenError::Component("[weixin] component_appid is not configured".into());
        let component = self.component.as_ref().ok_or_else(|| ComponentCallError::Token(no()))?;
        let refresher = Refresher { custody: Arc::clone(self), issuer: Arc::clone(issuer) };
        let mut retried = false;
        loop {
            let token = refresher.token(Key::COMPONENT, None).await.map_err(ComponentCallError::Token)?;
            let asked = tokio::time::timeout(CALL_TIMEOUT, call(token.access.clone(), component.appid.clone()));
            let late = || IssueError::Unanswered(format!("no answer within {} s", CALL_TIMEOUT.as_secs()));
            match asked.await.unwrap_or_else(|_| Err(late())) {
                Err(IssueError::Refused { code, .. }) if decide::is_stale_token(code) && !retried => {
                    self.invalidate(Key::COMPONENT, token.version).await;
                    retried = true;
                }
                outcome => return outcome.map_err(ComponentCallError::Issue),
            }
        }
    }

    /// One call of `api_start_push_ticket`, if nobody made one within 10 minutes, in whatever process.
    pub(super) async fn ask_for_ticket(&self, issuer: &dyn Issuer) -> bool {
        let Some(component) = self.component.as_ref().filter(|_| !self.flights.is_closed()) else { return false };
        let now = self.directory.clock.now();
        let may: Result<bool, StoreError> = self
            .directory
            .db
            .writer()
            .submit(move |c| Box::pin(async move { rows::may_ask_for_ticket(c, now, ASK_GAP_MS).await }))
            .await;
        if !matches!(may, Ok(true)) {
            return false;
        }
        let asked =
            tokio::time::timeout(CALL_TIMEOUT, issuer.start_push_ticket(&component.appid, &component.appsecret));
        match asked.await {
            Ok(Ok(())) => tracing::warn!("no component_verify_ticket is at hand: asked the platform to push tickets"),
            Ok(Err(error)) => tracing::error!(%error, "the platform was asked to push tickets and refused"),
            Err(_) => tracing::error!("the platform was asked to push tickets and did not answer"),
        }
        true
    }
}
