//! Reading an installation's own store. Changes are written with the end of the attempt ([`Journal::end_attempt`]).

use fangshi_database::{InstallationId, TenantId};

use crate::{Journal, JournalError, seal};

impl Journal {
    /// The committed value under a key.
    pub async fn kv(
        &self,
        tenant: TenantId,
        installation: InstallationId,
        key: &str,
    ) -> Result<Option<Vec<u8>>, JournalError> {
        let key_digest = self.salt(tenant).await?.digest("kv", key.as_bytes());
        let sealed: Option<(Vec<u8>,)> =
            sqlx::query_as("SELECT value FROM kv WHERE installation_id = $1 AND key_digest = $2 AND tenant_id = $3")
                .bind(installation.0)
                .bind(key_digest.as_slice())
                .bind(tenant.0)
                .fetch_optional(self.reader())
                .await?;
        match sealed {
            Some((sealed,)) => {
                let row = seal::kv_row(installation, &key_digest);
                Ok(Some(self.unseal(tenant, seal::KV_VALUE, &row, &sealed)?))
            }
            None => Ok(None),
        }
    }

    /// How many keys an installation has, and how many bytes they and their values take.
    pub async fn kv_size(&self, installation: InstallationId) -> Result<(u64, u64), JournalError> {
        let (keys, bytes): (i64, i64) = sqlx::query_as("SELECT keys, bytes FROM kv_totals WHERE installation_id = $1")
            .bind(installation.0)
            .fetch_optional(self.reader())
            .await?
            .unwrap_or_default();
        Ok((keys.unsigned_abs(), bytes.unsigned_abs()))
    }

    /// How many bytes a committed key and its value take; none if it is not there.
    pub async fn kv_key_size(
        &self,
        tenant: TenantId,
        installation: InstallationId,
        key: &str,
    ) -> Result<Option<u64>, JournalError> {
        let key_digest = self.salt(tenant).await?.digest("kv", key.as_bytes());
        let size: Option<i64> =
            sqlx::query_scalar("SELECT size FROM kv WHERE installation_id = $1 AND key_digest = $2 AND tenant_id = $3")
                .bind(installation.0)
                .bind(key_digest.as_slice())
                .bind(tenant.0)
                .fetch_optional(self.reader())
                .await?;
        Ok(size.map(i64::unsigned_abs))
    }
}
