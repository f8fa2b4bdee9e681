//! What a merchant granted on the platform decides which operations can be offered (platform page 2.5).

use std::collections::{BTreeMap, BTreeSet};

use fangshi_operations::{Kind, Operation};
use fangshi_tenants::{Digest, GrantAsked, InstallationId, RegistryError, Tenant};

use crate::Console;
use crate::installations;
use crate::refusal::Refusal;

/// Refuses a version that can't work for this shop: it uses an operation whose permission set the shop did not grant. Where
/// nobody knows what was granted (self-built shops, shops moved in from another system), the platform itself will tell.
pub(crate) async fn check(console: &Console, tenant: &Tenant, version: Digest) -> Result<(), Refusal> {
    // A version that does not exist is refused by whoever installs it.
    let found = console.tenants.registry().version(tenant.id, version).await.map_err(installations::refuse)?;
    let Some(asked) = found.map(|version| version.manifest.grants) else { return Ok(()) };
    match lacking(tenant, &asked).first() {
        None => Ok(()),
        Some(op) => Err(Refusal::invalid(
            "permission-set-missing",
            format!(
                "the version uses {}.{} ({}), which needs permission set {}, and the shop did not grant it",
                op.interface, op.function, op.name, op.permission_set
            ),
            "the merchant grants it by authorizing again with that set: POST /api/v1/authorizations makes a link; GET of \
             the tenant shows what is granted",
        )),
    }
}

/// Operations that these grants ask for and that the shop's permission sets do not cover.
pub(crate) fn lacking(tenant: &Tenant, asked: &[GrantAsked]) -> Vec<&'static Operation> {
    tenant.permission_sets.as_ref().map(|granted| missing(asked, granted)).unwrap_or_default()
}

/// What an installation was approved with and the shop no longer grants.
pub(crate) struct Lack {
    pub installation: InstallationId,
    /// Operations by the permission set that they need.
    pub sets: BTreeMap<u16, Vec<&'static str>>,
}

/// The installations of a tenant whose operations are refused for want of a permission set.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn lacks(console: &Console, tenant: &Tenant) -> Result<Vec<Lack>, RegistryError> {
    if fangshi_operations::table().iter().all(|op| tenant.grants(op.permission_set)) {
        return Ok(Vec::new());
    }
    let registry = console.tenants.registry();
    let mut lacks = Vec::new();
    for installed in registry.installed(tenant.id).await?.iter() {
        let version = registry.version_of(tenant.id, installed.plugin, installed.version).await?;
        let asked = version.map(|version| version.manifest.grants).unwrap_or_default();
        let mut sets: BTreeMap<u16, Vec<&'static str>> = BTreeMap::new();
        for op in lacking(tenant, &asked) {
            sets.entry(op.permission_set).or_default().push(op.name);
        }
        if !sets.is_empty() {
            lacks.push(Lack { installation: installed.id, sets });
        }
    }
    Ok(lacks)
}

/// Each once, in the order of the table.
fn missing(asked: &[GrantAsked], granted: &BTreeSet<u16>) -> Vec<&'static Operation> {
    let reads = |grant: &GrantAsked| {
        fangshi_operations::interface(&grant.name).is_some_and(|interface| interface.kind == Kind::Data)
    };
    let order = fangshi_operations::read_order();
    let reads_orders = asked.iter().any(reads);
    let uses = |op: &Operation| {
        let read = reads_orders && op.interface == order.interface && op.function == order.function;
        read || asked.iter().any(|grant| {
            op.interface == grant.name
                && (grant.functions.is_empty() || grant.functions.iter().any(|used| used == op.function))
        })
    };
    fangshi_operations::table().iter().filter(|op| !granted.contains(&op.permission_set) && uses(op)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(name: &str, functions: &[&str]) -> Vec<GrantAsked> {
        vec![GrantAsked { name: name.into(), functions: functions.iter().map(|name| (*name).to_owned()).collect() }]
    }

    fn names(asked: &[GrantAsked], granted: &BTreeSet<u16>) -> Vec<(&'static str, u16)> {
        missing(asked, granted).iter().map(|op| (op.name, op.permission_set)).collect()
    }

    #[test]
    fn orders_need_131_and_the_shops_phones_130() {
        let (orders, shop) = (BTreeSet::from([131]), BTreeSet::from([130]));
        assert_eq!(names(&asks("notes", &["set-merchant-notes"]), &orders), []);
        assert_eq!(names(&asks("notes", &["set-merchant-notes"]), &shop), [("changemerchantnotes", 131)]);
        assert_eq!(names(&asks("shop-phone", &[]), &shop), []);
        let phones = names(&asks("shop-phone", &["add-phone"]), &orders);
        assert_eq!(phones, [("privatenumberaddphone", 130)]);
        assert_eq!(names(&asks("kv", &["get"]), &BTreeSet::new()), []);
        // Data groups are read with the order.
        let read = missing(&[asks("order-price", &[]), asks("order-items", &[])].concat(), &shop);
        assert_eq!(read.iter().map(|op| op.function).collect::<Vec<_>>(), ["get"]);
    }
}
