//! Events of the platform about an authorization (platform page 2.3), written down with the event itself.

use fangshi_database::Digest;
use secrecy::{ExposeSecret, SecretString};
use sqlx::SqliteConnection;

use super::account_rows::{self, Known, Wanted};
use super::decide::{self, Heard, Standing};
use super::{Onboarding, link_rows};
use crate::TenantsError;

/// What kind of event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// `authorized`.
    Authorized,
    /// `updateauthorized`: other permission sets.
    Updated,
    /// `unauthorized`.
    Unauthorized,
}

/// An event about an authorization.
#[derive(Debug, Clone)]
pub struct AuthorizationChange {
    /// AuthorizerAppid.
    pub appid: String,
    /// InfoType.
    pub kind: ChangeKind,
    /// CreateTime, unix seconds.
    pub created_at: i64,
    /// AuthorizationCode.
    pub code: Option<SecretString>,
    /// PreAuthCode; absent or unknown if the authorization did not begin at a link of ours.
    pub pre_auth_code: Option<SecretString>,
}

impl Onboarding {
    /// Writes down what follows from an event, on a connection that writes the event in the same transaction. What is
    /// old, or came before, changes nothing. Call [`Onboarding::wake`] after the commit.
    ///
    /// # Errors
    /// The store refused: the transaction must not be committed.
    pub async fn note(&self, c: &mut SqliteConnection, change: &AuthorizationChange) -> Result<(), TenantsError> {
        let now = self.now();
        let appid = change.appid.as_str();
        let known = account_rows::known(c, appid).await?;
        let digest = change.code.as_ref().map(|code| Digest::of(code.expose_secret().as_bytes()));
        let word = match change.kind {
            ChangeKind::Authorized | ChangeKind::Updated => Standing::Granted,
            ChangeKind::Unauthorized => Standing::Revoked,
        };
        let mut heard = decide::hear(known.as_ref().and_then(Known::dated), word, change.created_at);
        let repeated = digest.is_some_and(|digest| {
            known.as_ref().and_then(|known| known.code_digest.as_deref()) == Some(digest.as_bytes().as_slice())
        });
        if known.as_ref().is_some_and(|known| known.was_deleted_after(change.created_at)) {
            heard = Heard::Nothing;
        }
        if repeated {
            heard = Heard::Nothing;
            if known.as_ref().is_some_and(|known| known.standing == word) {
                account_rows::raise_time(c, appid, change.created_at).await?;
            }
        }
        let Heard::Take(standing, work) = heard else {
            if repeated {
                self.bind_links(c, change, digest, known).await?;
            }
            tracing::info!(appid, kind = ?change.kind, created_at = change.created_at,
                "an event about an authorization is old or came before: it changes nothing");
            return Ok(());
        };
        self.bind_links(c, change, digest, None).await?;
        let wanted = Wanted {
            standing,
            changed_s: change.created_at,
            by_host: false,
            work,
            code: change.code.as_ref(),
            spent: false,
            refresh: None,
            next_at: now,
        };
        account_rows::want(c, &self.directory.vault, appid, wanted, now).await
    }

    /// Tells the link that the event names, or that was given its code, who authorized. `settled`: the account, if
    /// nothing is to be done about it that would end the link later.
    async fn bind_links(
        &self,
        c: &mut SqliteConnection,
        change: &AuthorizationChange,
        code: Option<Digest>,
        settled: Option<Known>,
    ) -> Result<(), TenantsError> {
        let (appid, now) = (change.appid.as_str(), self.now());
        if let Some(pre_auth_code) = &change.pre_auth_code {
            link_rows::bind_by_pre_auth(c, pre_auth_code, code, appid, now).await?;
        }
        if let Some(code) = code {
            link_rows::bind_by_code(c, code, appid, now).await?;
        }
        if let Some(Known { tenant: Some(tenant), at_work: false, changed_s, .. }) = settled {
            link_rows::finish(c, appid, tenant, changed_s, now).await?;
        }
        Ok(())
    }
}
