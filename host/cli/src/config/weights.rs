//! Shares of tenants when runs have to wait: `t3=4 t7=2`.

use std::collections::HashMap;

use fangshi_database::TenantId;

use super::keys;
use super::reader::{Found, Reader};

/// The greatest weight. With more, a tenant of weight 1 would as good as never have its turn.
const MOST: u32 = 1_000;

/// Weights by tenant; none if the key is not there.
pub fn read(reader: &mut Reader<'_>) -> HashMap<TenantId, u32> {
    let Some(Found { value, line }) = reader.text(&keys::TENANT_WEIGHTS) else { return HashMap::new() };
    let mut weights = HashMap::new();
    for entry in value.split_whitespace() {
        let read = entry.split_once('=').and_then(|(tenant, weight)| {
            let weight: u32 = weight.parse().ok().filter(|weight| (1..=MOST).contains(weight))?;
            Some((tenant.parse::<TenantId>().ok()?, weight))
        });
        let Some((tenant, weight)) = read else {
            reader.wrong(&keys::TENANT_WEIGHTS, line, &format!("`{entry}`"));
            return HashMap::new();
        };
        if weights.insert(tenant, weight).is_some() {
            reader.wrong(&keys::TENANT_WEIGHTS, line, &format!("`{tenant}` twice"));
        }
    }
    weights
}
