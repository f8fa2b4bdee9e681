//! The step from an account to a tenant, or away from it: the platform is asked how the account stands.

use std::sync::Arc;

use fangshi_database::{BoxFuture, TenantId};
use secrecy::SecretString;
use sqlx::SqliteConnection;

use super::account_rows::{self, Settled, Taken};
use super::adopt::{Adopted, Adoption};
use super::decide::{self, Standing, Work};
use super::{Authorization, Authorizer, CallFailed, Onboarding, link_rows};
use crate::custody::REVOKED;
use crate::tenant::TenantState;
use crate::{AuthorizerInfo, TenantsError};

/// After that many refusals of the platform an account is left alone until the platform says something new.
const MOST_REFUSALS: u32 = 8;

/// What hindered a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hindrance {
    /// No answer, or nothing to ask with. However long that lasts, it says nothing of the account.
    Outage,
    /// What the platform said of it.
    Refusal,
}

impl Onboarding {
    /// Gives the tenant if it came back to work.
    pub(super) async fn work_on_account(
        &self,
        platform: &Arc<dyn Authorizer>,
        taken: Taken,
    ) -> Result<Option<TenantId>, TenantsError> {
        match taken.work {
            Work::Revoke => self.revoke(taken, "unauthorized").await.map(|()| None),
            Work::Ask => self.ask(platform, taken).await,
        }
    }

    async fn ask(&self, platform: &Arc<dyn Authorizer>, taken: Taken) -> Result<Option<TenantId>, TenantsError> {
        let given = match taken.code.clone() {
            Some(code) => match self.spend(platform, &taken, code).await? {
                Ok(given) => given,
                Err(problem) => return self.again(&taken, &problem, Hindrance::Outage).await.map(|()| None),
            },
            None => None,
        };
        let info = self.call(platform, |platform, token, component| {
            let appid = taken.appid.clone();
            async move { platform.authorizer_info(&token, &component, &appid).await }
        });
        match info.await {
            Ok(info) => self.follow(taken, given, info).await,
            Err(CallFailed::Refused(REVOKED, _)) => self.revoke(taken, "platform-61003").await.map(|()| None),
            Err(error @ CallFailed::Refused(..)) => {
                self.again(&taken, &error.to_string(), Hindrance::Refusal).await.map(|()| None)
            }
            Err(error) => self.again(&taken, &error.to_string(), Hindrance::Outage).await.map(|()| None),
        }
    }

    /// Asks what the event's code stands for. A code that is used up or too old does no harm: the account's own
    /// answer gives its refresh token too. The inner error: not now.
    async fn spend(
        &self,
        platform: &Arc<dyn Authorizer>,
        taken: &Taken,
        code: SecretString,
    ) -> Result<Result<Option<Authorization>, String>, TenantsError> {
        let asked = self.call(platform, |platform, token, component| {
            let code = code.clone();
            async move { platform.query_auth(&token, &component, &code).await }
        });
        let given = match asked.await {
            Ok(authorization) if authorization.appid == taken.appid => Some(authorization),
            Ok(_) => {
                tracing::error!(appid = taken.appid, "the code of an event stands for another account: it is not used");
                None
            }
            Err(CallFailed::NotSent(error)) => return Ok(Err(error.to_string())),
            Err(error) => {
                tracing::info!(appid = taken.appid, %error, "the code of an event brought nothing; the account is asked");
                None
            }
        };
        let (vault, appid, work_no) = (self.directory.vault.clone(), taken.appid.clone(), taken.work_no);
        let refresh = given.as_ref().and_then(|given| given.refresh.clone());
        self.write(move |c| {
            Box::pin(async move { account_rows::code_is_spent(c, &vault, &appid, work_no, refresh.as_ref()).await })
        })
        .await?;
        Ok(Ok(given))
    }

    async fn follow(
        &self,
        taken: Taken,
        given: Option<Authorization>,
        info: AuthorizerInfo,
    ) -> Result<Option<TenantId>, TenantsError> {
        let tenant = self.directory.by_appid(&taken.appid);
        if !info.is_shop && tenant.is_none() {
            tracing::info!(appid = taken.appid, "an account authorized that is no shop: listed, and left alone");
            return self.ignore(taken).await.map(|()| None);
        }
        let (access, refresh, sets) = match given {
            Some(given) => (given.access, given.refresh, given.permission_sets),
            None => (None, None, None),
        };
        let refresh = refresh.or(info.refresh).or(taken.refresh.clone());
        if tenant.is_none() && refresh.is_none() {
            let problem = "the platform gave no refresh token";
            return self.again(&taken, problem, Hindrance::Refusal).await.map(|()| None);
        }
        let adoption = Adoption {
            appid: taken.appid.clone(),
            work_no: taken.work_no,
            authorized_s: taken.changed_s,
            name: info.name,
            user_name: info.user_name,
            permission_sets: info.permission_sets.or(sets),
            access,
            refresh,
        };
        let adopted = match self.directory.adopt(adoption).await {
            Ok(adopted) => adopted,
            // The platform shows what no tenant may be called: a person must look.
            Err(TenantsError::Invalid { member, problem }) => {
                let problem = format!("`{member}` {problem}");
                return self.again(&taken, &problem, Hindrance::Refusal).await.map(|()| None);
            }
            Err(error) => return Err(error),
        };
        match adopted {
            Adopted::Tenant { tenant, version, woken, new } => {
                // An answer that brought nothing new ends no rest: shops are asked about often.
                if version.is_some() || woken {
                    self.custody.planted(tenant.id, version);
                }
                let appid = tenant.appid.as_str();
                tracing::info!(tenant = %tenant.id, appid, new, sets = ?tenant.permission_sets, "a shop is authorized");
                Ok(woken.then_some(tenant.id))
            }
            Adopted::Overtaken => Ok(None),
            Adopted::OtherKind(kind) => {
                tracing::warn!(appid = taken.appid, %kind, "an account authorized that is a tenant of another kind");
                Ok(None)
            }
        }
    }

    async fn ignore(&self, taken: Taken) -> Result<(), TenantsError> {
        let now = self.now();
        self.write(move |c| {
            Box::pin(async move {
                let settled =
                    Settled { standing: Standing::Granted, verdict: Some("other"), tenant: None, problem: None };
                if account_rows::settle(c, &taken.appid, taken.work_no, settled, now).await? {
                    link_rows::fail(c, &taken.appid, "not-a-shop", now).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// The account is settled and its tenant stops, in one transaction; a newer word about the account stops nothing.
    async fn revoke(&self, taken: Taken, reason: &str) -> Result<(), TenantsError> {
        let tenant = self.directory.by_appid(&taken.appid).filter(|t| t.kind == crate::TenantKind::Authorized);
        let (now, tenant) = (self.now(), tenant.map(|tenant| tenant.id));
        match tenant {
            Some(id) => {
                let revoked = TenantState::Revoked { reason: reason.to_owned(), since: now };
                self.directory.stop(id, revoked, move |c| settle_revoked(c, taken, tenant, now)).await?
            }
            None => self.write(move |c| settle_revoked(c, taken, tenant, now)).await?,
        };
        Ok(())
    }

    async fn again(&self, taken: &Taken, problem: &str, hindrance: Hindrance) -> Result<(), TenantsError> {
        let refusals = taken.refusals + u32::from(hindrance == Hindrance::Refusal);
        let again = hindrance == Hindrance::Outage || refusals < MOST_REFUSALS;
        tracing::warn!(
            appid = taken.appid,
            tries = taken.tries,
            refusals,
            problem,
            again,
            "an account could not be settled"
        );
        let now = self.now();
        let next_at = again.then(|| now + decide::pause_ms(taken.tries));
        let (appid, work_no, problem) = (taken.appid.clone(), taken.work_no, problem.to_owned());
        self.write(move |c| {
            Box::pin(
                async move { Ok(account_rows::again(c, &appid, work_no, refusals, next_at, &problem, now).await?) },
            )
        })
        .await
    }
}

/// Notes that an account took its authorization back; false if something newer is known.
fn settle_revoked(
    c: &mut SqliteConnection,
    taken: Taken,
    tenant: Option<TenantId>,
    now: i64,
) -> BoxFuture<'_, Result<bool, TenantsError>> {
    Box::pin(async move {
        let settled = Settled { standing: Standing::Revoked, verdict: None, tenant, problem: None };
        let counts = account_rows::settle(c, &taken.appid, taken.work_no, settled, now).await?;
        if counts {
            link_rows::fail(c, &taken.appid, "revoked", now).await?;
        }
        Ok(counts)
    })
}
