//! Walking the list of accounts: authorizations that no event told of, and accounts that left without one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::account_rows::{self, Known, Wanted};
use super::decide::{self, Heard};
use super::{Authorizer, ListedAuthorizer, Onboarding};
use crate::TenantsError;
use crate::custody::rows;

/// Accounts a page, the platform's most.
const PAGE: u32 = 500;
/// While the number of accounts changes under the walk, it begins anew, so often at most.
const PASSES: u32 = 3;
/// Between questions about accounts that one walk found.
const SPREAD_MS: i64 = 250;
/// When a walk that failed is tried again.
const AGAIN_MS: i64 = 60_000;

/// What a walk found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Walked {
    /// Accounts that the list showed.
    pub listed: usize,
    /// Of these, accounts that are to be asked about.
    pub news: usize,
    /// Tenants that are not in the list any more, to be asked about: the list alone revokes nobody.
    pub vanished: usize,
}

impl Onboarding {
    /// Walks the list if it is time to: at once after the start, then every `every_ms`. `None` if it is not.
    ///
    /// # Errors
    /// As [`Onboarding::walk`]; the next attempt is due a minute later.
    pub async fn walk_if_due(
        &self,
        platform: &Arc<dyn Authorizer>,
        every_ms: i64,
    ) -> Result<Option<Walked>, TenantsError> {
        let now = self.now();
        let due = self.next_walk.load(Ordering::SeqCst);
        let again = now.saturating_add(AGAIN_MS);
        // Whoever is second here finds it taken.
        if now < due || self.next_walk.compare_exchange(due, again, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return Ok(None);
        }
        self.walk_owed.store(true, Ordering::SeqCst);
        let walked = self.walk(platform).await?;
        self.walk_owed.store(false, Ordering::SeqCst);
        // Unless somebody asked for another meanwhile, of whom this one may have known nothing yet.
        let next = now.saturating_add(every_ms);
        let _ = self.next_walk.compare_exchange(again, next, Ordering::SeqCst, Ordering::SeqCst);
        Ok(Some(walked))
    }

    /// A ticket came: a walk that failed before is tried again at once.
    pub fn ticket_came(&self) {
        if self.walk_owed.swap(false, Ordering::SeqCst) {
            self.walk_soon();
        }
    }

    /// The next look whether it is time to walk finds that it is.
    pub(super) fn walk_soon(&self) {
        self.next_walk.store(0, Ordering::SeqCst);
        self.wake();
    }

    /// Walks the whole list. Accounts that are new to the host, or authorized anew, are to be asked about, spread over
    /// time; so are tenants that the list no longer shows.
    ///
    /// # Errors
    /// [`TenantsError::Component`]: the platform did not answer, or refused; or the store refused. What was found until
    /// then is kept.
    pub async fn walk(&self, platform: &Arc<dyn Authorizer>) -> Result<Walked, TenantsError> {
        let begun = self.now();
        let mut walked = Walked::default();
        for _ in 0..PASSES {
            walked.listed = 0;
            if self.pass(platform, begun, &mut walked).await? {
                break;
            }
        }
        let (vault, now, news) = (self.directory.vault.clone(), self.now(), walked.news);
        walked.vanished = self
            .write(move |c| {
                Box::pin(async move {
                    let gone = account_rows::vanished(c, begun).await?;
                    for (index, appid) in gone.iter().enumerate() {
                        let known = account_rows::known(c, appid).await?;
                        let wanted = Wanted::ask(known.as_ref(), spread(now, news + index));
                        account_rows::want(c, &vault, appid, wanted, now).await?;
                    }
                    Ok(gone.len())
                })
            })
            .await?;
        if walked.news + walked.vanished > 0 {
            tracing::info!(?walked, "the list of accounts shows news");
            self.wake();
        }
        Ok(walked)
    }

    /// Once through the list; false if its length changed on the way, so that accounts may have been missed.
    async fn pass(
        &self,
        platform: &Arc<dyn Authorizer>,
        begun: i64,
        walked: &mut Walked,
    ) -> Result<bool, TenantsError> {
        let mut total = None;
        loop {
            let offset = u32::try_from(walked.listed).unwrap_or(u32::MAX);
            let page = self.call(platform, |platform, token, component| async move {
                platform.authorizer_list(&token, &component, offset, PAGE).await
            });
            let page = page.await.map_err(|error| TenantsError::Component(error.to_string()))?;
            let steady = total.is_none_or(|total| total == page.total);
            total = Some(page.total);
            let count = page.listed.len();
            walked.news += self.meet(page.listed, begun, walked.news).await?;
            walked.listed += count;
            if !steady {
                return Ok(false);
            }
            if count == 0 || i64::try_from(walked.listed).is_ok_and(|listed| listed >= page.total) {
                return Ok(true);
            }
        }
    }

    /// One page, in one transaction; gives how many of it are to be asked about.
    async fn meet(&self, page: Vec<ListedAuthorizer>, begun: i64, before: usize) -> Result<usize, TenantsError> {
        let (directory, now) = (Arc::clone(&self.directory), self.now());
        self.write(move |c| {
            Box::pin(async move {
                let vault = &directory.vault;
                let mut news = 0;
                for listed in page {
                    let appid = listed.appid.as_str();
                    let known = account_rows::known(c, appid).await?;
                    let stopped = directory.by_appid(appid).filter(|tenant| tenant.state.is_cured_by_tokens());
                    let back = match stopped {
                        Some(tenant) => rows::may_be_back(c, vault, tenant.id, listed.refresh.as_ref()).await?,
                        None => false,
                    };
                    let settled = known.as_ref().is_some_and(|known| known.verdict.is_some()) && !back;
                    let at_work = known.as_ref().is_some_and(|known| known.at_work);
                    let deleted = known.as_ref().is_some_and(|known| known.was_deleted_after(listed.auth_time));
                    match decide::meet(known.as_ref().and_then(Known::dated), settled, listed.auth_time) {
                        Heard::Take(standing, work) if !at_work && !deleted => {
                            let wanted = Wanted {
                                standing,
                                changed_s: listed.auth_time,
                                by_host: false,
                                work,
                                code: None,
                                spent: false,
                                refresh: listed.refresh.as_ref(),
                                next_at: spread(now, before + news),
                            };
                            account_rows::want(c, vault, appid, wanted, now).await?;
                            news += 1;
                        }
                        // It is being asked about already, or its tenant was deleted and it did not authorize anew.
                        _ if known.is_some_and(|known| known.by_host) => {}
                        _ => account_rows::raise_time(c, appid, listed.auth_time).await?,
                    }
                    account_rows::met(c, appid, begun).await?;
                }
                Ok(news)
            })
        })
        .await
    }
}

fn spread(now: i64, index: usize) -> i64 {
    now.saturating_add(i64::try_from(index).unwrap_or(i64::MAX).saturating_mul(SPREAD_MS))
}
