//! Onboarding: how a shop becomes a tenant through the operator's component, and how it leaves.
//!
//! Three things tell of an authorization: the redirect of a link, an event of the platform, the list of accounts. Any
//! of them may be missing, late, doubled or out of order. So none of them does the work: each only writes down, in one
//! transaction, that there is something to do ([`Onboarding::note`], [`Onboarding::arrived`], [`Onboarding::walk`]),
//! and [`Onboarding::step`] does what is due: it asks the platform how the account stands and follows the answer. A
//! step that was cut off at any point comes again. An authorization code is used up by being asked about; what a crash
//! lost with it, `api_get_authorizer_info` and the list give again.
//!
//! - `authorizer`: the platform's calls
//! - `decide`: what a word of the platform comes to, pure
//! - `link`, `link_rows`: authorization links
//! - `account_rows`: accounts and the work on them
//! - `note`: events of the platform
//! - `query`: the step from a link's code to an account
//! - `account`: the step from an account to a tenant, or away from it
//! - `adopt`: the one transaction of that
//! - `walk`: the list of accounts
//! - `reread`: its refresh tokens, after a restore

mod account;
mod account_rows;
mod adopt;
mod authorizer;
pub(crate) mod decide;
mod link;
mod link_rows;
mod note;
mod query;
mod reread;
mod walk;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64};

use fangshi_database::{AuthorizationId, BoxFuture, TenantId};
use secrecy::SecretString;
use serde_json::json;
use sqlx::SqliteConnection;
use tokio::sync::Notify;

pub(crate) use self::account_rows::forget;

pub use self::account_rows::AccountView;
pub use self::authorizer::{Authorization, Authorizer, AuthorizerPage, ListedAuthorizer, PreAuthCode};
pub use self::link::{Arrived, FreshLink, Link, LinkOpening, LinkState, NewLink};
pub use self::note::{AuthorizationChange, ChangeKind};
pub use self::walk::Walked;

use crate::audit::{self, Action, Actor, Entry};
use crate::custody::{ComponentCallError, Custody, closing};
use crate::directory::Directory;
use crate::flights::Flights;
use crate::{Deletion, IssueError, Issuer, TenantKind, TenantsError, TokenError, secret};

/// While a step works on something, nobody else does; longer than its calls may take together.
const HOLD_MS: i64 = 40_000;
/// How long an account's word that it is granted stands against calls that hear otherwise, milliseconds.
const BELIEVED_MS: i64 = 600_000;
/// What one [`Onboarding::step`] works on at most.
const BATCH: usize = 32;

/// Onboarding. Clones are the same.
#[derive(Clone)]
pub struct Onboarding {
    directory: Arc<Directory>,
    custody: Custody,
    flights: Flights,
    wanted: Arc<Notify>,
    next_walk: Arc<AtomicI64>,
    /// The last walk failed.
    walk_owed: Arc<AtomicBool>,
}

/// What a step did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Stepped {
    /// How many pieces of work it took up.
    pub handled: usize,
    /// Tenants that came back to work: their lanes may go on.
    pub woken: Vec<TenantId>,
}

impl Onboarding {
    pub(crate) fn new(directory: Arc<Directory>, custody: Custody, flights: Flights) -> Onboarding {
        Onboarding {
            directory,
            custody,
            flights,
            wanted: Arc::default(),
            next_walk: Arc::default(),
            walk_owed: Arc::default(),
        }
    }

    /// Makes an authorization link for `actor`: a pre-auth code from the platform, and a random address for it.
    ///
    /// # Errors
    /// [`TenantsError::Component`]: no component, no token, or the platform refused; or the store refused.
    pub async fn begin(
        &self,
        platform: &Arc<dyn Authorizer>,
        actor: Actor,
        new: NewLink,
    ) -> Result<FreshLink, TenantsError> {
        let component_appid = self.component_appid()?;
        let asked_at = self.now();
        let made = self.call(platform, |platform, token, component| async move {
            platform.pre_auth_code(&token, &component).await
        });
        let made = made.await.map_err(|error| TenantsError::Component(error.to_string()))?;
        let expires_at = asked_at.saturating_add(made.expires_in.max(0).saturating_mul(1000));
        let nonce = secret::make(secret::NONCE)?;
        let (vault, digest) = (self.directory.vault.clone(), secret::digest(&nonce));
        let opening = LinkOpening {
            component_appid,
            pre_auth_code: made.code.clone(),
            auth_type: new.auth_type,
            biz_appid: new.biz_appid.clone(),
        };
        let written = self.write(move |c| {
            Box::pin(async move {
                let (pre_auth_code, created_at) = (&made.code, asked_at);
                let made = link_rows::Made { nonce: digest, pre_auth_code, actor, created_at, expires_at };
                link_rows::insert(c, &vault, &new, made).await
            })
        });
        Ok(FreshLink { id: written.await?, nonce, opening, expires_at })
    }

    /// A link by its id.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn link(&self, id: AuthorizationId) -> Result<Option<Link>, TenantsError> {
        link_rows::get(self.directory.db.reader(), id, self.now()).await
    }

    /// A link by the random part of its address.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn link_at(&self, nonce: &SecretString) -> Result<Option<Link>, TenantsError> {
        link_rows::by_nonce(self.directory.db.reader(), secret::digest(nonce), self.now()).await
    }

    /// What the platform's pages are opened with, for the holder of the link's address.
    ///
    /// # Errors
    /// No component is configured, or the store cannot be read.
    pub async fn opening(&self, nonce: &SecretString) -> Result<Option<LinkOpening>, TenantsError> {
        let component = self.component_appid()?;
        link_rows::opening(self.directory.db.reader(), &self.directory.vault, secret::digest(nonce), &component).await
    }

    /// Links, the newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn links(&self, before: Option<AuthorizationId>, limit: u32) -> Result<Vec<Link>, TenantsError> {
        link_rows::list(self.directory.db.reader(), before, limit, self.now()).await
    }

    /// Every account that ever authorized, by appid, those that are no shops included.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn accounts(&self, after: Option<&str>, limit: u32) -> Result<Vec<AccountView>, TenantsError> {
        account_rows::list(self.directory.db.reader(), after, limit).await
    }

    /// Takes the redirect of the platform's page: its code is kept, and worked on by the next step.
    ///
    /// # Errors
    /// The store refused: nothing is kept.
    pub async fn arrived(&self, nonce: &SecretString, code: SecretString) -> Result<Arrived, TenantsError> {
        let (vault, digest, now) = (self.directory.vault.clone(), secret::digest(nonce), self.now());
        let arrived = self
            .write(move |c| Box::pin(async move { link_rows::keep_code(c, &vault, digest, &code, now).await }))
            .await?;
        if matches!(arrived, Arrived::Kept(_)) {
            self.wanted.notify_one();
        }
        Ok(arrived)
    }

    /// Does what is due, up to a few dozen pieces of work. Several processes may step at once.
    ///
    /// # Errors
    /// The store failed; what was begun comes again.
    pub async fn step(&self, platform: &Arc<dyn Authorizer>) -> Result<Stepped, TenantsError> {
        let mut stepped = Stepped::default();
        while stepped.handled < BATCH {
            let (vault, now) = (self.directory.vault.clone(), self.now());
            let taken = self.write(move |c| {
                Box::pin(async move { link_rows::take(c, &vault, now, now.saturating_add(HOLD_MS)).await })
            });
            let Some(link) = taken.await? else { break };
            stepped.handled += 1;
            self.work_on_link(platform, link).await?;
        }
        while stepped.handled < BATCH {
            let (vault, now) = (self.directory.vault.clone(), self.now());
            let taken = self.write(move |c| {
                Box::pin(async move { account_rows::take(c, &vault, now, now.saturating_add(HOLD_MS)).await })
            });
            let Some(account) = taken.await? else { break };
            stepped.handled += 1;
            stepped.woken.extend(self.work_on_account(platform, account).await?);
        }
        Ok(stepped)
    }

    /// A deletion that this store knows nothing of, since it came from a backup. Told by the audit if it changes anything; the
    /// number that the tenant had says nothing here.
    pub(crate) async fn remember_deletion(&self, actor: Actor, deletion: &Deletion) -> Result<(), TenantsError> {
        let (vault, now) = (self.directory.vault.clone(), self.now());
        let Deletion { appid, at, .. } = deletion.clone();
        self.write(move |c| {
            Box::pin(async move {
                if account_rows::remember_deletion(c, &appid, at, now).await? {
                    let entry = Entry::new(actor, Action::DeletionRemembered, TenantId::HOST);
                    let details = json!({"appid": appid, "deleted_at": at});
                    audit::append(c, &vault, now, entry.with(details)).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// A call heard that the shop took its authorization back: the platform is to be asked how the account stands, since
    /// one wrong answer shall revoke nobody. Within ten minutes of its word that it is granted it is not asked again. False if nobody can ask: no component, or a shop that it was never given.
    ///
    /// # Errors
    /// The store refused.
    pub async fn doubt(&self, tenant: TenantId) -> Result<bool, TenantsError> {
        let Some(tenant) = self.directory.get(tenant) else { return Ok(true) };
        if tenant.kind != TenantKind::Authorized || self.custody.component_appid().is_none() {
            return Ok(false);
        }
        if !tenant.is_active() {
            return Ok(true);
        }
        let (vault, now) = (self.directory.vault.clone(), self.now());
        self.write(move |c| {
            Box::pin(async move {
                let known = account_rows::known(c, &tenant.appid).await?;
                if known.as_ref().is_some_and(|known| known.at_work || known.was_granted_since(now - BELIEVED_MS)) {
                    return Ok(());
                }
                let wanted = account_rows::Wanted::ask(known.as_ref(), now);
                account_rows::want(c, &vault, &tenant.appid, wanted, now).await
            })
        })
        .await?;
        self.wake();
        Ok(true)
    }

    /// Waits until there may be something to do: for whoever calls [`Onboarding::step`] again and again.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Says that there is something to do, after the commit of [`Onboarding::note`].
    pub fn wake(&self) {
        self.wanted.notify_one();
    }

    fn component_appid(&self) -> Result<String, TenantsError> {
        let none = || TenantsError::Component("[weixin] component_appid is not configured".into());
        self.custody.component_appid().map(str::to_owned).ok_or_else(none)
    }

    fn now(&self) -> i64 {
        self.directory.clock.now()
    }

    /// One call with the component's token; none while the host is closing, which may have begun while the token was fetched.
    async fn call<T, F>(
        &self,
        platform: &Arc<dyn Authorizer>,
        call: impl Fn(Arc<dyn Authorizer>, SecretString, String) -> F,
    ) -> Result<T, CallFailed>
    where
        F: Future<Output = Result<T, IssueError>>,
    {
        let issuer: Arc<dyn Issuer> = Arc::clone(platform) as Arc<dyn Issuer>;
        let outcome = self.custody.as_component(&issuer, |token, appid| {
            let sending = call(Arc::clone(platform), token, appid);
            async move { if self.flights.is_closed() { Ok(None) } else { sending.await.map(Some) } }
        });
        let answer = outcome.await.map_err(|error| match error {
            ComponentCallError::Token(error) => CallFailed::NotSent(error),
            ComponentCallError::Issue(IssueError::Unavailable(text) | IssueError::Unanswered(text)) => {
                CallFailed::Unanswered(text)
            }
            // No word on the account.
            ComponentCallError::Issue(IssueError::Limited { code, message, .. }) => {
                CallFailed::Unanswered(format!("{message} ({code})"))
            }
            ComponentCallError::Issue(
                IssueError::Refused { code, message } | IssueError::Invalid { code, message },
            ) => CallFailed::Refused(code, message),
        })?;
        answer.ok_or_else(|| CallFailed::NotSent(closing()))
    }

    async fn write<R, F>(&self, step: F) -> Result<R, TenantsError>
    where
        R: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<R, TenantsError>> + Send + 'static,
    {
        self.directory.db.writer().submit(step).await
    }
}

/// Why a call brought nothing.
#[derive(Debug, thiserror::Error)]
enum CallFailed {
    /// There is no component token, or the host is closing.
    #[error("{0}")]
    NotSent(TokenError),
    /// It may have been carried out or not.
    #[error("no answer: {0}")]
    Unanswered(String),
    /// The platform's code and words.
    #[error("the platform refused ({0}): {1}")]
    Refused(i64, String),
}

impl std::fmt::Debug for Onboarding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Onboarding").finish_non_exhaustive()
    }
}
