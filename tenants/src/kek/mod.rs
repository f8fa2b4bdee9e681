//! The key-encryption key: wraps every data key, and lies outside the data folder.
//!
//! [`KeyWrap`] is the seam to a KMS: whoever implements it keeps the key to itself and wraps and opens data keys, over a
//! network if need be. [`Kek`] is the one of this crate: a key in a file or in the environment. Nothing waits for it but a
//! start, a new tenant and a rotation ([`rotate`]): data keys stay in memory, as types that are wiped when dropped.

mod local;
mod rotate;

use std::sync::Arc;

use async_trait::async_trait;
use fangshi_database::{Clock, Database};
use zeroize::Zeroizing;

pub use self::local::Kek;
pub use self::rotate::{Rotated, rotate};

use crate::{KekError, TenantsError};

/// What the key check seals: whoever opens it has the right key.
const CHECK: &[u8] = b"fangshi key check";
/// What the key check belongs to.
const CHECK_PLACE: &[u8] = b"key_check";

/// Wraps and opens data keys under one key-encryption key.
#[async_trait]
pub trait KeyWrap: Send + Sync {
    /// Names the key without telling it. Another key has another name, after a rotation inside a KMS too.
    fn id(&self) -> String;

    /// Wraps a secret, bound to what it belongs to.
    ///
    /// # Errors
    /// The key cannot be reached, or refuses.
    async fn wrap(&self, belongs: &[u8], secret: &[u8]) -> Result<Vec<u8>, KekError>;

    /// Opens what [`KeyWrap::wrap`] made with this key for the same belonging.
    ///
    /// # Errors
    /// The key cannot be reached, or it is not what this key wrapped.
    async fn open(&self, belongs: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, KekError>;
}

#[async_trait]
impl KeyWrap for Arc<dyn KeyWrap> {
    fn id(&self) -> String {
        KeyWrap::id(&**self)
    }

    async fn wrap(&self, belongs: &[u8], secret: &[u8]) -> Result<Vec<u8>, KekError> {
        (**self).wrap(belongs, secret).await
    }

    async fn open(&self, belongs: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, KekError> {
        (**self).open(belongs, wrapped).await
    }
}

/// The id of the key that the store is sealed under, if it is.
pub(crate) async fn wanted(db: &Database) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT kek_id FROM key_check").fetch_optional(db.reader()).await
}

/// Refuses a key that is not the store's; a store without a key gets this one.
pub(crate) async fn check(db: &Database, kek: &dyn KeyWrap, clock: &Clock) -> Result<(), TenantsError> {
    if wanted(db).await?.is_none() {
        let check_value = kek.wrap(CHECK_PLACE, CHECK).await?;
        let (id, now) = (kek.id(), clock.now());
        db.writer()
            .submit(move |c| {
                Box::pin(async move {
                    // Another process may have been first; then the check below decides.
                    sqlx::query(
                        "INSERT INTO key_check (kek_id, check_value, created_at) SELECT $1, $2, $3 \
                         WHERE NOT EXISTS (SELECT 1 FROM key_check)",
                    )
                    .bind(id)
                    .bind(check_value)
                    .bind(now)
                    .execute(c)
                    .await?;
                    Ok::<_, TenantsError>(())
                })
            })
            .await?;
    }
    require(db, kek).await
}

/// Refuses a key that is not the store's.
async fn require(db: &Database, kek: &dyn KeyWrap) -> Result<(), TenantsError> {
    let (wanted, check_value): (String, Vec<u8>) =
        sqlx::query_as("SELECT kek_id, check_value FROM key_check").fetch_one(db.reader()).await?;
    if wanted != kek.id() {
        return Err(TenantsError::WrongKey { wanted, given: kek.id() });
    }
    match kek.open(CHECK_PLACE, &check_value).await {
        Ok(text) if text.as_slice() == CHECK => Ok(()),
        Err(unreached @ KekError::Unreached { .. }) => Err(unreached.into()),
        _ => Err(TenantsError::DamagedKeys { what: "key_check".into() }),
    }
}
