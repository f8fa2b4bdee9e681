//! One transaction: the tenant made or brought up to date, its tokens planted, the account and its links settled.

use std::collections::BTreeSet;
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::json;
use sqlx::SqliteConnection;

use super::account_rows::{self, Settled};
use super::decide::Standing;
use super::link_rows;
use crate::audit::{self, Action, Actor, Entry};
use crate::custody::{self, Planted};
use crate::directory::{Directory, NUMBERS, check};
use crate::tenant::{Allotment, Credentials, NewTenant, Platform, Tenant, TenantKind, TenantState};
use crate::to_the_end::to_the_end;
use crate::vault::NewKey;
use crate::{TenantsError, tenant_rows};

/// Longest name that a tenant may have, characters.
const NAME: usize = 200;

/// An account that is a shop, as the platform shows it.
pub(super) struct Adoption {
    pub(super) appid: String,
    /// The work that asked: a newer one makes this one void.
    pub(super) work_no: i64,
    /// When it authorized, unix seconds.
    pub(super) authorized_s: i64,
    pub(super) name: String,
    pub(super) user_name: Option<String>,
    pub(super) permission_sets: Option<BTreeSet<u16>>,
    /// With the seconds it lives.
    pub(super) access: Option<(SecretString, i64)>,
    pub(super) refresh: Option<SecretString>,
}

pub(super) enum Adopted {
    Tenant {
        tenant: Arc<Tenant>,
        version: Option<i64>,
        woken: bool,
        new: bool,
    },
    /// Something newer became known meanwhile; nothing was written.
    Overtaken,
    /// The appid belongs to a tenant that is not reached through the component; it stays as it is.
    OtherKind(TenantKind),
}

/// Who is written.
enum Adoptee {
    Known(Arc<Tenant>),
    New(Box<NewTenant>, NewKey),
}

impl Directory {
    pub(super) async fn adopt(self: &Arc<Self>, adoption: Adoption) -> Result<Adopted, TenantsError> {
        let directory = Arc::clone(self);
        to_the_end(async move {
            let _changing = directory.changing.lock().await;
            let current = directory.by_appid(&adoption.appid);
            let was_active = current.as_ref().is_some_and(|tenant| tenant.is_active());
            let new = current.is_none();
            if let Some(other) = current.as_ref().filter(|tenant| tenant.kind != TenantKind::Authorized) {
                directory.settle_other(adoption, other.id).await?;
                return Ok(Adopted::OtherKind(other.kind));
            }
            let adoption = Arc::new(adoption);
            for _ in 0..NUMBERS {
                let tenant = match &current {
                    Some(tenant) => Adoptee::Known(Arc::clone(tenant)),
                    None => {
                        let new = new_tenant(&adoption);
                        check(&new)?;
                        Adoptee::New(Box::new(new), directory.next_key().await?)
                    }
                };
                let (writing, adoption) = (Arc::clone(&directory), Arc::clone(&adoption));
                let written = directory
                    .db
                    .writer()
                    .submit(move |c| Box::pin(async move { writing.write_adoption(c, &adoption, tenant).await }));
                return Ok(match written.await {
                    Err(TenantsError::NumberTaken) => continue,
                    Err(error) => return Err(error),
                    Ok(None) => Adopted::Overtaken,
                    Ok(Some((tenant, version))) => {
                        let woken = tenant.is_active() && !was_active;
                        Adopted::Tenant { tenant: directory.show(tenant), version, woken, new }
                    }
                });
            }
            Err(TenantsError::NumberTaken)
        })
        .await
    }

    async fn write_adoption(
        &self,
        c: &mut SqliteConnection,
        adoption: &Adoption,
        adoptee: Adoptee,
    ) -> Result<Option<(Tenant, Option<i64>)>, TenantsError> {
        let now = self.clock.now();
        let settled = Settled { standing: Standing::Granted, verdict: Some("shop"), tenant: None, problem: None };
        if !account_rows::settle(c, &adoption.appid, adoption.work_no, settled, now).await? {
            return Ok(None);
        }
        let (mut tenant, before) = match adoptee {
            Adoptee::Known(tenant) => (Tenant::clone(&tenant), Some(tenant)),
            Adoptee::New(new, key) => (self.insert(c, Actor::System, (&new, &Allotment::default()), key).await?, None),
        };
        let revived = before.as_ref().is_some_and(|before| before.state.is_cured_by_tokens());
        if revived {
            tenant.state = TenantState::Active;
            custody::rows::forget_refusal(c, tenant.id).await?;
        }
        if adoption.user_name.is_some() {
            tenant.user_name.clone_from(&adoption.user_name);
        }
        if adoption.permission_sets.is_some() {
            tenant.permission_sets.clone_from(&adoption.permission_sets);
        }
        let same = |before: &Arc<Tenant>| {
            (&before.user_name, &before.permission_sets) == (&tenant.user_name, &tenant.permission_sets)
        };
        let changed = revived || !before.as_ref().is_some_and(same);
        if changed {
            tenant_rows::write(c, &self.vault, &tenant, now).await?;
        }
        let access = adoption.access.as_ref().map(|(token, life_s)| {
            let life_ms = life_s.max(&0).saturating_mul(1000);
            (token.clone(), now.saturating_add(life_ms))
        });
        let planted = Planted { access, refresh: adoption.refresh.clone() };
        let version = custody::rows::plant_authorization(c, &self.vault, tenant.id, planted, now).await?;
        // An answer that brought nothing new is no news to anybody: shops are asked about often.
        if changed || version.is_some() {
            let entry = Entry::new(Actor::System, Action::TenantAuthorized, tenant.id).about(tenant.id);
            let details = json!({"permission_sets": tenant.permission_sets, "revived": revived});
            audit::append(c, &self.vault, now, entry.with(details)).await?;
        }
        account_rows::set_tenant(c, &adoption.appid, tenant.id).await?;
        link_rows::finish(c, &adoption.appid, tenant.id, adoption.authorized_s, now).await?;
        Ok(Some((tenant, version)))
    }

    async fn settle_other(&self, adoption: Adoption, id: fangshi_database::TenantId) -> Result<(), TenantsError> {
        let now = self.clock.now();
        self.db
            .writer()
            .submit(move |c| {
                Box::pin(async move {
                    let settled = Settled {
                        standing: Standing::Granted,
                        verdict: Some("shop"),
                        tenant: Some(id),
                        problem: Some("the appid belongs to a tenant of another kind"),
                    };
                    if account_rows::settle(c, &adoption.appid, adoption.work_no, settled, now).await? {
                        link_rows::fail(c, &adoption.appid, "tenant-of-another-kind", now).await?;
                    }
                    Ok::<_, TenantsError>(())
                })
            })
            .await
    }
}

fn new_tenant(adoption: &Adoption) -> NewTenant {
    // Shown in lists and logs: nothing that breaks one.
    let name: String = adoption.name.chars().filter(|c| !c.is_control()).take(NAME).collect();
    let name = if name.trim().is_empty() { adoption.appid.clone() } else { name };
    NewTenant {
        platform: Platform::Weixin,
        appid: adoption.appid.clone(),
        user_name: adoption.user_name.clone(),
        name,
        credentials: Credentials::Authorized { access_token: None, expires_in: None, refresh_token: None },
    }
}
