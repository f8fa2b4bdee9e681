//! Tokens: made, shown once, recognised, revoked.

use std::sync::Arc;

use fangshi_database::{Digest, TenantId, TokenId};
use secrecy::SecretString;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::{Access, Door, Role, check_text};
use crate::audit::{self, Action, Actor, Entry};
use crate::error::StoreError;
use crate::secret;
use crate::{AccessError, CustodyError, Place, Vault};

pub(super) const LABEL: Place = Place { table: "access_tokens", column: "label" };
/// The last use is written once in so many ms: a write per request would cost more than it tells.
const USE_GRAIN_MS: i64 = 3_600_000;

/// A token to make.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// For whom.
    pub role: Role,
    /// For people: where it is used. 1 to 100 characters.
    pub label: String,
    /// Unix ms.
    pub expires_at: i64,
}

/// What is known of a token. The token itself is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its id: not a secret.
    pub id: TokenId,
    /// For whom.
    pub role: Role,
    /// Where it opens.
    pub door: Door,
    /// For people; empty if the tenant's data key is gone.
    pub label: String,
    /// Unix ms.
    pub created_at: i64,
    /// Unix ms.
    pub expires_at: i64,
    /// Unix ms, within the hour; `None`: never.
    pub last_used_at: Option<i64>,
    /// Unix ms, if revoked.
    pub revoked_at: Option<i64>,
}

impl TokenRecord {
    /// Whom the audit names for what is done with it.
    pub fn actor(&self) -> Actor {
        match self.role {
            Role::Operator => Actor::Operator(Some(self.id)),
            Role::Merchant(_) => Actor::Merchant(self.id),
        }
    }

    fn works(&self, now: i64) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}

macro_rules! select_tokens {
    ($rest:literal) => {
        concat!(
            "SELECT id, role, tenant_id, door, digest, label, created_at, expires_at, last_used_at, revoked_at \
             FROM access_tokens ",
            $rest
        )
    };
}

impl Access {
    /// Makes a token of the admin API. The secret is given here and never again.
    ///
    /// # Errors
    /// No such tenant, a label that cannot be used, an end that is past, or the store refused.
    pub async fn make_token(&self, new: NewToken) -> Result<(TokenRecord, SecretString), AccessError> {
        if let Role::Merchant(tenant) = new.role {
            self.known(tenant)?;
        }
        check_text("label", &new.label)?;
        let now = self.directory.clock.now();
        if new.expires_at <= now {
            return Err(AccessError::Invalid { member: "expires_at", problem: "is past".to_owned() });
        }
        let secret = secret::make(secret::TOKEN)?;
        let (digest, directory, actor) = (secret::digest(&secret), Arc::clone(&self.directory), self.actor);
        let made: Result<TokenRecord, AccessError> = self
            .directory
            .db
            .writer()
            .submit(move |c| {
                Box::pin(async move {
                    let token = insert(c, &directory.vault, digest, &new, Door::Api, now).await?;
                    let entry = Entry::new(actor, Action::AccessTokenMade, token.role.tenant()).about(token.id);
                    let details = serde_json::json!({
                        "role": token.role.code(), "label": token.label, "expires_at": token.expires_at,
                    });
                    audit::append(c, &directory.vault, now, entry.with(details)).await?;
                    Ok(token)
                })
            })
            .await;
        Ok((made?, secret))
    }

    /// Up to `limit` tokens of the admin API after one, by id; those that no longer work included.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn tokens(&self, after: Option<TokenId>, limit: u32) -> Result<Vec<TokenRecord>, AccessError> {
        let rows = sqlx::query(select_tokens!("WHERE door = 'api' AND id > $1 ORDER BY id LIMIT $2"))
            .bind(after.map_or(0, |id| id.0))
            .bind(limit)
            .fetch_all(self.directory.db.reader())
            .await?;
        rows.iter().map(|row| Ok(read(row, &self.directory.vault)?)).collect()
    }

    /// Revokes a token or ends a session, at once and for ever. One that is revoked already stays as it is.
    ///
    /// # Errors
    /// No such token, or the store refused.
    pub async fn revoke(&self, id: TokenId) -> Result<(), AccessError> {
        let (directory, actor) = (Arc::clone(&self.directory), self.actor);
        self.directory
            .db
            .writer()
            .submit(move |c| {
                Box::pin(async move {
                    let now = directory.clock.now();
                    let tenant: Option<i64> = sqlx::query_scalar("SELECT tenant_id FROM access_tokens WHERE id = $1")
                        .bind(id.0)
                        .fetch_optional(&mut *c)
                        .await?;
                    let tenant = TenantId(tenant.ok_or(AccessError::UnknownToken(id))?);
                    let done =
                        sqlx::query("UPDATE access_tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL")
                            .bind(id.0)
                            .bind(now)
                            .execute(&mut *c)
                            .await?;
                    if done.rows_affected() == 1 {
                        let entry = Entry::new(actor, Action::AccessTokenRevoked, tenant).about(id);
                        audit::append(c, &directory.vault, now, entry).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Whether a text has the form of a token: 256 random bits, which nobody guesses.
    pub fn has_form(text: &str) -> bool {
        secret::recognise(secret::TOKEN, text).is_some()
    }

    /// The token that this text is, if it works at this door now: known, not expired, not revoked.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn recognise(&self, text: &str, door: Door) -> Result<Option<TokenRecord>, AccessError> {
        let Some(digest) = secret::recognise(secret::TOKEN, text) else { return Ok(None) };
        // Found by digest: what an index search tells about digests tells nothing about secrets.
        let row = sqlx::query(select_tokens!("WHERE digest = $1"))
            .bind(digest.as_bytes().as_slice())
            .fetch_optional(self.directory.db.reader())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let token = read(&row, &self.directory.vault)?;
        let now = self.directory.clock.now();
        if !token.works(now) || token.door != door {
            return Ok(None);
        }
        if token.last_used_at.is_none_or(|at| now.saturating_sub(at) >= USE_GRAIN_MS) {
            self.note_use(token.id, now).await;
        }
        Ok(Some(token))
    }

    /// A failure costs only the note.
    async fn note_use(&self, id: TokenId, now: i64) {
        let written: Result<(), AccessError> = self
            .directory
            .db
            .writer()
            .submit(move |c| {
                Box::pin(async move {
                    sqlx::query("UPDATE access_tokens SET last_used_at = $2 WHERE id = $1")
                        .bind(id.0)
                        .bind(now)
                        .execute(c)
                        .await?;
                    Ok(())
                })
            })
            .await;
        if let Err(error) = written {
            tracing::warn!(token = %id, %error, "the use of a token could not be noted");
        }
    }
}

/// Writes a new token, inside the transaction that audits it.
pub(super) async fn insert(
    c: &mut SqliteConnection,
    vault: &Vault,
    digest: Digest,
    new: &NewToken,
    door: Door,
    now: i64,
) -> Result<TokenRecord, StoreError> {
    let tenant = new.role.tenant();
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO access_tokens (role, tenant_id, door, digest, label, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
    )
    .bind(new.role.code())
    .bind(tenant.0)
    .bind(door.code())
    .bind(digest.as_bytes().as_slice())
    .bind(vault.seal(tenant, LABEL, digest.as_bytes(), new.label.as_bytes())?)
    .bind(now)
    .bind(new.expires_at)
    .fetch_one(c)
    .await?;
    Ok(TokenRecord {
        id: TokenId(id),
        role: new.role,
        door,
        label: new.label.clone(),
        created_at: now,
        expires_at: new.expires_at,
        last_used_at: None,
        revoked_at: None,
    })
}

/// Ends every session of the merchant page that still works; gives how many.
pub(super) async fn end_sessions(c: &mut SqliteConnection, now: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE access_tokens SET revoked_at = $1 WHERE door = 'page' AND revoked_at IS NULL AND expires_at > $1",
    )
    .bind(now)
    .execute(c)
    .await?;
    Ok(done.rows_affected())
}

fn read(row: &SqliteRow, vault: &Vault) -> Result<TokenRecord, StoreError> {
    let tenant = TenantId(row.try_get("tenant_id")?);
    let (role, door): (&str, &str) = (row.try_get("role")?, row.try_get("door")?);
    let damaged = || sqlx::Error::Decode(format!("access_tokens: role {role:?} at {door:?} of {tenant}").into());
    Ok(TokenRecord {
        id: TokenId(row.try_get("id")?),
        role: Role::from_code(role, tenant).ok_or_else(damaged)?,
        door: Door::from_code(door).ok_or_else(damaged)?,
        label: open_text(vault, tenant, LABEL, row.try_get("digest")?, row.try_get("label")?)?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        last_used_at: row.try_get("last_used_at")?,
        revoked_at: row.try_get("revoked_at")?,
    })
}

/// A sealed text for people; empty once the tenant's data key is gone.
pub(super) fn open_text(
    vault: &Vault,
    tenant: TenantId,
    place: Place,
    row: &[u8],
    sealed: &[u8],
) -> Result<String, CustodyError> {
    match vault.unseal(tenant, place, row, sealed) {
        Ok(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
        Err(CustodyError::NoKey { .. }) => Ok(String::new()),
        Err(error) => Err(error),
    }
}
