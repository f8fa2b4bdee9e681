//! An authorization link: what it is made of and what became of it.

use fangshi_database::{AuthorizationId, TenantId};
use secrecy::SecretString;
use serde::Serialize;

/// An authorization link to make.
#[derive(Debug, Clone, Default)]
pub struct NewLink {
    /// Where the merchant's browser goes when it is done.
    pub redirect: Option<String>,
    /// The one account that may be authorized with it.
    pub biz_appid: Option<String>,
    /// Which kinds of account the platform's page offers (platform page 2.2).
    pub auth_type: Option<i64>,
}

/// A link just made, with its secrets.
#[derive(Debug, Clone)]
pub struct FreshLink {
    /// Its id.
    pub id: AuthorizationId,
    /// The random part of its address: whoever has it may authorize a shop with it.
    pub nonce: SecretString,
    /// What the platform's pages want.
    pub opening: LinkOpening,
    /// When it ends, unix ms.
    pub expires_at: i64,
}

/// What the platform's pages are opened with.
#[derive(Debug, Clone)]
pub struct LinkOpening {
    /// `component_appid`.
    pub component_appid: String,
    /// `pre_auth_code`.
    pub pre_auth_code: SecretString,
    /// `auth_type`.
    pub auth_type: Option<i64>,
    /// `biz_appid`.
    pub biz_appid: Option<String>,
}

/// How far a link came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// Nobody authorized with it yet.
    Waiting,
    /// Nobody did in time.
    Expired,
    /// The merchant authorized; the host is taking the shop over.
    Working,
    /// The shop is a tenant.
    Done,
    /// It came to nothing.
    Failed,
}

/// A link as it stands.
#[derive(Debug, Clone)]
pub struct Link {
    /// Its id.
    pub id: AuthorizationId,
    /// How far it came.
    pub state: LinkState,
    /// Why it failed, or what hinders it, as a code.
    pub reason: Option<String>,
    /// Who authorized, once known.
    pub appid: Option<String>,
    /// The tenant, when done.
    pub tenant: Option<TenantId>,
    /// Where the merchant's browser goes afterwards.
    pub redirect: Option<String>,
    /// The one account that may be authorized with it.
    pub biz_appid: Option<String>,
    /// Which kinds of account the platform's page offers.
    pub auth_type: Option<i64>,
    /// Who asked for it.
    pub requested_by: String,
    /// Unix ms.
    pub created_at: i64,
    /// Unix ms.
    pub expires_at: i64,
    /// When it was done or failed, unix ms.
    pub ended_at: Option<i64>,
}

/// What a redirect to the host came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// No such link: forged, or of another host.
    Unknown,
    /// It changed nothing: it came before, or the link has its shop already.
    Ignored,
    /// Its code belongs to another link.
    Foreign,
    /// It is kept, and will be worked on, for this link.
    Kept(AuthorizationId),
}

impl LinkState {
    pub(crate) fn code(self) -> &'static str {
        match self {
            LinkState::Waiting | LinkState::Expired => "waiting",
            LinkState::Working => "working",
            LinkState::Done => "done",
            LinkState::Failed => "failed",
        }
    }

    pub(crate) fn from_code(code: &str) -> Option<LinkState> {
        [LinkState::Waiting, LinkState::Working, LinkState::Done, LinkState::Failed]
            .into_iter()
            .find(|state| state.code() == code)
    }
}
