//! What is shown of a tenant: never a secret.

use fangshi_tenants::{Tenant, TenantState};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::Console;
use crate::permission;
use crate::refusal::Refusal;

/// One merchant's shop on one platform. Secrets are never shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub(crate) struct TenantView {
    /// t1.
    id: String,
    /// weixin.
    platform: String,
    /// authorized or self-built.
    kind: String,
    /// The shop's appid.
    appid: String,
    /// The shop's original id.
    user_name: Option<String>,
    /// For people.
    name: String,
    /// active, suspended or revoked (the merchant took the authorization back).
    state: String,
    /// Of a suspended one: why.
    suspended_reason: Option<String>,
    /// Of a suspended one: since when, unix milliseconds.
    suspended_at: Option<i64>,
    /// Of a suspended or revoked one: what a person is to do.
    what_to_do: Option<WhatToDoView>,
    /// What a person should mend though everything works.
    warnings: Vec<WarningView>,
    /// The name of its plan; null: what everybody has.
    plan: Option<String>,
    /// Limits of its own.
    #[schema(schema_with = crate::limits::tenant_schema)]
    limits: Value,
    /// What it has of each limit, by its own figures, its plan's and everybody's.
    #[schema(schema_with = crate::limits::tenant_schema)]
    effective_limits: Value,
    /// Decodes of buyer data today.
    decodes: DecodesView,
    /// Of a revoked one, whose merchant took the authorization back: how that became known.
    revoked_reason: Option<String>,
    /// Of a revoked one: since when, unix milliseconds.
    revoked_at: Option<i64>,
    /// The permission sets that the merchant granted; null if unknown: self-built, or moved in from another system.
    permission_sets: Option<Vec<u16>>,
    /// Installations that use operations whose permission set the shop does not grant (any more): these are refused.
    permissions_lacking: Vec<LackView>,
    /// Unix milliseconds.
    created_at: i64,
    /// Where the platform sends this shop's messages.
    callback_path: String,
    /// Callbacks that were refused. A wrong clock or a wrong `user_name` shows here.
    refusals: Vec<RefusalCount>,
}

/// What an installation was approved with and the shop does not grant (any more).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PermissionsLacking)]
pub(crate) struct LackView {
    /// i1.
    installation: String,
    /// The permission set.
    permission_set: u16,
    /// The platform's names of the operations that need it.
    operations: Vec<&'static str>,
}

/// What a person is to do about a tenant's state.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WhatToDo)]
pub(crate) struct WhatToDoView {
    /// In Chinese.
    zh: String,
    /// In English.
    en: String,
}

/// What a person should mend about a tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TenantWarning)]
pub(crate) struct WarningView {
    /// no-user-name: another shop's push would be taken for this one's.
    code: &'static str,
    /// What to do, in Chinese.
    zh: &'static str,
    /// The same in English.
    en: &'static str,
}

/// A tenant's decodes of buyer data today (Asia/Shanghai). Answers served from what was kept are not counted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Decodes)]
pub(crate) struct DecodesView {
    /// How many a day.
    budget: u32,
    /// How many were asked of the platform today.
    used: u32,
    /// How many are left today.
    left: u32,
    /// When the next day begins, unix milliseconds.
    next_day_at: i64,
}

/// A deletion that has begun.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Deletion)]
pub(crate) struct DeletionView {
    /// t1.
    pub(super) id: String,
    /// deleted: nothing of it can be read any more; what is left of its rows goes in the background.
    pub(super) state: String,
}

/// How often callbacks were refused for one reason.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RefusalCount {
    /// The reason's code.
    reason: String,
    /// How often.
    count: i64,
    /// The last time, unix milliseconds.
    last_at: i64,
}

impl From<fangshi_tenants::Refusal> for RefusalCount {
    fn from(refusal: fangshi_tenants::Refusal) -> RefusalCount {
        RefusalCount { reason: refusal.reason, count: refusal.count, last_at: refusal.last_at }
    }
}

const NO_USER_NAME: WarningView = WarningView {
    code: "no-user-name",
    zh: "未设置原始 ID（user_name，gh_…），无法核对推送的收件店铺：发给其他店铺的推送若被转发到本店地址，也会被当作本店事件。请用 PATCH 设置 user_name。",
    en: "There is no user_name (gh_…) to hold a push's receiver against: a push to another shop that is sent on to this \
         shop's address is taken for its own. PATCH the user_name.",
};

pub(super) async fn view(console: &Console, tenant: &Tenant) -> Result<TenantView, Refusal> {
    let refusals = console.tenants.refusals(tenant.id).await;
    let refusals = refusals.map_err(|error| Refusal::fault("reading refusals", &error))?;
    let usage = console.tenants.decodes().usage(tenant.id).await;
    let usage = usage.map_err(|error| Refusal::fault("reading decodes", &error))?;
    let lacks = permission::lacks(console, tenant).await;
    let lacks = lacks.map_err(|error| Refusal::fault("reading installations", &error))?;
    let because = || tenant.state.because().map(|(reason, since)| (reason.to_owned(), since));
    let (suspended, revoked) = match &tenant.state {
        TenantState::Active => (None, None),
        TenantState::Suspended { .. } => (because(), None),
        TenantState::Revoked { .. } => (None, because()),
    };
    let (suspended_reason, suspended_at) = suspended.unzip();
    let (revoked_reason, revoked_at) = revoked.unzip();
    Ok(TenantView {
        id: tenant.id.to_string(),
        platform: tenant.platform.to_string(),
        kind: tenant.kind.to_string(),
        appid: tenant.appid.clone(),
        user_name: tenant.user_name.clone(),
        name: tenant.name.clone(),
        state: tenant.state.code().to_owned(),
        suspended_reason,
        suspended_at,
        revoked_reason,
        revoked_at,
        permission_sets: tenant.permission_sets.as_ref().map(|sets| sets.iter().copied().collect()),
        permissions_lacking: lacks
            .into_iter()
            .flat_map(|lack| {
                let installation = lack.installation.to_string();
                lack.sets.into_iter().map(move |(permission_set, operations)| LackView {
                    installation: installation.clone(),
                    permission_set,
                    operations,
                })
            })
            .collect(),
        what_to_do: tenant.what_to_do().map(|text| WhatToDoView { zh: text.zh.to_owned(), en: text.en.to_owned() }),
        warnings: tenant.is_unbound().then_some(NO_USER_NAME).into_iter().collect(),
        plan: tenant.plan.clone(),
        limits: (*tenant.limits).clone(),
        effective_limits: crate::limits::of(console, tenant).all(),
        decodes: DecodesView { budget: usage.budget, used: usage.used, left: usage.left(), next_day_at: usage.until },
        created_at: tenant.created_at,
        callback_path: format!("/callback/{}/{}", tenant.platform, tenant.appid),
        refusals: refusals.into_iter().map(RefusalCount::from).collect(),
    })
}
