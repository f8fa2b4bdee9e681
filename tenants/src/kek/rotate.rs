//! Rotation: every data key is wrapped anew under another key-encryption key. Nothing that was sealed changes, so it takes
//! seconds however large the store is.
//!
//! Everything is wrapped and opened again in memory first; then one transaction changes every row and the key check. A
//! crash before its commit leaves the store under the old key, after it under the new one, and never in between.

use fangshi_database::{Clock, Database, TenantId};
use sqlx::SqliteConnection;

use super::{CHECK, CHECK_PLACE, KeyWrap, require};
use crate::audit::{self, Action, Actor, Entry};
use crate::vault::wrapping;
use crate::{TenantsError, Vault};

/// What a rotation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The key that the store was under.
    pub old: String,
    /// The key that it is under now.
    pub new: String,
    /// Data keys that were wrapped anew.
    pub keys: usize,
}

struct Row {
    tenant: TenantId,
    version: u32,
    old: Vec<u8>,
    new: Vec<u8>,
}

/// Brings the store from `old` under `new`. Nobody else may have it open.
///
/// # Errors
/// [`TenantsError::WrongKey`] if `old` is not its key; a key that cannot be reached; the store refused. In every case the
/// store is as it was, under the old key, and the rotation may be repeated.
pub async fn rotate(
    db: &Database,
    old: &dyn KeyWrap,
    new: &dyn KeyWrap,
    clock: &Clock,
) -> Result<Rotated, TenantsError> {
    require(db, old).await?;
    let (old_id, new_id) = (old.id(), new.id());
    if old_id == new_id {
        return Err(TenantsError::SameKey { id: old_id });
    }
    let stored: Vec<(i64, u32, Vec<u8>, String)> =
        sqlx::query_as("SELECT tenant_id, key_version, wrapped, kek_id FROM data_keys ORDER BY tenant_id, key_version")
            .fetch_all(db.reader())
            .await?;
    let mut rows = Vec::with_capacity(stored.len());
    for (tenant, version, wrapped, kek_id) in stored {
        if kek_id != old_id {
            return Err(TenantsError::WrongKey { wanted: kek_id, given: old_id });
        }
        let tenant = TenantId(tenant);
        let belongs = wrapping(tenant, version);
        let key = old.open(&belongs, &wrapped).await?;
        let anew = new.wrap(&belongs, &key).await?;
        // Before anything is written: what the new key made must open to the same.
        if *new.open(&belongs, &anew).await? != *key {
            return Err(TenantsError::DamagedKeys { what: format!("data key {version} of {tenant}, wrapped anew") });
        }
        rows.push(Row { tenant, version, old: wrapped, new: anew });
    }
    let check_value = new.wrap(CHECK_PLACE, CHECK).await?;
    let vault = Vault::load(db.reader(), old).await?;
    let entry = Entry::new(Actor::Operator(None), Action::KeysRotated, TenantId::HOST).about(&old_id).about(&new_id);
    let (keys, now, named) = (rows.len(), clock.now(), new_id.clone());
    db.writer()
        .submit(move |c| {
            Box::pin(async move {
                // What the old key wrapped is to leave the file: whoever still has that key must not open it.
                sqlx::query("PRAGMA secure_delete = ON").execute(&mut *c).await?;
                let outcome = match audit::append(c, &vault, now, entry).await {
                    Ok(_) => flip(c, &rows, &named, check_value, now).await,
                    Err(error) => Err(error.into()),
                };
                sqlx::query("PRAGMA secure_delete = FAST").execute(c).await?;
                outcome
            })
        })
        .await?;
    verify(db, new, keys).await?;
    db.empty_log().await?;
    Ok(Rotated { old: old_id, new: new_id, keys })
}

async fn flip(
    c: &mut SqliteConnection,
    rows: &[Row],
    named: &str,
    check_value: Vec<u8>,
    now: i64,
) -> Result<(), TenantsError> {
    for row in rows {
        let done = sqlx::query(
            "UPDATE data_keys SET wrapped = $4, kek_id = $5 WHERE tenant_id = $1 AND key_version = $2 AND wrapped = $3",
        )
        .bind(row.tenant.0)
        .bind(row.version)
        .bind(&row.old)
        .bind(&row.new)
        .bind(named)
        .execute(&mut *c)
        .await?;
        if done.rows_affected() != 1 {
            return Err(TenantsError::DamagedKeys {
                what: format!("the data key of {} changed meanwhile", row.tenant),
            });
        }
    }
    sqlx::query("UPDATE key_check SET kek_id = $1, check_value = $2, created_at = $3")
        .bind(named)
        .bind(check_value)
        .bind(now)
        .execute(&mut *c)
        .await?;
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM data_keys WHERE kek_id <> $1").bind(named).fetch_one(c).await?;
    if left > 0 {
        return Err(TenantsError::DamagedKeys { what: "data keys were made meanwhile".into() });
    }
    Ok(())
}

/// Reads back what is stored and opens all of it with the new key.
async fn verify(db: &Database, new: &dyn KeyWrap, keys: usize) -> Result<(), TenantsError> {
    require(db, new).await?;
    let opened = crate::Vault::load(db.reader(), new).await?.count();
    if opened != keys {
        return Err(TenantsError::DamagedKeys { what: format!("{opened} of {keys} data keys open") });
    }
    Ok(())
}
