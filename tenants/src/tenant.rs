//! A tenant: one merchant's shop on one platform.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use fangshi_database::TenantId;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// Where the shop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Platform {
    /// WeChat Store (微信小店).
    Weixin,
}

/// How the host reaches the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TenantKind {
    /// Through the operator's component, with an `authorizer_access_token`.
    Authorized,
    /// 自研: the shop's own appid, secret, token and AES key.
    SelfBuilt,
    /// A card-shop site.
    CardShop,
}

/// Whether plugins work for the tenant. Its callbacks are recorded in every state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum TenantState {
    /// As usual.
    Active,
    /// No runs, no calls.
    Suspended {
        /// Who did it, and so what undoes it.
        by: SuspendedBy,
        /// Why, in a code or a few words.
        reason: String,
        /// Since when, unix ms.
        since: i64,
    },
    /// The merchant took the authorization back: no runs, no calls, and the data goes after the time of [`Retention`].
    ///
    /// [`Retention`]: crate::Retention
    Revoked {
        /// Why, in a code or a few words.
        reason: String,
        /// Since when, unix ms.
        since: i64,
    },
}

/// Who suspended a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SuspendedBy {
    /// The operator, who alone ends it.
    Operator,
    /// The platform, which refuses the refresh token: a new authorization ends it.
    Platform,
}

/// What a person is to do about a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WhatToDo {
    /// In Chinese.
    pub zh: &'static str,
    /// In English.
    pub en: &'static str,
}

impl TenantState {
    /// Its code in SQL and in the admin API.
    pub fn code(&self) -> &'static str {
        match self {
            TenantState::Active => "active",
            TenantState::Suspended { .. } => "suspended",
            TenantState::Revoked { .. } => "revoked",
        }
    }

    /// Why, and since when (unix ms); none for an active tenant.
    pub fn because(&self) -> Option<(&str, i64)> {
        match self {
            TenantState::Active => None,
            TenantState::Suspended { reason, since, .. } | TenantState::Revoked { reason, since } => {
                Some((reason, *since))
            }
        }
    }

    /// Whether new tokens bring the tenant back to work: it lacks nothing else.
    pub(crate) fn is_cured_by_tokens(&self) -> bool {
        match self {
            TenantState::Active | TenantState::Suspended { by: SuspendedBy::Operator, .. } => false,
            TenantState::Suspended { by: SuspendedBy::Platform, .. } | TenantState::Revoked { .. } => true,
        }
    }

    /// What a person is to do so that plugins of a tenant of this kind work again; none for an active tenant.
    fn what_to_do(&self, kind: TenantKind) -> Option<WhatToDo> {
        let is_authorized = kind == TenantKind::Authorized;
        match self {
            TenantState::Active => None,
            TenantState::Suspended { by: SuspendedBy::Platform, .. } if is_authorized => Some(WhatToDo {
                zh: "微信拒绝了刷新令牌。可先将状态改为 active，宿主会用保存的令牌再试一次；若仍被拒绝，请发送新的授权链接（POST /api/v1/authorizations），商家重新授权后插件将自动恢复。期间的回调已记录。",
                en: "The platform refuses the refresh token. Set the state to active first: the token that is kept is tried \
                     once more. If it is refused again, send the merchant a new link (POST /api/v1/authorizations): once the \
                     shop is authorized again, plugins go on by themselves. The callbacks of the meantime are recorded.",
            }),
            TenantState::Suspended { by: SuspendedBy::Platform, .. } => Some(WhatToDo {
                zh: "微信拒绝了店铺自己的凭证。请核对 appid，必要时用 PATCH 更新 appsecret，然后将状态改为 active，宿主会再试一次。期间的回调已记录。",
                en: "The platform refuses the shop's own credentials. Check the appid, PATCH the appsecret if it changed, and \
                     set the state to active: they are tried once more. The callbacks of the meantime are recorded.",
            }),
            TenantState::Suspended { by: SuspendedBy::Operator, .. } => Some(WhatToDo {
                zh: "已由运营方暂停。处理原因后将状态改为 active 即可恢复；期间的回调已记录。",
                en: "Suspended by the operator. Settle the reason and set the state to active: the callbacks of the meantime \
                     are recorded.",
            }),
            TenantState::Revoked { .. } if !is_authorized => Some(WhatToDo {
                zh: "微信不再向该店铺自己的应用提供服务。请商家在微信后台恢复应用的权限，然后将状态改为 active；否则数据将按保留设置删除，也可先导出后立即删除。",
                en: "The platform no longer serves the shop's own application. Let the merchant restore its rights there and \
                     set the state to active; otherwise the data is deleted after the retention setting, or now, after an export \
                     if one is wanted.",
            }),
            TenantState::Revoked { .. } => Some(WhatToDo {
                zh: "商家已取消授权。可发送新的授权链接（POST /api/v1/authorizations）请商家重新授权；否则数据将按保留设置删除，也可先导出后立即删除。",
                en: "The merchant took the authorization back. Send a new link (POST /api/v1/authorizations) if the shop \
                     shall come back; otherwise the data is deleted after the retention setting, or now, after an export if one is wanted.",
            }),
        }
    }
}

/// What protects the callbacks of one address: the component's (from the config) or a self-built tenant's.
#[derive(Debug, Clone)]
pub struct CallbackKeys {
    /// Signs the callbacks.
    pub token: SecretString,
    /// EncodingAESKey, 43 characters, as the platform's console shows it.
    pub encoding_aes_key: SecretString,
    /// The EncodingAESKey before the last change: callbacks under way still use it.
    pub previous_encoding_aes_key: Option<SecretString>,
}

/// One merchant's shop on one platform. A snapshot: ask the directory again for the current one.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Where the shop is.
    pub platform: Platform,
    /// How the host reaches it.
    pub kind: TenantKind,
    /// The shop's appid.
    pub appid: String,
    /// The shop's original id (`gh_…`), to which pushes are addressed.
    pub user_name: Option<String>,
    /// The name people know it by.
    pub name: String,
    /// Active, suspended or revoked.
    pub state: TenantState,
    /// The permission sets that the merchant granted (platform page 2.5); `None` if nobody told: self-built, or moved in.
    pub permission_sets: Option<BTreeSet<u16>>,
    /// When it was made, unix ms.
    pub created_at: i64,
    /// How many decodes a day may be asked of the platform.
    pub decode_budget: u32,
    /// The name of its plan in the operator's config; `None`: what everybody has.
    pub plan: Option<String>,
    /// Its own limits by name, which go before those of the plan: a JSON object of numbers.
    pub limits: Arc<serde_json::Value>,
    pub(crate) callback_keys: Option<CallbackKeys>,
    pub(crate) appsecret: Option<SecretString>,
}

impl Tenant {
    /// The callback secrets of a self-built tenant; `None` for the others.
    pub fn callback_keys(&self) -> Option<&CallbackKeys> {
        self.callback_keys.as_ref()
    }

    /// Whether the shop grants this permission set, as far as anybody knows: of self-built shops, and of those moved in from
    /// another system, the platform itself will tell.
    pub fn grants(&self, permission_set: u16) -> bool {
        self.permission_sets.as_ref().is_none_or(|granted| granted.contains(&permission_set))
    }

    /// What a person is to do so that its plugins work again; none for an active tenant.
    pub fn what_to_do(&self) -> Option<WhatToDo> {
        self.state.what_to_do(self.kind)
    }

    /// Whether another shop's push would be taken for this one's: pushes to all shops of the component are signed and closed
    /// with its keys, and without a `user_name` there is nothing to hold a push's `ToUserName` against.
    pub fn is_unbound(&self) -> bool {
        self.kind == TenantKind::Authorized && self.user_name.is_none()
    }

    /// True unless suspended or revoked.
    pub fn is_active(&self) -> bool {
        self.state == TenantState::Active
    }
}

/// A tenant to make.
#[derive(Debug)]
pub struct NewTenant {
    /// Where the shop is.
    pub platform: Platform,
    /// The shop's appid; unique on its platform.
    pub appid: String,
    /// The shop's original id (`gh_…`), if known.
    pub user_name: Option<String>,
    /// The name people know it by.
    pub name: String,
    /// Its kind, with the secrets of that kind.
    pub credentials: Credentials,
}

/// What a new tenant may use, if not what everybody may.
#[derive(Debug, Clone, Default)]
pub struct Allotment {
    /// The name of a plan of the operator's config.
    pub plan: Option<String>,
    /// Its own figures: a JSON object of numbers.
    pub limits: Option<serde_json::Value>,
}

/// The secrets that a tenant of each kind needs.
#[derive(Debug)]
pub enum Credentials {
    /// Tokens, if they are known already; else they come with the authorization.
    Authorized {
        /// `authorizer_access_token`.
        access_token: Option<SecretString>,
        /// Seconds that the access token still lives; the platform's 7200 if unknown.
        expires_in: Option<i64>,
        /// `authorizer_refresh_token`.
        refresh_token: Option<SecretString>,
    },
    /// The shop's own application.
    SelfBuilt {
        /// The application's secret.
        appsecret: SecretString,
        /// What protects its callbacks.
        callback: CallbackKeys,
    },
    /// A card-shop site; its secrets are a later issue.
    CardShop,
}

impl Credentials {
    /// The kind of tenant these make.
    pub fn kind(&self) -> TenantKind {
        match self {
            Credentials::Authorized { .. } => TenantKind::Authorized,
            Credentials::SelfBuilt { .. } => TenantKind::SelfBuilt,
            Credentials::CardShop => TenantKind::CardShop,
        }
    }
}

/// Changes of a tenant; what is `None` stays.
#[derive(Debug, Default)]
pub struct TenantPatch {
    /// A new name.
    pub name: Option<String>,
    /// A new original id.
    pub user_name: Option<String>,
    /// How many decodes a day may be asked of the platform.
    pub decode_budget: Option<u32>,
    /// Another plan; `Some(None)`: none.
    pub plan: Option<Option<String>>,
    /// The whole new limits of its own: a JSON object of numbers.
    pub limits: Option<serde_json::Value>,
    /// Activate or suspend. Activating also forgets that the platform refused its refresh token.
    pub state: Option<StateChange>,
    /// Authorized: a new access token, with the seconds it lives (7200 if `None`).
    pub access_token: Option<(SecretString, Option<i64>)>,
    /// Authorized: a new refresh token.
    pub refresh_token: Option<SecretString>,
    /// Self-built: a new secret.
    pub appsecret: Option<SecretString>,
    /// Self-built: a new callback token.
    pub token: Option<SecretString>,
    /// Self-built: a new EncodingAESKey; the one before becomes the previous.
    pub encoding_aes_key: Option<SecretString>,
}

/// A change of a tenant's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateChange {
    /// Back to work.
    Active,
    /// Stop, by the operator's word.
    Suspended {
        /// Why, in a code or a few words.
        reason: String,
    },
    /// The merchant took the authorization back.
    Revoked {
        /// Why, in a code or a few words.
        reason: String,
    },
}

impl SuspendedBy {
    pub(crate) fn code(self) -> &'static str {
        match self {
            SuspendedBy::Operator => "operator",
            SuspendedBy::Platform => "platform",
        }
    }

    pub(crate) fn from_code(code: &str) -> Option<SuspendedBy> {
        [SuspendedBy::Operator, SuspendedBy::Platform].into_iter().find(|by| by.code() == code)
    }
}

impl Platform {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Platform::Weixin => "weixin",
        }
    }

    pub(crate) fn from_code(code: &str) -> Option<Platform> {
        (code == "weixin").then_some(Platform::Weixin)
    }
}

impl TenantKind {
    pub(crate) fn code(self) -> &'static str {
        match self {
            TenantKind::Authorized => "authorized",
            TenantKind::SelfBuilt => "self-built",
            TenantKind::CardShop => "card-shop",
        }
    }

    pub(crate) fn from_code(code: &str) -> Option<TenantKind> {
        [TenantKind::Authorized, TenantKind::SelfBuilt, TenantKind::CardShop].into_iter().find(|k| k.code() == code)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for TenantKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
