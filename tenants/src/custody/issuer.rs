//! Where new tokens come from. `operations` implements it: custody itself speaks to no platform.

use std::collections::BTreeSet;

use async_trait::async_trait;
use secrecy::SecretString;

/// The platform's calls that issue tokens (platform page 1.6). One call each, no retries: custody decides about those,
/// and gives up on a call after 10 s.
#[async_trait]
pub trait Issuer: Send + Sync {
    /// `api_component_token`.
    async fn component_token(
        &self,
        appid: &str,
        secret: &SecretString,
        ticket: &SecretString,
    ) -> Result<Issued, IssueError>;

    /// `api_authorizer_token`.
    async fn authorizer_token(
        &self,
        component_token: &SecretString,
        component_appid: &str,
        authorizer_appid: &str,
        refresh: &SecretString,
    ) -> Result<Issued, IssueError>;

    /// `stable_token` of a self-built shop. Without `force` the platform gives the same token while it is good.
    async fn stable_token(&self, appid: &str, secret: &SecretString, force: bool) -> Result<Issued, IssueError>;

    /// `api_start_push_ticket`: the platform shall push tickets again.
    async fn start_push_ticket(&self, appid: &str, secret: &SecretString) -> Result<(), IssueError> {
        let _ = (appid, secret);
        Err(IssueError::Refused { code: 0, message: "api_start_push_ticket is not offered".into() })
    }

    /// `api_get_authorizer_info`: who the account is, and its refresh token once more.
    async fn authorizer_info(
        &self,
        component_token: &SecretString,
        component_appid: &str,
        authorizer_appid: &str,
    ) -> Result<AuthorizerInfo, IssueError> {
        let _ = (component_token, component_appid, authorizer_appid);
        Err(IssueError::Refused { code: 0, message: "api_get_authorizer_info is not offered".into() })
    }
}

/// What `api_get_authorizer_info` tells of an account (platform page 2.1).
#[derive(Debug, Clone, Default)]
pub struct AuthorizerInfo {
    /// `nick_name`.
    pub name: String,
    /// `user_name`: the original id, gh_….
    pub user_name: Option<String>,
    /// Whether the account is a shop: `store_info` is there.
    pub is_shop: bool,
    /// The refresh token in force, if the answer carried one.
    pub refresh: Option<SecretString>,
    /// The permission sets granted, if the answer carried them.
    pub permission_sets: Option<BTreeSet<u16>>,
}

/// A token as the platform issued it.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The access token.
    pub access: SecretString,
    /// The refresh token for the next time, if the answer carried one.
    pub refresh: Option<SecretString>,
    /// Seconds that the access token lives.
    pub expires_in: i64,
}

/// The platform issued no token. Messages must carry no token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IssueError {
    /// The refresh token is not accepted (61023, 42007, …): only a new authorization helps.
    #[error("refused for good ({code}): {message}")]
    Invalid {
        /// The platform's code.
        code: i64,
        /// The platform's words.
        message: String,
    },
    /// Not sent, or answered by what is no answer: try later.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// Sent, and no answer came: the platform may be at it still.
    #[error("unanswered: {0}")]
    Unanswered(String),
    /// A quota of the platform is used up (45009, 45011): nobody asks again before `until`, unix ms.
    #[error("limited ({code}): {message}")]
    Limited {
        /// The platform's code.
        code: i64,
        /// The platform's words.
        message: String,
        /// When it opens again, unix ms.
        until: i64,
    },
    /// Any other code: a wrong secret, a component token that is no longer good.
    #[error("refused ({code}): {message}")]
    Refused {
        /// The platform's code.
        code: i64,
        /// The platform's words.
        message: String,
    },
}
