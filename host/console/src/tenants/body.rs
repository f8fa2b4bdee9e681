//! What comes in about a tenant, and what of it can be used. Secrets go in here and come out nowhere.

use fangshi_lanes::Plans;
use fangshi_tenants::{
    Allotment, CallbackKeys, Credentials, NewTenant, Platform, StateChange, TenantKind, TenantPatch,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::limits;
use crate::refusal::Refusal;
use crate::secret::Secret;

/// A new tenant. Which members are needed depends on `kind`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantBody {
    /// "weixin" (the default).
    platform: Option<PlatformName>,
    /// "authorized": through the operator's third-party platform. "self-built": the shop's own application.
    kind: KindName,
    /// The shop's appid, wx….
    #[schema(min_length = 1)]
    appid: String,
    /// The shop's original id, gh_ and 1 to 64 letters, digits, `_` or `-`: pushes that name another are refused.
    #[schema(min_length = 1)]
    user_name: String,
    /// For people: 1 to 200 characters on one line.
    name: String,
    /// The name of a plan of the host's config; without one the tenant has what everybody has.
    plan: Option<String>,
    /// Limits of its own, which go before those of the plan.
    #[schema(schema_with = crate::limits::tenant_schema)]
    limits: Option<Map<String, Value>>,
    /// Only "authorized": a token at hand; without one it is fetched with the refresh token.
    access_token: Option<Secret>,
    /// Only with `access_token`: seconds it is still good for; 7200 if absent.
    access_token_expires_in: Option<i64>,
    /// Only "authorized": the refresh token of the shop's authorization.
    refresh_token: Option<Secret>,
    /// Only "self-built", and needed there.
    appsecret: Option<Secret>,
    /// Only "self-built", and needed there: signs the shop's callbacks.
    token: Option<Secret>,
    /// Only "self-built", and needed there: the EncodingAESKey of the shop's callbacks, 43 characters.
    encoding_aes_key: Option<Secret>,
    /// Only "self-built": the EncodingAESKey before the last change.
    previous_encoding_aes_key: Option<Secret>,
}

/// Changes of a tenant; absent members stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantChange {
    /// A new name.
    name: Option<String>,
    /// The shop's original id, as for a new tenant.
    user_name: Option<String>,
    /// Decodes of buyer data that may be asked of the platform in a day (Asia/Shanghai); 30 if never set.
    decode_budget: Option<u32>,
    /// The name of a plan of the host's config; "" for none.
    plan: Option<String>,
    /// The whole new limits of its own, which go before those of the plan.
    #[schema(schema_with = crate::limits::tenant_schema)]
    limits: Option<Map<String, Value>>,
    /// "suspended": callbacks are recorded, no runs, no calls. "active": back to work.
    state: Option<StateName>,
    /// Only with `state` "suspended": why, in a few words.
    reason: Option<String>,
    /// Only "authorized".
    access_token: Option<Secret>,
    /// Only with `access_token`: seconds it is still good for; 7200 if absent.
    access_token_expires_in: Option<i64>,
    /// Only "authorized".
    refresh_token: Option<Secret>,
    /// Only "self-built".
    appsecret: Option<Secret>,
    /// Only "self-built".
    token: Option<Secret>,
    /// Only "self-built"; the key before becomes the previous one.
    encoding_aes_key: Option<Secret>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum PlatformName {
    Weixin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum KindName {
    Authorized,
    SelfBuilt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = TenantState)]
enum StateName {
    Active,
    Suspended,
}

/// Confirms a deletion.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeletionQuery {
    /// The appid of the tenant, once more.
    pub(super) appid: String,
}

pub(super) fn new_tenant(body: TenantBody) -> Result<NewTenant, Refusal> {
    let PlatformName::Weixin = body.platform.unwrap_or(PlatformName::Weixin);
    let credentials = match body.kind {
        KindName::Authorized => {
            foreign(
                "authorized",
                &[
                    ("appsecret", body.appsecret.is_some()),
                    ("token", body.token.is_some()),
                    ("encoding_aes_key", body.encoding_aes_key.is_some()),
                    ("previous_encoding_aes_key", body.previous_encoding_aes_key.is_some()),
                ],
            )?;
            let expires_in = expires_in(body.access_token_expires_in, body.access_token.is_some())?;
            Credentials::Authorized {
                access_token: body.access_token.map(|secret| secret.0),
                expires_in,
                refresh_token: body.refresh_token.map(|secret| secret.0),
            }
        }
        KindName::SelfBuilt => {
            foreign(
                "self-built",
                &[
                    ("access_token", body.access_token.is_some()),
                    ("access_token_expires_in", body.access_token_expires_in.is_some()),
                    ("refresh_token", body.refresh_token.is_some()),
                ],
            )?;
            Credentials::SelfBuilt {
                appsecret: needed("appsecret", body.appsecret)?,
                callback: CallbackKeys {
                    token: needed("token", body.token)?,
                    encoding_aes_key: aes_key("encoding_aes_key", needed("encoding_aes_key", body.encoding_aes_key)?)?,
                    previous_encoding_aes_key: body
                        .previous_encoding_aes_key
                        .map(|secret| aes_key("previous_encoding_aes_key", secret.0))
                        .transpose()?,
                },
            }
        }
    };
    Ok(NewTenant {
        platform: Platform::Weixin,
        appid: body.appid,
        user_name: Some(body.user_name),
        name: body.name,
        credentials,
    })
}

/// A wrong key would refuse every push of the shop later: it is refused here.
fn aes_key(member: &'static str, key: SecretString) -> Result<SecretString, Refusal> {
    let text = key.expose_secret();
    if text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')) {
        return Ok(key);
    }
    Err(Refusal::invalid(
        "invalid-member",
        format!("`{member}` is no EncodingAESKey"),
        "copy the 43 letters and digits from the shop's console: 服务市场 › 经营工具 › 自研 › 消息推送",
    ))
}

/// What a new tenant is given of limits; nothing if it has what everybody has.
pub(super) fn allotted(body: &mut TenantBody, plans: &Plans) -> Result<Allotment, Refusal> {
    let plan = body.plan.take().map(|plan| limits::plan(plans, plan)).transpose()?.flatten();
    let limits = body.limits.take().map(limits::of_tenant).transpose()?;
    Ok(Allotment { plan, limits })
}

pub(super) fn tenant_patch(body: TenantChange, kind: TenantKind, plans: &Plans) -> Result<TenantPatch, Refusal> {
    let authorized = [
        ("access_token", body.access_token.is_some()),
        ("access_token_expires_in", body.access_token_expires_in.is_some()),
        ("refresh_token", body.refresh_token.is_some()),
    ];
    let self_built = [
        ("appsecret", body.appsecret.is_some()),
        ("token", body.token.is_some()),
        ("encoding_aes_key", body.encoding_aes_key.is_some()),
    ];
    match kind {
        TenantKind::Authorized => foreign("authorized", &self_built)?,
        TenantKind::SelfBuilt => foreign("self-built", &authorized)?,
        TenantKind::CardShop => foreign("card-shop", &[authorized, self_built].concat())?,
    }
    let expires_in = expires_in(body.access_token_expires_in, body.access_token.is_some())?;
    let state = match (body.state, body.reason) {
        (None, None) => None,
        (Some(StateName::Active), None) => Some(StateChange::Active),
        (Some(StateName::Suspended), reason) => {
            Some(StateChange::Suspended { reason: reason.unwrap_or_else(|| "operator".to_owned()) })
        }
        (_, Some(_)) => return Err(invalid("reason", "is only for `state` \"suspended\"")),
    };
    Ok(TenantPatch {
        name: body.name,
        user_name: body.user_name,
        decode_budget: body.decode_budget,
        plan: body.plan.map(|plan| limits::plan(plans, plan)).transpose()?,
        limits: body.limits.map(limits::of_tenant).transpose()?,
        state,
        access_token: body.access_token.map(|secret| (secret.0, expires_in)),
        refresh_token: body.refresh_token.map(|secret| secret.0),
        appsecret: body.appsecret.map(|secret| secret.0),
        token: body.token.map(|secret| secret.0),
        encoding_aes_key: body.encoding_aes_key.map(|secret| aes_key("encoding_aes_key", secret.0)).transpose()?,
    })
}

/// Refuses members that belong to another kind: they would be dropped in silence.
fn foreign(kind: &str, members: &[(&str, bool)]) -> Result<(), Refusal> {
    match members.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((member, _)) => Err(invalid(member, &format!("is not for tenants of kind {kind}"))),
    }
}

fn needed(member: &str, secret: Option<Secret>) -> Result<secrecy::SecretString, Refusal> {
    secret.map(|secret| secret.0).ok_or_else(|| invalid(member, "is needed for tenants of kind self-built"))
}

fn expires_in(seconds: Option<i64>, with_token: bool) -> Result<Option<i64>, Refusal> {
    match seconds {
        Some(_) if !with_token => Err(invalid("access_token_expires_in", "is only for `access_token`")),
        Some(seconds) if !(0..=86_400).contains(&seconds) => {
            Err(invalid("access_token_expires_in", "must be 0 to 86400 seconds"))
        }
        given => Ok(given),
    }
}

pub(super) fn invalid(member: &str, problem: &str) -> Refusal {
    Refusal::invalid(
        "invalid-body",
        format!("member `{member}` {problem}"),
        "the members of each body are in /api/v1/openapi.json",
    )
}
