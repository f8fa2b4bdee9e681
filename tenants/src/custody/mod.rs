//! Custody: the platform's tokens, sealed at rest and fresh when asked for.
//!
//! A token is refreshed once, however many tasks and processes want it (DESIGN section 7): tasks queue at a slot in
//! memory, processes at a lease on the row's version, taken by compare-and-set. Whoever holds the lease looks at the
//! row again, asks the platform, and writes access and refresh token together in place of that version. A refresh
//! runs in a task of its own, so that a caller that gives up cannot lose the answer on the way.
//!
//! Each rule names a mistake that others made, and has its tests (in `tests`):
//!
//! - lease by compare-and-set, looked at again under it (two processes refreshing one token: "valid, then 40001"):
//!   `two_processes_make_one_call`, `many_processes_race_for_the_lease_without_a_gate`, `a_lease_of_a_dead_process_ends`;
//!   over processes that are killed, `cargo xtask faults custody`
//! - access and refresh token written together: `each_refresh_uses_the_newest_refresh_token`,
//!   `a_token_that_the_store_refuses_is_used_and_stored_later`
//! - the previous refresh token kept: `the_previous_refresh_token_is_tried_once`, `a_new_authorization_during_a_refresh_wins`
//! - refresh ahead at 80 % with jitter: `refreshes_are_spread_around_80_percent` (in `decide`),
//!   `near_its_end_one_caller_refreshes_and_the_others_go_on`, `a_failure_ahead_of_time_harms_nobody`
//! - only the version used is invalidated: `only_the_refused_version_is_taken_back`,
//!   `a_token_refused_elsewhere_is_taken_from_the_store`
//! - one forced refresh a version: `sixty_four_refusals_of_one_version_make_one_refresh`; for 1, 20 and 200 shops under load,
//!   `host/lanes/tests/token_faults.rs`
//! - a caller that gives up loses nothing: `a_caller_that_gives_up_does_not_lose_the_platforms_answer`
//! - all of it at once, by seeds, with commits that fail or are cut off: `tests/simulation`
//! - clocks that jump: `a_lease_from_the_future_holds_nobody_up` and the others of `tests/clock.rs`
//!
//! The parts:
//!
//! - `decide`: what to do about a row, pure
//! - `rows`: the row, sealed and opened
//! - `refresh`: the step from an old token to a new one, under the lease
//! - `ask`: the platform's calls in it, by the kind of tenant
//! - `component`: the component's ticket, and calls with its token
//! - `slot`: a token in memory, and the queue before it

mod ask;
mod component;
pub(crate) mod decide;
mod issuer;
mod refresh;
pub(crate) mod rows;
mod slot;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fangshi_database::{Recent, TenantId};
use secrecy::SecretString;

pub(crate) use self::component::ComponentCallError;
pub use self::component::ComponentHealth;
pub use self::issuer::{AuthorizerInfo, IssueError, Issued, Issuer};
pub use self::token::AccessToken;

use self::refresh::Refresher;
use self::slot::Slot;
use self::token::Held;
use crate::audit::Actor;
use crate::directory::Directory;
use crate::tenant::{StateChange, TenantKind, TenantPatch, TenantState};
use crate::to_the_end::to_the_end;
use crate::{Tenant, TenantsError, TokenError};

/// Seconds that WeChat's tokens live (platform page 2).
pub(crate) const TOKEN_LIFE_S: i64 = 7200;
/// Milliseconds that a component_verify_ticket is good for: 12 h (platform page 2).
const TICKET_LIFE_MS: i64 = 12 * 3600 * 1000;
/// The platform's code for an authorization that was taken back.
pub(crate) const REVOKED: i64 = 61003;
/// How long the component's health is good for those who may ask as often as they like, milliseconds.
const HEALTH_GOOD_MS: i64 = 1_000;
/// How the reason begins when the host itself suspended a tenant; a new refresh token takes that back.
pub(crate) const REAUTHORIZE: &str = "reauthorize";

/// The operator's third-party platform, from the config.
#[derive(Debug, Clone)]
pub struct ComponentCredentials {
    /// `component_appid`.
    pub appid: String,
    /// `component_appsecret`.
    pub appsecret: SecretString,
}

/// The platform's tokens. Clones are the same custody.
#[derive(Clone)]
pub struct Custody {
    inner: Arc<Inner>,
}

struct Inner {
    directory: Arc<Directory>,
    component: Option<ComponentCredentials>,
    /// This process, as it signs its leases.
    owner: String,
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
    health: Recent<Result<Option<ComponentHealth>, Arc<TokenError>>>,
}

/// The kind of a row of `tokens`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TokenKind {
    Access,
    Component,
    Ticket,
}

impl TokenKind {
    pub(crate) fn code(self) -> &'static str {
        match self {
            TokenKind::Access => "access",
            TokenKind::Component => "component",
            TokenKind::Ticket => "ticket",
        }
    }
}

/// Names a row of `tokens`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) tenant: TenantId,
    pub(crate) kind: TokenKind,
}

impl Key {
    pub(crate) const COMPONENT: Key = Key { tenant: TenantId::HOST, kind: TokenKind::Component };
    pub(crate) const TICKET: Key = Key { tenant: TenantId::HOST, kind: TokenKind::Ticket };

    fn access(tenant: TenantId) -> Key {
        Key { tenant, kind: TokenKind::Access }
    }
}

/// Tokens that came from outside; the access token with the time it expires, unix ms.
#[derive(Default)]
pub(crate) struct Planted {
    pub(crate) access: Option<(SecretString, i64)>,
    pub(crate) refresh: Option<SecretString>,
}

impl Custody {
    pub(crate) fn new(directory: Arc<Directory>, component: Option<ComponentCredentials>) -> Custody {
        // Random, since process numbers repeat from machine to machine and start to start.
        let mut random = [0; 8];
        if getrandom::fill(&mut random).is_err() {
            random = directory.clock.now().to_be_bytes();
        }
        let owner = format!("{}-{}", std::process::id(), hex::encode(random));
        Custody {
            inner: Arc::new(Inner {
                directory,
                component,
                owner,
                slots: Mutex::default(),
                health: Recent::new(HEALTH_GOOD_MS),
            }),
        }
    }

    pub(crate) fn has_component(&self) -> bool {
        self.inner.component.is_some()
    }

    /// A working access token of the tenant: from memory, else from the store, else a new one from `issuer`. Near the
    /// end of a token's life one caller refreshes it, and the others go on with it meanwhile. If the platform was just
    /// unable to issue one, it is left alone for a moment.
    ///
    /// # Errors
    /// See [`TokenError`]; only [`TokenError::Unavailable`] is worth a retry soon.
    pub async fn access_token(&self, tenant: TenantId, issuer: &Arc<dyn Issuer>) -> Result<AccessToken, TokenError> {
        let found = self.inner.directory.get(tenant).ok_or(TokenError::Unknown(tenant))?;
        match &found.state {
            TenantState::Suspended { reason, .. } if !reason.starts_with(REAUTHORIZE) => {
                return Err(TokenError::Suspended { tenant, reason: reason.clone() });
            }
            TenantState::Revoked { reason, .. } => {
                return Err(TokenError::Revoked { tenant, reason: reason.clone() });
            }
            // A tenant to be authorized again hears so from its row, with the platform's code.
            _ => {}
        }
        if found.kind == TenantKind::CardShop {
            return Err(TokenError::NoTokens(tenant));
        }
        self.refresher(issuer).token(Key::access(tenant), Some(found)).await.map(AccessToken::from)
    }

    /// Takes back the token that the platform refused (40001, 42001, 40014): only this version, so that a newer one
    /// that somebody else fetched meanwhile stays. The next caller gets another.
    pub async fn invalidate(&self, tenant: TenantId, version: i64) {
        self.inner.invalidate(Key::access(tenant), version).await;
    }

    /// The platform says (61003) that the merchant took the authorization back, and nobody is there to ask it again
    /// ([`Onboarding::doubt`](crate::Onboarding::doubt)). Only the version that was used is believed:
    /// a newer one came from a newer authorization.
    pub async fn revoked(&self, tenant: TenantId, version: i64) {
        if let Err(error) = self.inner.revoked(tenant, version).await {
            tracing::error!(%tenant, %error, "a revoked authorization could not be noted");
        }
    }

    /// The merchant took the authorization back, as the platform said by itself or when asked. `reason`: a code.
    pub(crate) async fn revoke(&self, tenant: TenantId, reason: &str) -> Result<(), TenantsError> {
        self.inner.stop(tenant, StateChange::Revoked { reason: reason.to_owned() }).await
    }

    /// Keeps the component's ticket, which the platform pushes every 10 minutes. `created_at` in unix seconds; an older
    /// ticket than the one kept is ignored.
    ///
    /// # Errors
    /// The store refused: the push must not be answered `success`.
    pub async fn keep_ticket(&self, ticket: SecretString, created_at: i64) -> Result<(), TokenError> {
        let directory = Arc::clone(&self.inner.directory);
        let created_at = created_at.saturating_mul(1000);
        let expires_at = created_at.saturating_add(TICKET_LIFE_MS);
        let kept = self
            .inner
            .directory
            .db
            .writer()
            .submit(move |c| {
                Box::pin(
                    async move { Ok(rows::keep_ticket(c, &directory.vault, ticket, created_at, expires_at).await?) },
                )
            })
            .await;
        // Whatever failed for want of a ticket may be tried at once.
        self.inner.slot(Key::COMPONENT).stop_resting();
        kept
    }

    /// Puts tokens that came from outside (an authorization, the admin API) into custody. `expires_at` in unix ms, for
    /// the access token. A refresh token lifts a suspension that a refused one caused.
    ///
    /// # Errors
    /// No such tenant, or the store refused.
    pub async fn plant(
        &self,
        tenant: TenantId,
        access: Option<SecretString>,
        expires_at: i64,
        refresh: Option<SecretString>,
    ) -> Result<(), TokenError> {
        let found = self.inner.directory.get(tenant).ok_or(TokenError::Unknown(tenant))?;
        let lift = refresh.is_some() && is_cured_by_tokens(&found);
        let planted = Planted { access: access.map(|access| (access, expires_at)), refresh };
        let custody = self.clone();
        to_the_end(async move {
            let directory = Arc::clone(&custody.inner.directory);
            let written = custody.inner.directory.db.writer().submit(move |c| {
                Box::pin(async move {
                    let now = directory.clock.now();
                    Ok::<_, TokenError>(rows::plant(c, &directory.vault, tenant, planted, now).await?)
                })
            });
            custody.planted(tenant, written.await?);
            if lift {
                let patch = TenantPatch { state: Some(StateChange::Active), ..TenantPatch::default() };
                custody.inner.directory.update(Actor::System, tenant, patch).await.map_err(refresh::as_token_error)?;
            }
            Ok(())
        })
        .await
    }

    /// Memory follows a planted token: what it holds is older, and what went wrong before no longer counts.
    pub(crate) fn planted(&self, tenant: TenantId, version: Option<i64>) {
        let slot = self.inner.slot(Key::access(tenant));
        if let Some(version) = version {
            slot.invalidate(version - 1);
        }
        slot.stop_resting();
    }

    /// A deleted tenant's tokens leave memory.
    pub(crate) fn forget(&self, tenant: TenantId) {
        self.inner.slots().remove(&Key::access(tenant));
    }

    fn refresher(&self, issuer: &Arc<dyn Issuer>) -> Refresher {
        Refresher { custody: Arc::clone(&self.inner), issuer: Arc::clone(issuer) }
    }
}

impl Inner {
    fn slot(&self, key: Key) -> Arc<Slot> {
        Arc::clone(self.slots().entry(key).or_default())
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn revoked(&self, tenant: TenantId, version: i64) -> Result<(), TokenError> {
        let active = self.directory.get(tenant).is_some_and(|tenant| tenant.is_active());
        let row = rows::read(self.directory.db.reader(), &self.directory.vault, Key::access(tenant)).await?;
        if active && row.is_some_and(|row| row.version == version) {
            self.end(tenant, REVOKED).await?;
        }
        Ok(())
    }

    /// Stops a tenant whose authorization has ended, by the platform's code.
    async fn end(&self, tenant: TenantId, code: i64) -> Result<(), TokenError> {
        let state = match code {
            REVOKED => StateChange::Revoked { reason: format!("platform-{code}") },
            _ => StateChange::Suspended {
                reason: format!("{REAUTHORIZE}: the platform refuses the refresh token ({code})"),
            },
        };
        self.stop(tenant, state).await.map_err(refresh::as_token_error)
    }

    /// The one place where the host itself suspends or revokes a tenant.
    async fn stop(&self, tenant: TenantId, state: StateChange) -> Result<(), TenantsError> {
        tracing::error!(%tenant, ?state, "the authorization has ended; the merchant must authorize again");
        let patch = TenantPatch { state: Some(state), ..TenantPatch::default() };
        self.directory.update(Actor::System, tenant, patch).await.map(drop)
    }

    async fn invalidate(&self, key: Key, version: i64) {
        // In memory first: whatever the store says, this process does not use it again.
        self.slot(key).invalidate(version);
        let outcome: Result<(), TokenError> = self
            .directory
            .db
            .writer()
            .submit(move |c| Box::pin(async move { Ok(rows::invalidate(c, key, version).await?) }))
            .await;
        if let Err(error) = outcome {
            tracing::warn!(tenant = %key.tenant, version, %error, "a refused token is marked in memory only");
        }
    }
}

/// Whether new tokens bring the tenant back to work: it lacked nothing else.
pub(crate) fn is_cured_by_tokens(tenant: &Tenant) -> bool {
    match &tenant.state {
        TenantState::Active => false,
        TenantState::Suspended { reason, .. } => reason.starts_with(REAUTHORIZE),
        TenantState::Revoked { .. } => true,
    }
}

impl std::fmt::Debug for Custody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Custody").finish_non_exhaustive()
    }
}
