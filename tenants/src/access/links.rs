//! Links to the merchant page: made by the operator, used once.
//!
//! Good for one entry, not for many until they expire: a link travels through chats and mail and stays readable there.
//! Programs that look at mail open links; so opening one shows a button, and only the click on it enters and uses it up.

use std::sync::Arc;

use fangshi_database::{LinkId, TenantId};
use secrecy::SecretString;
use sqlx::SqliteConnection;

use super::tokens::{self, NewToken, TokenRecord};
use super::{Access, Door, Role, check_text};
use crate::audit::{self, Action, Actor, Entry};
use crate::secret;
use crate::{AccessError, Place};

const PURPOSE: Place = Place { table: "links", column: "purpose" };
/// How long a session of the merchant page lasts.
const SESSION_MS: i64 = 2 * 3_600_000;
/// The longest life of a link: a week.
const MAX_MINUTES: u32 = 7 * 24 * 60;

/// What is known of a link. Its secret is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRecord {
    /// Its id: not a secret.
    pub id: LinkId,
    /// Whose page it opens.
    pub tenant: TenantId,
    /// Unix ms.
    pub expires_at: i64,
}

impl Access {
    /// Makes a link to a tenant's page, good for one entry within `minutes`. The secret is given here and never again.
    ///
    /// # Errors
    /// No such tenant, a purpose or a number of minutes that cannot be used, or the store refused.
    pub async fn make_link(
        &self,
        tenant: TenantId,
        purpose: &str,
        minutes: u32,
    ) -> Result<(LinkRecord, SecretString), AccessError> {
        self.known(tenant)?;
        check_text("purpose", purpose)?;
        if !(1..=MAX_MINUTES).contains(&minutes) {
            return Err(AccessError::Invalid { member: "minutes", problem: format!("must be 1 to {MAX_MINUTES}") });
        }
        let secret = secret::make(secret::LINK)?;
        let digest = secret::digest(&secret);
        let now = self.directory.clock.now();
        let expires_at = now.saturating_add(i64::from(minutes) * 60_000);
        let (directory, actor, purpose) = (Arc::clone(&self.directory), self.actor, purpose.to_owned());
        let made: Result<LinkRecord, AccessError> = self
            .directory
            .db
            .writer()
            .submit(move |c| {
                Box::pin(async move {
                    let sealed = directory.vault.seal(tenant, PURPOSE, digest.as_bytes(), purpose.as_bytes())?;
                    let id: i64 = sqlx::query_scalar(
                        "INSERT INTO links (tenant_id, digest, purpose, created_at, expires_at) \
                         VALUES ($1, $2, $3, $4, $5) RETURNING id",
                    )
                    .bind(tenant.0)
                    .bind(digest.as_bytes().as_slice())
                    .bind(sealed)
                    .bind(now)
                    .bind(expires_at)
                    .fetch_one(&mut *c)
                    .await?;
                    let entry = Entry::new(actor, Action::LinkMade, tenant).about(LinkId(id));
                    let details = serde_json::json!({"purpose": purpose, "expires_at": expires_at});
                    audit::append(c, &directory.vault, now, entry.with(details)).await?;
                    Ok(LinkRecord { id: LinkId(id), tenant, expires_at })
                })
            })
            .await;
        Ok((made?, secret))
    }

    /// Whether the link would let somebody enter now. Changes nothing.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn is_open(&self, text: &str) -> Result<bool, AccessError> {
        let Some(digest) = secret::recognise(secret::LINK, text) else { return Ok(false) };
        let open: Option<i64> =
            sqlx::query_scalar("SELECT 1 FROM links WHERE digest = $1 AND used_at IS NULL AND expires_at > $2")
                .bind(digest.as_bytes().as_slice())
                .bind(self.directory.clock.now())
                .fetch_optional(self.directory.db.reader())
                .await?;
        Ok(open.is_some())
    }

    /// Uses up a link and begins a session of the merchant page, both or none. `None`: no such link, or it is used or
    /// expired.
    ///
    /// # Errors
    /// The store refused.
    pub async fn enter(&self, text: &str) -> Result<Option<(TokenRecord, SecretString)>, AccessError> {
        let Some(digest) = secret::recognise(secret::LINK, text) else { return Ok(None) };
        let secret = secret::make(secret::TOKEN)?;
        let (directory, session) = (Arc::clone(&self.directory), secret::digest(&secret));
        let begun: Result<Option<TokenRecord>, AccessError> = self
            .directory
            .db
            .writer()
            .submit(move |c| {
                Box::pin(async move {
                    let now = directory.clock.now();
                    let used: Option<(i64, i64)> = sqlx::query_as(
                        "UPDATE links SET used_at = $2 WHERE digest = $1 AND used_at IS NULL AND expires_at > $2 \
                         RETURNING id, tenant_id",
                    )
                    .bind(digest.as_bytes().as_slice())
                    .bind(now)
                    .fetch_optional(&mut *c)
                    .await?;
                    let Some((link, tenant)) = used else { return Ok(None) };
                    let (link, tenant) = (LinkId(link), TenantId(tenant));
                    let new = NewToken {
                        role: Role::Merchant(tenant),
                        label: link.to_string(),
                        expires_at: now.saturating_add(SESSION_MS),
                    };
                    let token = tokens::insert(c, &directory.vault, session, &new, Door::Page, now).await?;
                    let entry = Entry::new(Actor::Merchant(token.id), Action::LinkUsed, tenant).about(link);
                    audit::append(c, &directory.vault, now, entry).await?;
                    Ok(Some(token))
                })
            })
            .await;
        Ok(begun?.map(|token| (token, secret)))
    }
}

/// Ends every link that would still let somebody enter; gives how many.
pub(super) async fn end_unused(c: &mut SqliteConnection, now: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query("UPDATE links SET expires_at = $1 WHERE used_at IS NULL AND expires_at > $1")
        .bind(now)
        .execute(c)
        .await?;
    Ok(done.rows_affected())
}
