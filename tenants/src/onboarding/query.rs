//! The step from a link's code to the account that authorized.

use std::sync::Arc;

use fangshi_database::AuthorizationId;
use secrecy::SecretString;

use super::account_rows::{self, Wanted};
use super::decide::{self, Standing, Work};
use super::link_rows::{self, TakenLink, Turn};
use super::{Authorization, Authorizer, CallFailed, Onboarding};
use crate::TenantsError;
use crate::custody::REVOKED;
use crate::to_the_end::cut_off;

/// How long a shop whose code was lost is looked for after the link's end.
const SEARCH_MS: i64 = 3_600_000;
/// What the two clocks may differ.
const SKEW_S: i64 = 60;

impl Onboarding {
    pub(super) async fn work_on_link(
        &self,
        platform: &Arc<dyn Authorizer>,
        link: TakenLink,
    ) -> Result<(), TenantsError> {
        match link.code.clone() {
            Some(code) => self.query(platform, link, code).await,
            None => self.search(platform, link).await,
        }
    }

    /// Asks what the code stands for, in a task of its own: the answer is given once, and must be kept even if nobody waits any
    /// more. Not begun while the host is closing; then the code is asked about after the next start.
    async fn query(
        &self,
        platform: &Arc<dyn Authorizer>,
        link: TakenLink,
        code: SecretString,
    ) -> Result<(), TenantsError> {
        let (onboarding, platform) = (self.clone(), Arc::clone(platform));
        let asking = self.flights.start(async move { onboarding.ask_about(&platform, link, code).await });
        match asking {
            Some(asking) => asking.await.unwrap_or_else(|ended| Err(cut_off(&ended).into())),
            None => Ok(()),
        }
    }

    /// That it was asked is durable before: the answer to a second call tells nothing.
    async fn ask_about(
        &self,
        platform: &Arc<dyn Authorizer>,
        link: TakenLink,
        code: SecretString,
    ) -> Result<(), TenantsError> {
        if !self.mark_asked(&link, true).await? {
            return Ok(());
        }
        let asked = self.call(platform, |platform, token, component| {
            let code = code.clone();
            async move { platform.query_auth(&token, &component, &code).await }
        });
        let outcome = asked.await;
        let now = self.now();
        match outcome {
            Ok(authorization) => self.bind(link, code, authorization).await,
            Err(CallFailed::NotSent(error)) => {
                tracing::warn!(link = %link.id, %error, "an authorization waits for the component's token");
                self.mark_asked(&link, link.asked).await?;
                self.turn(&link, later(&link, now), "no-component-token").await
            }
            Err(CallFailed::Unanswered(error)) => {
                tracing::warn!(link = %link.id, error, "an authorization code was asked about and no answer came");
                self.turn(&link, later(&link, now), "no-answer").await
            }
            // An earlier call may have used it up: then the shop is in the list.
            Err(CallFailed::Refused(code, _)) if is_bad_code(code) && link.asked => {
                tracing::warn!(link = %link.id, code, "an authorization code is spent and its answer was lost");
                self.turn(&link, Turn::Search(now), "code-spent").await
            }
            Err(CallFailed::Refused(code, _)) if is_bad_code(code) => {
                tracing::warn!(link = %link.id, code, "the platform refuses the code of a redirect: forged or too old");
                self.turn(&link, Turn::Waiting, "code-refused").await
            }
            Err(CallFailed::Refused(REVOKED, _)) => self.turn(&link, Turn::Failed(now), "revoked").await,
            Err(CallFailed::Refused(code, message)) => {
                tracing::error!(link = %link.id, code, message, "the platform refuses to tell what a code stands for");
                self.turn(&link, later(&link, now), &format!("platform-{code}")).await
            }
        }
    }

    /// The code is spent: who it stood for, and the refresh token it brought, are kept before anything else is asked.
    async fn bind(
        &self,
        link: TakenLink,
        code: SecretString,
        authorization: Authorization,
    ) -> Result<(), TenantsError> {
        let (vault, now) = (self.directory.vault.clone(), self.now());
        let deleted = self.write(move |c| {
            Box::pin(async move {
                let appid = authorization.appid.as_str();
                let bound = link_rows::bind(c, link.id, link.work_no, appid, now).await?;
                let known = account_rows::known(c, appid).await?;
                if !bound {
                    tracing::info!(link = %link.id, "an event was faster than the redirect's code");
                }
                let deleted = known.as_ref().is_some_and(|known| {
                    // What was faster than the code made a tenant, and that was deleted meanwhile: this word is older. A code
                    // does not tell when the merchant authorized, and may come long after: only a link that was made after
                    // the deletion tells that it is younger.
                    (!bound && known.deleted_s.is_some()) || known.was_deleted_after(link.created_at.div_euclid(1000))
                });
                if deleted {
                    link_rows::fail(c, appid, link_rows::DELETED, now).await?;
                    return Ok(true);
                }
                // The redirect carries no time of the platform; what the merchant did is no younger than its arrival.
                let changed_s = known.map_or(0, |known| known.changed_s).max(link.arrived_at.div_euclid(1000));
                let wanted = Wanted {
                    standing: Standing::Granted,
                    changed_s,
                    by_host: true,
                    work: Work::Ask,
                    code: Some(&code),
                    spent: true,
                    refresh: authorization.refresh.as_ref(),
                    next_at: now,
                };
                account_rows::want(c, &vault, appid, wanted, now).await?;
                Ok(false)
            })
        });
        if deleted.await? {
            // The list does tell when: an authorization that is younger after all is met there.
            self.walk_soon();
        }
        Ok(())
    }

    /// The code is gone: the shop is the account that the link names, once it has authorized since the link was made; of a
    /// link that names none, the one account that did and that nothing else explains.
    async fn search(&self, platform: &Arc<dyn Authorizer>, link: TakenLink) -> Result<(), TenantsError> {
        let walked = self.walk(platform).await;
        let now = self.now();
        if let Err(error) = walked {
            tracing::warn!(link = %link.id, %error, "the list of accounts could not be walked for a lost code");
        }
        let since = link.created_at.div_euclid(1000) - SKEW_S;
        let found = account_rows::unclaimed_since(self.directory.db.reader(), since, link.id.0).await?;
        let shop = match (&link.biz_appid, found.as_slice()) {
            (Some(named), found) => found.iter().find(|account| account.appid == *named),
            (None, found) => match found.iter().filter(|account| account.unexplained).collect::<Vec<_>>()[..] {
                [only] => Some(only),
                _ => None,
            },
        };
        if let Some(account_rows::Unclaimed { appid, .. }) = shop {
            let (id, work_no, appid) = (link.id, link.work_no, appid.clone());
            let vault = self.directory.vault.clone();
            return self
                .write(move |c| {
                    Box::pin(async move {
                        if link_rows::bind(c, id, work_no, &appid, now).await? {
                            // Asked once more, so that the end of that work ends the link.
                            let known = account_rows::known(c, &appid).await?;
                            if known.as_ref().is_some_and(|known| known.deleted_s.is_some()) {
                                // Since it was found.
                                return Ok(link_rows::fail(c, &appid, link_rows::DELETED, now).await?);
                            }
                            let changed_s = known.as_ref().map_or(since, |known| known.changed_s);
                            let asked = Wanted::ask(known.as_ref(), now);
                            let wanted = Wanted { standing: Standing::Granted, changed_s, ..asked };
                            account_rows::want(c, &vault, &appid, wanted, now).await?;
                        }
                        Ok(())
                    })
                })
                .await;
        }
        let again = now + decide::pause_ms(link.tries).max(30_000);
        if again < link.expires_at + SEARCH_MS {
            return self.turn(&link, Turn::Search(again), "code-spent").await;
        }
        let reason = if link.biz_appid.is_some() && !found.is_empty() { "another-account" } else { "code-spent" };
        self.turn(&link, Turn::Failed(now), reason).await
    }

    async fn mark_asked(&self, link: &TakenLink, asked: bool) -> Result<bool, TenantsError> {
        let (id, work_no) = (link.id, link.work_no);
        self.write(move |c| Box::pin(async move { Ok(link_rows::set_asked(c, id, work_no, asked).await?) })).await
    }

    async fn turn(&self, link: &TakenLink, turn: Turn, reason: &str) -> Result<(), TenantsError> {
        let (id, work_no, reason): (AuthorizationId, i64, String) = (link.id, link.work_no, reason.to_owned());
        self.write(move |c| Box::pin(async move { Ok(link_rows::turn(c, id, work_no, turn, &reason).await?) })).await
    }
}

/// Once more, while it may still be of use.
fn later(link: &TakenLink, now: i64) -> Turn {
    let again = now + decide::pause_ms(link.tries);
    if again < link.expires_at + SEARCH_MS { Turn::Again(again) } else { Turn::Failed(now) }
}

/// The code is unknown, used up or too old (platform page 6).
fn is_bad_code(code: i64) -> bool {
    matches!(code, 61009 | 61010)
}
