//! The step that asks the platform for a token.

use std::sync::Arc;
use std::time::Duration;

use fangshi_database::{BoxFuture, WriteError};
use secrecy::ExposeSecret;
use serde_json::json;
use sqlx::SqliteConnection;
use tokio::sync::{OwnedMutexGuard, oneshot};

use super::ask::Failure;
use super::decide::{self, LEASE_MS, Step};
use super::rows::{self, Fresh, Secrets, Settled, TokenRow};
use super::slot::{Flight, Slot};
use super::{Held, Inner, Issued, Issuer, Key, closing};
use crate::audit::{self, Action, Actor, Entry};
use crate::error::StoreError;
use crate::{CustodyError, Tenant, TenantsError, TokenError};

/// A task that waits longer for another's refresh gives up.
const TURN_TIMEOUT: Duration = Duration::from_secs(30);
/// How often to look whether another process has refreshed, and for how long.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const LOOKS: u32 = 400;
/// Between attempts to write a token that the platform gave and the store refused.
const SAVE_AGAIN: Duration = Duration::from_millis(500);

/// Custody with somebody to ask.
#[derive(Clone)]
pub(super) struct Refresher {
    pub(super) custody: Arc<Inner>,
    pub(super) issuer: Arc<dyn Issuer>,
}

type Answer = oneshot::Sender<Result<Arc<Held>, TokenError>>;

impl Refresher {
    /// A working token. `tenant` is `None` for the component's.
    pub(super) fn token(&self, key: Key, tenant: Option<Arc<Tenant>>) -> BoxFuture<'_, Result<Arc<Held>, TokenError>> {
        // Boxed because a tenant's token may need the component's.
        Box::pin(async move {
            let slot = self.custody.slot(key);
            let now = self.custody.directory.clock.now();
            let working = slot.token().filter(|held| held.works(now));
            let flight = match &working {
                Some(held) if !held.is_due(now) => return Ok(Arc::clone(held)),
                // It still works: one task refreshes ahead, the others go on with it.
                Some(held) => match Arc::clone(&slot.flight).try_lock_owned() {
                    Ok(flight) if flight.rest(slot.era(), now, held.version).is_none() => flight,
                    _ => return Ok(Arc::clone(held)),
                },
                None => in_turn(&slot).await?,
            };
            // Whoever was before us in the queue may have fetched one.
            let now = self.custody.directory.clock.now();
            if let Some(held) = slot.token().filter(|held| held.works(now) && !held.is_due(now)) {
                return Ok(held);
            }
            // From here on in a task of its own: what the platform gives must be kept even if nobody waits any more.
            let (answer, answered) = oneshot::channel();
            let flying = Flying { refresher: self.clone(), era: slot.era(), slot: Arc::clone(&slot), key, tenant };
            // Not begun while the host is closing: then nobody answers.
            self.custody.flights.start(flying.fly(flight, answer));
            let outcome = answered.await.unwrap_or_else(|_| Err(closing()));
            // A failure ahead of time harms nobody yet.
            let now = self.custody.directory.clock.now();
            outcome.or_else(|error| slot.token().filter(|held| held.works(now)).ok_or(error))
        })
    }
}

/// One refresh under way.
pub(super) struct Flying {
    pub(super) refresher: Refresher,
    pub(super) slot: Arc<Slot>,
    pub(super) key: Key,
    pub(super) tenant: Option<Arc<Tenant>>,
    /// Noted before tenant and row were looked at.
    era: u64,
}

impl Flying {
    async fn fly(mut self, mut flight: OwnedMutexGuard<Flight>, answer: Answer) {
        match self.obtain(&mut flight).await {
            Ok(Obtained::Stored(held)) => {
                self.slot.hold(&held);
                let _ = answer.send(Ok(held));
            }
            Ok(Obtained::Unsaved { held, version, fresh }) => {
                // The token works already; its row must follow, or the refresh token is lost with the process.
                self.slot.hold(&held);
                let _ = answer.send(Ok(held));
                self.save(version, fresh).await;
            }
            // `obtain` looks again by itself.
            Ok(Obtained::RowMoved) => {}
            Err(error) => {
                let _ = answer.send(Err(error));
            }
        }
    }

    /// Notes the era, then looks at the tenant: what is asked with may be of a later era than the one noted, never of an earlier.
    fn look(&mut self) {
        self.era = self.slot.era();
        if let Some(tenant) = &mut self.tenant
            && let Some(now) = self.refresher.custody.directory.get(tenant.id)
        {
            *tenant = now;
        }
    }

    async fn obtain(&mut self, flight: &mut Flight) -> Result<Obtained, TokenError> {
        let owner = self.custody().owner.clone();
        for _ in 0..LOOKS {
            self.look();
            let Some(row) = self.read().await? else {
                if !self.write(move |c, key| Box::pin(async move { rows::ensure(c, key).await })).await? {
                    return Err(TokenError::Unknown(self.key.tenant));
                }
                continue;
            };
            let now = self.now();
            match decide::next(row.standing(), now, &owner) {
                Step::Use => return as_held(&row, self.key).map(Obtained::Stored),
                Step::Refused => {
                    let code = row.refused.unwrap_or_default();
                    self.end_again(row.version, code).await;
                    return Err(self.reauthorize(code));
                }
                Step::Wait => {
                    tokio::time::sleep(LOOK_AGAIN).await;
                    continue;
                }
                Step::Lease => {}
            }
            if let Some(rest) = flight.rest(self.era, now, row.version) {
                let text = format!("the last attempt failed; the next is made in {rest} ms");
                return Err(TokenError::Unavailable(text));
            }
            let Some(row) = self.lease(row.version).await? else { continue };
            // The lease is on the version we looked at, but its times may have changed in between.
            if decide::next(row.standing(), now, &owner) != Step::Lease {
                self.release(row.version).await;
                continue;
            }
            match self.issue(&row, flight).await? {
                Obtained::RowMoved => {}
                obtained => return Ok(obtained),
            }
        }
        Err(TokenError::Unavailable("another process has been refreshing it for too long".into()))
    }

    /// Asks the platform, under the lease on `row`, and writes what it gave.
    async fn issue(&self, row: &TokenRow, flight: &mut Flight) -> Result<Obtained, TokenError> {
        let asked_at = self.now();
        let issued = match self.ask(row).await {
            Ok(issued) => issued,
            Err(Failure::Invalid { code }) => {
                return match self.refuse(row.version, code).await {
                    Ok(true) => Err(self.reauthorize(code)),
                    // A new authorization came in between.
                    Ok(false) => Ok(Obtained::RowMoved),
                    Err(error) => {
                        flight.failed(self.era, self.now());
                        Err(error)
                    }
                };
            }
            Err(Failure::LeaseLost) => return Ok(Obtained::RowMoved),
            Err(Failure::NotAsked(error)) => {
                self.release(row.version).await;
                return Err(error);
            }
            // Not given back: as long as the lease lasts nobody asks for this version beside a call that may be under way.
            Err(Failure::Unanswered(error)) => {
                flight.unanswered(self.era, row.version, self.now());
                return Err(error);
            }
            Err(Failure::Limited { until, error }) => {
                self.release(row.version).await;
                flight.limited(self.era, self.now(), until);
                return Err(error);
            }
            Err(Failure::Other(error)) => {
                self.release(row.version).await;
                if matches!(error, TokenError::Refused { .. }) {
                    self.slot.refused(self.era, self.now());
                }
                flight.failed(self.era, self.now());
                return Err(error);
            }
        };
        flight.succeeded();
        let fresh = self.fresh(row, issued, asked_at);
        let held = Arc::new(Held {
            version: row.version + 1,
            access: fresh.secrets.access.clone().unwrap_or_default(),
            refresh_at: fresh.refresh_at,
            expires_at: fresh.expires_at,
        });
        match self.settle(row.version, fresh.clone()).await {
            Ok(Settled::Stored) => Ok(Obtained::Stored(held)),
            // A new authorization, or a lease that ran out: what stands there now counts.
            Ok(Settled::SetAside | Settled::Moved) => Ok(Obtained::RowMoved),
            Err(error) => {
                tracing::error!(tenant = %self.key.tenant, %error, "a new token could not be stored; it is kept in memory");
                Ok(Obtained::Unsaved { held, version: row.version, fresh })
            }
        }
    }

    /// What the row becomes.
    fn fresh(&self, row: &TokenRow, issued: Issued, asked_at: i64) -> Fresh {
        let life_ms = issued.expires_in.max(0).saturating_mul(1000);
        let expires_at = asked_at.saturating_add(life_ms);
        let old = &row.secrets;
        let same = |a: Option<&secrecy::SecretString>, b: &secrecy::SecretString| {
            a.is_some_and(|a| a.expose_secret() == b.expose_secret())
        };
        let refresh_at = if same(old.access.as_ref(), &issued.access) {
            // Asked too early for a new one: not again before its end.
            expires_at
        } else {
            let kind = self.tenant.as_ref().map(|tenant| tenant.kind);
            decide::refresh_at(self.key.kind, kind, asked_at, life_ms, luck())
        };
        let (refresh, previous_refresh) = match issued.refresh {
            None => (old.refresh.clone(), old.previous_refresh.clone()),
            Some(new) if same(old.refresh.as_ref(), &new) => (Some(new), old.previous_refresh.clone()),
            Some(new) => (Some(new), old.refresh.clone()),
        };
        let secrets = Secrets { access: Some(issued.access), refresh, previous_refresh };
        Fresh { secrets, issued_at: asked_at, refresh_at, expires_at }
    }

    /// Writes until the store takes it. The lease on the row is ours meanwhile, and so is the queue of this process.
    async fn save(&self, version: i64, fresh: Fresh) {
        loop {
            tokio::time::sleep(SAVE_AGAIN).await;
            match self.settle(version, fresh.clone()).await {
                Ok(_) => return,
                Err(StoreError::Write(WriteError::Closed)) => {
                    let tenant = self.key.tenant;
                    tracing::error!(%tenant, "the store closed before a new token could be stored");
                    return;
                }
                // The tenant was deleted meanwhile.
                Err(StoreError::Custody(CustodyError::NoKey { .. })) => return,
                Err(_) => {}
            }
        }
    }

    async fn settle(&self, version: i64, fresh: Fresh) -> Result<Settled, StoreError> {
        let custody = Arc::clone(self.custody());
        self.write(move |c, key| {
            Box::pin(async move {
                let directory = &custody.directory;
                let settled = rows::settle(c, &directory.vault, key, version, &custody.owner, &fresh).await?;
                match settled {
                    Settled::Stored => {
                        let details = json!({"kind": key.kind.code(), "version": version + 1});
                        custody.tell(c, key, Action::TokenRefreshed, details).await?;
                    }
                    Settled::SetAside => {
                        let details = json!({"kind": key.kind.code(), "version": version});
                        custody.tell(c, key, Action::TokenSetAside, details).await?;
                    }
                    Settled::Moved => {}
                }
                Ok(settled)
            })
        })
        .await
    }

    /// Writes a refresh token that the platform showed again; false if the row has moved on.
    pub(super) async fn keep_recovered(&self, version: i64, secrets: Secrets) -> Result<bool, StoreError> {
        let custody = Arc::clone(self.custody());
        self.write(move |c, key| {
            Box::pin(async move {
                let kept = rows::recover(c, &custody.directory.vault, key, version, &custody.owner, &secrets).await?;
                if kept {
                    let details = json!({"kind": key.kind.code(), "version": version});
                    custody.tell(c, key, Action::TokenRecovered, details).await?;
                }
                Ok(kept)
            })
        })
        .await
    }

    /// Prolongs the lease; false if it is lost.
    pub(super) async fn lease_on(&self, version: i64) -> Result<bool, StoreError> {
        Ok(self.lease(version).await?.is_some())
    }

    async fn lease(&self, version: i64) -> Result<Option<TokenRow>, StoreError> {
        let custody = Arc::clone(self.custody());
        let row = self
            .write(move |c, key| {
                Box::pin(async move {
                    let now = custody.directory.clock.now();
                    let until = now.saturating_add(LEASE_MS);
                    rows::lease(c, &custody.directory.vault, key, version, &custody.owner, now, until).await
                })
            })
            .await?;
        Ok(row.map(|row| self.seen(row)))
    }

    async fn release(&self, version: i64) {
        let owner = self.custody().owner.clone();
        let outcome =
            self.write(move |c, key| Box::pin(async move { rows::release(c, key, version, &owner).await })).await;
        if let Err(error) = outcome {
            // It runs out by itself.
            tracing::warn!(tenant = %self.key.tenant, %error, "a lease could not be given back");
        }
    }

    async fn read(&self) -> Result<Option<TokenRow>, StoreError> {
        let directory = &self.custody().directory;
        let row = rows::read(directory.db.reader(), &directory.vault, self.key).await?;
        Ok(row.map(|row| self.seen(row)))
    }

    /// The row as this process sees it: a version that the platform refused is no token, even if the store does not know.
    fn seen(&self, row: TokenRow) -> TokenRow {
        if self.slot.is_dead(row.version) { TokenRow { refresh_at: 0, expires_at: 0, ..row } } else { row }
    }

    async fn write<R, F>(&self, step: F) -> Result<R, StoreError>
    where
        R: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection, Key) -> BoxFuture<'c, Result<R, StoreError>> + Send + 'static,
    {
        let key = self.key;
        self.custody().directory.db.writer().submit(move |c| step(c, key)).await
    }

    fn reauthorize(&self, code: i64) -> TokenError {
        TokenError::Reauthorize { tenant: self.key.tenant, code }
    }

    pub(super) fn now(&self) -> i64 {
        self.custody().directory.clock.now()
    }

    pub(super) fn custody(&self) -> &Arc<Inner> {
        &self.refresher.custody
    }

    pub(super) fn issuer(&self) -> &dyn Issuer {
        self.refresher.issuer.as_ref()
    }
}

impl Inner {
    /// Writes what was done to a token into the audit, in the transaction that did it.
    pub(super) async fn tell(
        &self,
        c: &mut SqliteConnection,
        key: Key,
        action: Action,
        details: serde_json::Value,
    ) -> Result<(), StoreError> {
        let entry = Entry::new(Actor::System, action, key.tenant).about(key.tenant).with(details);
        audit::append(c, &self.directory.vault, self.directory.clock.now(), entry).await?;
        Ok(())
    }
}

enum Obtained {
    /// Somebody else wrote the row during the call.
    RowMoved,
    Stored(Arc<Held>),
    /// The platform gave it and the store refused it.
    Unsaved {
        held: Arc<Held>,
        version: i64,
        fresh: Fresh,
    },
}

/// Waits for whoever refreshes now. Not forever: while the store refuses a new token, its row must not change.
async fn in_turn(slot: &Slot) -> Result<OwnedMutexGuard<Flight>, TokenError> {
    tokio::time::timeout(TURN_TIMEOUT, Arc::clone(&slot.flight).lock_owned())
        .await
        .map_err(|_| TokenError::Unavailable("another task has been refreshing it for too long".into()))
}

fn as_held(row: &TokenRow, key: Key) -> Result<Arc<Held>, TokenError> {
    let access = row.secrets.access.clone();
    let access = access.ok_or_else(|| TokenError::Unavailable(format!("the row of {} holds no token", key.tenant)))?;
    let (refresh_at, expires_at) = (row.refresh_at, row.expires_at);
    Ok(Arc::new(Held { version: row.version, access, refresh_at, expires_at }))
}

/// For the jitter; a fixed one if the system gives no random bytes.
fn luck() -> u32 {
    let mut random = [0; 4];
    let _ = getrandom::fill(&mut random);
    u32::from_le_bytes(random)
}

/// For the rare step that changes a tenant on the way to a token.
pub(super) fn as_token_error(error: TenantsError) -> TokenError {
    match error {
        TenantsError::Unknown(id) => TokenError::Unknown(id),
        TenantsError::Custody(error) => TokenError::Custody(error),
        TenantsError::Write(error) => TokenError::Write(error),
        TenantsError::Sql(error) => TokenError::Sql(error),
        other => TokenError::Unavailable(other.to_string()),
    }
}
