//! Keyed digests: equal requests of a tenant are recognised, but a copied file can't be searched for a phone number.

use std::io::{self, Write};
use std::sync::Arc;

use fangshi_database::TenantId;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{Journal, JournalError, seal};

/// A tenant's secret for keyed digests.
pub(crate) struct Salt(Zeroizing<[u8; 32]>);

impl Salt {
    /// Digest of something under a name.
    pub(crate) fn digest(&self, name: &str, content: &[u8]) -> [u8; 32] {
        self.begun(name).chain_update(content).finalize().into()
    }

    /// The same of JSON's canonical text, which is never in memory as a whole: escapes make it many times as long as what it
    /// says.
    fn digest_of_json(&self, name: &str, value: &Value) -> [u8; 32] {
        let mut hashing = Hashing(self.begun(name));
        // A hash takes everything.
        let _ = write_canonical(value, &mut hashing);
        hashing.0.finalize().into()
    }

    fn begun(&self, name: &str) -> Sha256 {
        let hash = Sha256::new().chain_update(*self.0);
        hash.chain_update((name.len() as u64).to_be_bytes()).chain_update(name.as_bytes())
    }
}

/// Hashes what is written.
struct Hashing(Sha256);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Journal {
    /// Keyed digest of a call: equal for the same name and the same request, whatever the order of its members.
    pub async fn call_digest(&self, tenant: TenantId, name: &str, request: &Value) -> Result<[u8; 32], JournalError> {
        Ok(self.salt(tenant).await?.digest_of_json(name, request))
    }

    /// The tenant's salt, made at the first use.
    pub(crate) async fn salt(&self, tenant: TenantId) -> Result<Arc<Salt>, JournalError> {
        if let Some(salt) = self.salts.read().unwrap_or_else(|e| e.into_inner()).get(&tenant) {
            return Ok(salt.clone());
        }
        let row = tenant.0.to_be_bytes();
        let fresh: [u8; 32] = rand::random();
        let sealed = self.seal(tenant, seal::SALT, &row, &fresh)?;
        let kept: Vec<u8> = self
            .write(move |conn| {
                Box::pin(async move {
                    sqlx::query("INSERT INTO salts (tenant_id, salt) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                        .bind(tenant.0)
                        .bind(sealed)
                        .execute(&mut *conn)
                        .await?;
                    let (salt,) = sqlx::query_as("SELECT salt FROM salts WHERE tenant_id = $1")
                        .bind(tenant.0)
                        .fetch_one(&mut *conn)
                        .await?;
                    Ok(salt)
                })
            })
            .await?;
        let plain = Zeroizing::new(self.unseal(tenant, seal::SALT, &row, &kept)?);
        let bytes: [u8; 32] =
            plain.as_slice().try_into().map_err(|_| JournalError::Corrupt("length of a salt".into()))?;
        let salt = Arc::new(Salt(Zeroizing::new(bytes)));
        let mut salts = self.salts.write().unwrap_or_else(|e| e.into_inner());
        Ok(salts.entry(tenant).or_insert(salt).clone())
    }
}

/// JSON with sorted members and no spaces: one text for one meaning, whatever serde_json's map is built to keep.
pub(crate) fn canonical(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    // Memory takes everything.
    let _ = write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut impl Write) -> io::Result<()> {
    match value {
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_unstable();
            out.write_all(b"{")?;
            for (i, name) in names.into_iter().enumerate() {
                if i > 0 {
                    out.write_all(b",")?;
                }
                serde_json::to_writer(&mut *out, name)?;
                out.write_all(b":")?;
                write_canonical(&members[name], out)?;
            }
            out.write_all(b"}")
        }
        Value::Array(items) => {
            out.write_all(b"[")?;
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.write_all(b",")?;
                }
                write_canonical(item, out)?;
            }
            out.write_all(b"]")
        }
        scalar => Ok(serde_json::to_writer(&mut *out, scalar)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn canonical_text_does_not_depend_on_the_order_of_members() {
        let a: Value = serde_json::from_str(r#"{"b": [1, {"z": "\"", "y": null}], "a": "订单"}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{"a":"订单","b":[1,{"y":null,"z":"\""}]}"#).unwrap();
        assert_eq!(canonical(&a), canonical(&b));
        assert_eq!(canonical(&a), r#"{"a":"订单","b":[1,{"y":null,"z":"\""}]}"#.as_bytes());
        assert_eq!(serde_json::from_slice::<Value>(&canonical(&a)).unwrap(), a);
    }

    #[test]
    fn digests_are_keyed_and_keep_name_and_content_apart() {
        let one = Salt(Zeroizing::new([1; 32]));
        let two = Salt(Zeroizing::new([2; 32]));
        let phone = canonical(&json!({"mobile": "13900000000"}));
        assert_eq!(one.digest("a", &phone), one.digest_of_json("a", &json!({"mobile": "13900000000"})));
        assert_ne!(one.digest("a", &phone), two.digest("a", &phone));
        assert_ne!(one.digest("ab", b"c"), one.digest("a", b"bc"));
    }
}
