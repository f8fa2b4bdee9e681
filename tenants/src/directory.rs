//! The directory: every tenant in memory, and the steps that change one.
//!
//! A change is written first and shown after its commit. Changes go one at a time; lookups never wait for them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use fangshi_database::{Clock, Database, TenantId};
use secrecy::ExposeSecret;
use serde_json::json;
use sqlx::SqliteConnection;
use tokio::sync::Mutex;

use crate::audit::{self, Action, Actor, Entry};
use crate::custody::rows as token_rows;
use crate::custody::{Planted, TOKEN_LIFE_S};
use crate::tenant::{
    Allotment, Credentials, NewTenant, Platform, StateChange, SuspendedBy, Tenant, TenantPatch, TenantState,
};
use crate::to_the_end::to_the_end;
use crate::vault::NewKey;
use crate::{CallbackKeys, DECODES_A_DAY, Deletion, ErasedList, KeyWrap, TenantsError, Vault, life, tenant_rows};

/// Attempts at a number for a new tenant that other processes want as well.
pub(crate) const NUMBERS: u32 = 16;

pub(crate) struct Directory {
    pub(crate) db: Database,
    pub(crate) vault: Vault,
    pub(crate) clock: Clock,
    kek: Arc<dyn KeyWrap>,
    listed: ArcSwap<Listed>,
    pub(crate) changing: Mutex<()>,
}

/// Whose word a deletion is.
pub(crate) enum Order {
    /// Of now, to be written into this list before it is carried out.
    New(Option<ErasedList>),
    /// Of a list, at that time, unix ms.
    Again(i64),
}

#[derive(Default, Clone)]
struct Listed {
    by_id: BTreeMap<TenantId, Arc<Tenant>>,
    /// WeChat Store's appids: the routes of its callbacks.
    by_appid: HashMap<String, Arc<Tenant>>,
}

impl Listed {
    fn put(&mut self, tenant: Arc<Tenant>) {
        match tenant.platform {
            Platform::Weixin => self.by_appid.insert(tenant.appid.clone(), Arc::clone(&tenant)),
        };
        self.by_id.insert(tenant.id, tenant);
    }
}

impl Directory {
    pub(crate) async fn load(
        db: Database,
        kek: Arc<dyn KeyWrap>,
        vault: Vault,
        clock: Clock,
    ) -> Result<Directory, TenantsError> {
        let mut listed = Listed::default();
        for tenant in tenant_rows::all(db.reader(), &vault).await? {
            listed.put(Arc::new(tenant));
        }
        Ok(Directory { db, vault, clock, kek, listed: ArcSwap::from_pointee(listed), changing: Mutex::new(()) })
    }

    pub(crate) fn by_appid(&self, appid: &str) -> Option<Arc<Tenant>> {
        self.listed.load().by_appid.get(appid).cloned()
    }

    pub(crate) fn get(&self, id: TenantId) -> Option<Arc<Tenant>> {
        self.listed.load().by_id.get(&id).cloned()
    }

    pub(crate) fn list(&self, after: Option<TenantId>, limit: usize) -> Vec<Arc<Tenant>> {
        let from = TenantId(after.map_or(0, |id| id.0).saturating_add(1));
        self.listed.load().by_id.range(from..).take(limit).map(|(_, tenant)| Arc::clone(tenant)).collect()
    }

    /// Makes a tenant with its data key and its tokens, all at once.
    pub(crate) async fn create(
        self: &Arc<Self>,
        actor: Actor,
        new: NewTenant,
        allotted: Allotment,
    ) -> Result<Arc<Tenant>, TenantsError> {
        check(&new)?;
        check_allotted(allotted.plan.as_deref(), allotted.limits.as_ref())?;
        let directory = Arc::clone(self);
        to_the_end(async move {
            let _changing = directory.changing.lock().await;
            // Wrapped before the write, which must not wait for a KMS: for the number that comes next, once more if
            // another process took it.
            let new = Arc::new((new, allotted));
            for _ in 0..NUMBERS {
                let key = directory.next_key().await?;
                let (writing, new) = (Arc::clone(&directory), Arc::clone(&new));
                let written = directory
                    .db
                    .writer()
                    .submit(move |c| Box::pin(async move { writing.insert(c, actor, (&new.0, &new.1), key).await }));
                match written.await {
                    Err(TenantsError::NumberTaken) => {}
                    outcome => return Ok(directory.show(outcome?)),
                }
            }
            Err(TenantsError::NumberTaken)
        })
        .await
    }

    /// A data key for the tenant that comes next. Made before the write, which must not wait for a KMS; if another process
    /// takes the number, [`Directory::insert`] says so.
    pub(crate) async fn next_key(&self) -> Result<NewKey, TenantsError> {
        let id = tenant_rows::next(self.db.reader()).await?;
        self.vault.new_key(&self.kek, id).await
    }

    pub(crate) async fn insert(
        &self,
        c: &mut SqliteConnection,
        actor: Actor,
        (new, allotted): (&NewTenant, &Allotment),
        key: NewKey,
    ) -> Result<Tenant, TenantsError> {
        let now = self.clock.now();
        let id = tenant_rows::claim(c, new, now).await?;
        if id != key.tenant() {
            return Err(TenantsError::NumberTaken);
        }
        self.vault.keep_key(c, key, now).await?;
        let kind = new.credentials.kind();
        let (appsecret, callback_keys, planted) = unfold(&new.credentials, now);
        let tenant = Tenant {
            id,
            platform: new.platform,
            kind,
            appid: new.appid.clone(),
            user_name: new.user_name.clone(),
            name: new.name.clone(),
            state: TenantState::Active,
            permission_sets: None,
            created_at: now,
            decode_budget: DECODES_A_DAY,
            plan: allotted.plan.clone(),
            limits: Arc::new(allotted.limits.clone().unwrap_or_else(|| json!({}))),
            callback_keys,
            appsecret,
        };
        tenant_rows::write(c, &self.vault, &tenant, now).await?;
        token_rows::plant(c, &self.vault, id, planted, now).await?;
        let entry = Entry::new(actor, Action::TenantCreated, id).about(id);
        let mut details = json!({"kind": tenant.kind, "appid": tenant.appid, "name": tenant.name});
        if allotted.plan.is_some() || allotted.limits.is_some() {
            details["plan"] = json!(tenant.plan);
            details["limits"] = (*tenant.limits).clone();
        }
        audit::append(c, &self.vault, now, entry.with(details)).await?;
        Ok(tenant)
    }

    /// Changes a tenant, its tokens included, all at once; gives the version of a new token too.
    pub(crate) async fn update(
        self: &Arc<Self>,
        actor: Actor,
        id: TenantId,
        patch: TenantPatch,
    ) -> Result<(Arc<Tenant>, Option<i64>), TenantsError> {
        let directory = Arc::clone(self);
        to_the_end(async move {
            let _changing = directory.changing.lock().await;
            let current = directory.get(id).ok_or(TenantsError::Unknown(id))?;
            let now = directory.clock.now();
            let reset = patch.state == Some(StateChange::Active);
            let changed = changed_members(&patch);
            let (tenant, planted) = patched(&current, patch, now)?;
            let vault = directory.vault.clone();
            let written = directory.db.writer().submit(move |c| {
                Box::pin(async move {
                    tenant_rows::write(c, &vault, &tenant, now).await?;
                    if reset {
                        token_rows::forget_refusal(c, id).await?;
                    }
                    let version = token_rows::plant(c, &vault, id, planted, now).await?;
                    audit::append(c, &vault, now, change_entry(actor, &current, &tenant, &changed)).await?;
                    Ok::<_, TenantsError>((tenant, version))
                })
            });
            let (tenant, version) = written.await?;
            Ok((directory.show(tenant), version))
        })
        .await
    }

    /// Begins the deletion of a tenant that is not active, or carries one out once more, whatever the tenant is now. `appid`
    /// must name it.
    pub(crate) async fn delete(
        self: &Arc<Self>,
        actor: Actor,
        id: TenantId,
        appid: &str,
        order: Order,
    ) -> Result<(), TenantsError> {
        let (directory, appid) = (Arc::clone(self), appid.to_owned());
        to_the_end(async move {
            let _changing = directory.changing.lock().await;
            let current = directory.get(id).ok_or(TenantsError::Unknown(id))?;
            if current.appid != appid {
                return Err(invalid("appid", "does not name this tenant: repeat its appid to confirm the deletion"));
            }
            let now = directory.clock.now();
            let at = match order {
                Order::New(_) if current.is_active() => return Err(TenantsError::StillActive(id)),
                Order::New(list) => {
                    // Nothing but the store's own refusal can hinder it from here on.
                    let intended = Deletion { tenant: id, appid, at: now };
                    if let Some(list) = list {
                        list.apart(move |list| list.intend(&intended)).await?;
                    }
                    now
                }
                Order::Again(at) => at,
            };
            let vault = directory.vault.clone();
            let destroyed = directory.db.writer().submit(move |c| {
                Box::pin(async move {
                    let entry = Entry::new(actor, Action::TenantDeleted, id).about(id);
                    audit::append(c, &vault, now, entry).await?;
                    life::destroy(c, id, at).await
                })
            });
            destroyed.await?;
            directory.vault.forget(id);
            directory.listed.rcu(|listed| {
                let mut listed = Listed::clone(listed);
                listed.by_id.remove(&id);
                listed.by_appid.retain(|_, tenant| tenant.id != id);
                listed
            });
            Ok(())
        })
        .await
    }

    pub(crate) fn show(&self, tenant: Tenant) -> Arc<Tenant> {
        let tenant = Arc::new(tenant);
        self.listed.rcu(|listed| {
            let mut listed = Listed::clone(listed);
            listed.put(Arc::clone(&tenant));
            listed
        });
        tenant
    }
}

type Secrets = Option<secrecy::SecretString>;

fn unfold(credentials: &Credentials, now: i64) -> (Secrets, Option<CallbackKeys>, Planted) {
    match credentials {
        Credentials::Authorized { access_token, expires_in, refresh_token } => {
            (None, None, planted(access_token.clone(), *expires_in, refresh_token.clone(), now))
        }
        Credentials::SelfBuilt { appsecret, callback } => {
            (Some(appsecret.clone()), Some(callback.clone()), Planted::default())
        }
        Credentials::CardShop => (None, None, Planted::default()),
    }
}

fn planted(access: Secrets, expires_in: Option<i64>, refresh: Secrets, now: i64) -> Planted {
    let life = expires_in.unwrap_or(TOKEN_LIFE_S).max(0).saturating_mul(1000);
    Planted { access: access.map(|token| (token, now.saturating_add(life))), refresh }
}

pub(crate) fn check(new: &NewTenant) -> Result<(), TenantsError> {
    let usable = |text: &str| !text.is_empty() && text.len() <= 128 && text.bytes().all(|b| b.is_ascii_graphic());
    // `component` is the platform's own address among the callbacks; `$APPID$` and paths are slips of the pen.
    if !new.appid.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        || new.appid == "component"
        || !usable(&new.appid)
    {
        return Err(invalid("appid", "is no appid: expected letters and digits, as the platform shows it"));
    }
    new.user_name.as_deref().map_or(Ok(()), check_user_name)?;
    check_text("name", &new.name)
}

/// Pushes that name another shop are refused, so a slip here loses every event of the tenant.
fn check_user_name(name: &str) -> Result<(), TenantsError> {
    let rest = name.strip_prefix("gh_").unwrap_or_default();
    if (1..=64).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
        return Ok(());
    }
    Err(invalid("user_name", "is no original id: expected gh_ and 1 to 64 letters, digits, `_` or `-`"))
}

/// A line for people: shown in lists and logs, so nothing that breaks one.
fn check_text(member: &'static str, text: &str) -> Result<(), TenantsError> {
    if !(1..=200).contains(&text.chars().count()) || text.trim().is_empty() {
        return Err(invalid(member, "must have 1 to 200 characters, not all blank"));
    }
    if text.chars().any(char::is_control) {
        return Err(invalid(member, "must have no control characters, such as line breaks"));
    }
    Ok(())
}

/// What stands in a plan's name and in a tenant's own limits; whether they mean anything is the config's matter.
fn check_allotted(plan: Option<&str>, limits: Option<&serde_json::Value>) -> Result<(), TenantsError> {
    plan.map_or(Ok(()), |plan| check_text("plan", plan))?;
    let numbers = |limits: &serde_json::Value| {
        limits.as_object().is_some_and(|limits| limits.values().all(serde_json::Value::is_u64))
    };
    match limits.is_none_or(numbers) {
        true => Ok(()),
        false => Err(invalid("limits", "must be a JSON object of numbers")),
    }
}

fn invalid(member: &'static str, problem: &str) -> TenantsError {
    TenantsError::Invalid { member, problem: problem.to_owned() }
}

/// The names of what a patch changes; its values may be secrets.
fn changed_members(patch: &TenantPatch) -> Vec<&'static str> {
    let members = [
        ("name", patch.name.is_some()),
        ("user_name", patch.user_name.is_some()),
        ("decode_budget", patch.decode_budget.is_some()),
        ("plan", patch.plan.is_some()),
        ("limits", patch.limits.is_some()),
        ("state", patch.state.is_some()),
        ("access_token", patch.access_token.is_some()),
        ("refresh_token", patch.refresh_token.is_some()),
        ("appsecret", patch.appsecret.is_some()),
        ("token", patch.token.is_some()),
        ("encoding_aes_key", patch.encoding_aes_key.is_some()),
    ];
    members.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
}

fn change_entry(actor: Actor, before: &Tenant, after: &Tenant, changed: &[&str]) -> Entry {
    let (action, reason) = match (&before.state, &after.state) {
        (now, then) if now == then => (Action::TenantChanged, None),
        (_, TenantState::Suspended { reason, .. }) => (Action::TenantSuspended, Some(reason)),
        (_, TenantState::Revoked { reason, .. }) => (Action::TenantRevoked, Some(reason)),
        (_, TenantState::Active) => (Action::TenantResumed, None),
    };
    let mut details = json!({"changed": changed, "reason": reason});
    if changed.iter().any(|name| matches!(*name, "plan" | "limits")) {
        details["plan"] = json!(after.plan);
        details["limits"] = (*after.limits).clone();
    }
    Entry::new(actor, action, after.id).about(after.id).with(details)
}

/// The tenant after a patch. Secrets of another kind of tenant are refused, not ignored.
fn patched(current: &Tenant, patch: TenantPatch, now: i64) -> Result<(Tenant, Planted), TenantsError> {
    let mut tenant = current.clone();
    if let Some(name) = patch.name {
        check_text("name", &name)?;
        tenant.name = name;
    }
    if let Some(budget) = patch.decode_budget {
        tenant.decode_budget = budget;
    }
    check_allotted(patch.plan.as_ref().and_then(Option::as_deref), patch.limits.as_ref())?;
    if let Some(plan) = patch.plan {
        tenant.plan = plan;
    }
    if let Some(limits) = patch.limits {
        tenant.limits = Arc::new(limits);
    }
    if let Some(user_name) = patch.user_name {
        check_user_name(&user_name)?;
        tenant.user_name = Some(user_name);
    }
    match patch.state {
        // What a refused refresh token or a revocation caused, a new one cures.
        None if patch.refresh_token.is_some() && tenant.state.is_cured_by_tokens() => {
            tenant.state = TenantState::Active
        }
        None => {}
        Some(StateChange::Active) => tenant.state = TenantState::Active,
        Some(StateChange::Suspended { reason }) => {
            check_text("reason", &reason)?;
            tenant.state = TenantState::Suspended { by: SuspendedBy::Operator, reason, since: now };
        }
        Some(StateChange::Revoked { reason }) => {
            check_text("reason", &reason)?;
            tenant.state = TenantState::Revoked { reason, since: now };
        }
    }

    let authorized = tenant.kind == crate::TenantKind::Authorized;
    if !authorized && (patch.access_token.is_some() || patch.refresh_token.is_some()) {
        return Err(invalid("refresh_token", "belongs to authorized tenants only"));
    }
    let (access, expires_in) = patch.access_token.map_or((None, None), |(token, life)| (Some(token), life));
    let planted = planted(access, expires_in, patch.refresh_token, now);

    if let Some(appsecret) = patch.appsecret {
        if tenant.appsecret.is_none() {
            return Err(invalid("appsecret", "belongs to self-built tenants only"));
        }
        tenant.appsecret = Some(appsecret);
    }
    if patch.token.is_some() || patch.encoding_aes_key.is_some() {
        let keys = tenant
            .callback_keys
            .as_mut()
            .ok_or_else(|| invalid("encoding_aes_key", "and `token` belong to self-built tenants only"))?;
        if let Some(token) = patch.token {
            keys.token = token;
        }
        // The same key again is a repeated request: the previous one stays good.
        if let Some(key) = patch.encoding_aes_key
            && key.expose_secret() != keys.encoding_aes_key.expose_secret()
        {
            keys.previous_encoding_aes_key = Some(std::mem::replace(&mut keys.encoding_aes_key, key));
        }
    }
    Ok((tenant, planted))
}
