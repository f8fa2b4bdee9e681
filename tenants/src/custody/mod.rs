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
//! - a lost answer costs no authorization, however often it happens (61023 for a shop that the platform still shows):
//!   `every_lost_answer_is_made_up_for_by_what_the_platform_shows`; over processes that are killed, `cargo xtask faults custody`
//! - the lease held before every call (two processes in one refresh, the first of them slow): `tests/leases.rs`
//! - a refusal and the tenant's suspension written together (a shop that is refused and looks active):
//!   `a_refusal_and_the_suspension_are_written_together` and the others of `tests/endings.rs`
//! - a quota that is used up is left alone until it opens (token calls all day at a platform that refuses them):
//!   `a_quota_that_is_used_up_is_left_alone_until_it_opens`
//! - refresh ahead at 80 % with jitter: `refreshes_are_spread_around_80_percent` (in `decide`),
//!   `near_its_end_one_caller_refreshes_and_the_others_go_on`, `a_failure_ahead_of_time_harms_nobody`; without anybody asking:
//!   `tests/ahead.rs`
//! - only the version used is invalidated: `only_the_refused_version_is_taken_back`,
//!   `a_token_refused_elsewhere_is_taken_from_the_store`
//! - one forced refresh a version: `sixty_four_refusals_of_one_version_make_one_refresh`; for 1, 20 and 200 shops under load,
//!   `host/lanes/tests/token_faults.rs`
//! - a caller that gives up loses nothing: `a_caller_that_gives_up_does_not_lose_the_platforms_answer`; nor does an orderly stop:
//!   `a_stop_waits_for_the_refresh_under_way_and_begins_none`, `tests/stops.rs`
//! - all of it at once, by seeds, with commits that fail or are cut off: `tests/simulation`
//! - clocks that jump: `a_lease_from_the_future_holds_nobody_up` and the others of `tests/clock.rs`
//!
//! The parts:
//!
//! - `decide`: what to do about a row, pure
//! - `rows`: the row, sealed and opened
//! - `refresh`: the step from an old token to a new one, under the lease
//! - `refuse`: the step from a refused token to a stopped tenant
//! - `ask`: the platform's calls in it, by the kind of tenant
//! - `recover`: the refresh token that the platform shows, in place of a refused one
//! - `ahead`: the tokens that are due, refreshed before anybody asks
//! - `component`: the component's ticket, and calls with its token
//! - `slot`: a token in memory, and the queue before it

mod ahead;
mod ask;
mod component;
pub(crate) mod decide;
mod issuer;
mod recover;
mod refresh;
mod refuse;
pub(crate) mod rows;
mod slot;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fangshi_database::{Recent, TenantId};
use secrecy::SecretString;
use sqlx::SqliteConnection;

pub(crate) use self::component::ComponentCallError;
pub use self::component::ComponentHealth;
pub use self::issuer::{AuthorizerInfo, IssueError, Issued, Issuer};
pub use self::token::AccessToken;

use self::refresh::Refresher;
use self::slot::Slot;
use self::token::Held;
use crate::TokenError;
use crate::directory::Directory;
use crate::flights::Flights;
use crate::refusals::Refusals;
use crate::tenant::{SuspendedBy, TenantKind, TenantState};

/// Seconds that WeChat's tokens live (platform page 2).
pub(crate) const TOKEN_LIFE_S: i64 = 7200;
/// Milliseconds that a component_verify_ticket is good for: 12 h (platform page 2).
const TICKET_LIFE_MS: i64 = 12 * 3600 * 1000;
/// The platform's code for an authorization that was taken back.
pub(crate) const REVOKED: i64 = 61003;
/// How long the component's health is good for those who may ask as often as they like, milliseconds.
const HEALTH_GOOD_MS: i64 = 1_000;

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
    refusals: Arc<Refusals>,
    /// This process, as it signs its leases.
    owner: String,
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
    health: Recent<Result<Option<ComponentHealth>, Arc<TokenError>>>,
    flights: Flights,
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
    pub(crate) fn new(
        directory: Arc<Directory>,
        component: Option<ComponentCredentials>,
        refusals: Arc<Refusals>,
        flights: Flights,
    ) -> Custody {
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
                refusals,
                owner,
                slots: Mutex::default(),
                health: Recent::new(HEALTH_GOOD_MS),
                flights,
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
            TenantState::Suspended { by: SuspendedBy::Operator, reason, .. } => {
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

    /// Takes every access token out of use and frees every lease, in a transaction of the writer: the store came from a
    /// backup, and tokens were refreshed since. The ticket stays; the platform pushes a newer one.
    ///
    /// # Errors
    /// The store refused.
    pub async fn doubt_all(&self, c: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        rows::doubt_all(c).await
    }

    /// The platform says (61003) that the merchant took the authorization back, and nobody is there to ask it again
    /// ([`Onboarding::doubt`](crate::Onboarding::doubt)). Only the version that was used is believed:
    /// a newer one came from a newer authorization.
    pub async fn revoked(&self, tenant: TenantId, version: i64) {
        if let Err(error) = self.inner.revoked(tenant, version).await {
            tracing::error!(%tenant, %error, "a revoked authorization could not be noted");
        }
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

    /// Memory follows a planted token: what it holds is older, and what went wrong before no longer counts.
    pub(crate) fn planted(&self, tenant: TenantId, version: Option<i64>) {
        let slot = self.inner.slot(Key::access(tenant));
        if let Some(version) = version {
            slot.invalidate(version - 1);
        }
        slot.start_afresh();
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

/// Why the platform is not asked any more.
pub(crate) fn closing() -> TokenError {
    TokenError::Unavailable("the host is closing".into())
}

impl std::fmt::Debug for Custody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Custody").finish_non_exhaustive()
    }
}
