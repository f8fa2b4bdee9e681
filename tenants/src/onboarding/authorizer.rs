//! The platform's calls that onboarding needs beside those of custody. `operations` implements them.

use std::collections::BTreeSet;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::{IssueError, Issuer};

/// Calls about authorizations, with the component's token (platform page 2.1). One call each, no retries.
#[async_trait]
pub trait Authorizer: Issuer {
    /// `api_create_preauthcode`.
    async fn pre_auth_code(
        &self,
        component_token: &SecretString,
        component_appid: &str,
    ) -> Result<PreAuthCode, IssueError>;

    /// `api_query_auth`: what an authorization code stands for. The code is used up by it.
    async fn query_auth(
        &self,
        component_token: &SecretString,
        component_appid: &str,
        code: &SecretString,
    ) -> Result<Authorization, IssueError>;

    /// `api_get_authorizer_list`: `count` is at most 500.
    async fn authorizer_list(
        &self,
        component_token: &SecretString,
        component_appid: &str,
        offset: u32,
        count: u32,
    ) -> Result<AuthorizerPage, IssueError>;
}

/// A pre-auth code, which begins an authorization.
#[derive(Debug, Clone)]
pub struct PreAuthCode {
    /// The code.
    pub code: SecretString,
    /// Seconds that it is good.
    pub expires_in: i64,
}

/// What `api_query_auth` gives for a code.
#[derive(Debug, Clone)]
pub struct Authorization {
    /// Who authorized.
    pub appid: String,
    /// `authorizer_access_token`, with the seconds it lives.
    pub access: Option<(SecretString, i64)>,
    /// `authorizer_refresh_token`.
    pub refresh: Option<SecretString>,
    /// The permission sets granted, if the answer carried them.
    pub permission_sets: Option<BTreeSet<u16>>,
}

/// A page of `api_get_authorizer_list`.
#[derive(Debug, Clone, Default)]
pub struct AuthorizerPage {
    /// `total_count`: may change from page to page.
    pub total: i64,
    /// The accounts of this page.
    pub listed: Vec<ListedAuthorizer>,
}

/// One account of the list.
#[derive(Debug, Clone)]
pub struct ListedAuthorizer {
    /// Its appid.
    pub appid: String,
    /// Its refresh token.
    pub refresh: Option<SecretString>,
    /// When it authorized, unix seconds.
    pub auth_time: i64,
}
