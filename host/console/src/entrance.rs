//! The way in for shops: addresses of the platform's authorization pages and of the host's own.

use std::fmt;
use std::sync::Arc;

use fangshi_tenants::{Authorizer, LinkOpening};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::refusal::Refusal;

/// Every kind of account: no value of `auth_type` is documented for shops alone (platform page 2.2).
const ANY_ACCOUNT: i64 = 6;

/// What authorization links and pages need. Cheap to clone.
#[derive(Clone)]
pub struct Entrance {
    /// The platform's calls.
    pub platform: Arc<dyn Authorizer>,
    /// Where merchants' browsers reach this host: scheme and host, without a slash at the end. Links to authorize and to the
    /// merchant page begin with it; none are made without.
    pub public_url: Option<String>,
    /// The platform's authorization page for computers, without a query.
    pub pc_page: Url,
    /// The platform's authorization page for phones, without a query.
    pub h5_page: Url,
}

impl Entrance {
    /// The host's public address, or what the operator is to do about it.
    pub(crate) fn address(&self) -> Result<&str, Refusal> {
        self.public_url.as_deref().ok_or_else(|| {
            Refusal::conflict(
                "no-public-url",
                "merchants' browsers can't come back: the host does not know its public address",
                "set `public_url` in the config to the https:// address that is registered with the platform",
            )
        })
    }

    /// Whether browsers reach the host by https alone.
    pub(crate) fn is_https(&self) -> bool {
        self.public_url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }

    /// The page of a link, if the host knows its own public address.
    pub(crate) fn page_url(&self, nonce: &SecretString) -> Option<String> {
        Some(format!("{}/authorize/{}", self.public_url.as_deref()?, nonce.expose_secret()))
    }

    /// The platform's page for computers.
    pub(crate) fn pc_url(&self, nonce: &SecretString, opening: &LinkOpening) -> Option<String> {
        let mut url = self.pc_page.clone();
        self.fill(&mut url, nonce, opening)?;
        Some(url.into())
    }

    /// The platform's page for phones.
    pub(crate) fn h5_url(&self, nonce: &SecretString, opening: &LinkOpening) -> Option<String> {
        let mut url = self.h5_page.clone();
        url.query_pairs_mut().append_pair("action", "bindcomponent").append_pair("no_scan", "1");
        self.fill(&mut url, nonce, opening)?;
        url.set_fragment(Some("wechat_redirect"));
        Some(url.into())
    }

    fn fill(&self, url: &mut Url, nonce: &SecretString, opening: &LinkOpening) -> Option<()> {
        let back = format!("{}/done", self.page_url(nonce)?);
        let mut query = url.query_pairs_mut();
        query
            .append_pair("component_appid", &opening.component_appid)
            .append_pair("pre_auth_code", opening.pre_auth_code.expose_secret())
            .append_pair("redirect_uri", &back);
        // One of the two: an account that is named wins on the platform's side as well.
        match &opening.biz_appid {
            Some(appid) => query.append_pair("biz_appid", appid),
            None => query.append_pair("auth_type", &opening.auth_type.unwrap_or(ANY_ACCOUNT).to_string()),
        };
        Some(())
    }
}

impl fmt::Debug for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entrance").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}
