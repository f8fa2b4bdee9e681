//! One tenant's part of this crate, in clear: what a merchant may ask for (PIPL). Tokens, keys and secrets are no part of
//! it: they are the host's means, not the merchant's data.

use fangshi_database::TenantId;
use serde_json::{Value, json};

use crate::tenants::Tenants;
use crate::{RegistryError, TenantsError};

/// Decoded orders of a page.
const DECODED: u32 = 100;

impl Tenants {
    /// The first lines of a tenant's export, each an object with `line`: tenant, plugin, version, installation.
    ///
    /// # Errors
    /// No such tenant, or the store cannot be read.
    pub async fn export(&self, id: TenantId) -> Result<Vec<Value>, RegistryError> {
        let tenant = self.get(id).ok_or(RegistryError::UnknownTenant(id))?;
        let mut lines = vec![json!({
            "line": "tenant", "id": id, "platform": tenant.platform, "kind": tenant.kind, "appid": tenant.appid,
            "user_name": tenant.user_name, "name": tenant.name, "state": tenant.state.code(),
            "created_at": tenant.created_at, "decode_budget": tenant.decode_budget,
        })];
        let registry = self.registry();
        for plugin in registry.plugins(id, None, u32::MAX).await? {
            lines.push(named("plugin", &plugin)?);
        }
        for version in registry.versions(id, None, None, u32::MAX).await? {
            lines.push(named("version", &version)?);
        }
        for installation in registry.list(id, None, u32::MAX).await? {
            let mut line = named("installation", &installation)?;
            line["settings"] = installation.shown_settings();
            lines.push(line);
        }
        Ok(lines)
    }

    /// The next lines `decoded` (buyer data that was decoded and kept) after an order id; empty at the end.
    ///
    /// # Errors
    /// The store cannot be read, or a value does not open.
    pub async fn export_decoded(&self, id: TenantId, after: &str) -> Result<Vec<(String, Value)>, TenantsError> {
        let kept = self.decodes().all(id, after, DECODED).await?;
        Ok(kept
            .into_iter()
            .map(|(order_id, decoded_at, answer)| {
                let line = json!({"line": "decoded", "order_id": order_id, "decoded_at": decoded_at, "answer": answer});
                (order_id, line)
            })
            .collect())
    }
}

fn named(line: &str, record: &impl serde::Serialize) -> Result<Value, RegistryError> {
    let mut value = serde_json::to_value(record).map_err(|_| RegistryError::Damaged("an exported record"))?;
    value["line"] = line.into();
    Ok(value)
}
