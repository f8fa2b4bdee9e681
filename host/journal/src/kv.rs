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
        let (keys, bytes): (i64, i64) =
            sqlx::query_as("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM kv WHERE installation_id = $1")
                .bind(installation.0)
                .fetch_one(self.reader())
                .await?;
        Ok((keys as u64, bytes as u64))
    }
}
