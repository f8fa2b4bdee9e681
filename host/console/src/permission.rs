//! What a merchant granted on the platform decides which operations can be offered (platform page 2.5).

use std::collections::BTreeSet;

use fangshi_operations::{Kind, Operation};
use fangshi_tenants::{Digest, GrantAsked, Tenant};

use crate::Console;
use crate::installations;
use crate::refusal::Refusal;

/// Refuses a version that uses an operation whose permission set the shop did not grant. Where nobody knows what was
/// granted (self-built shops, shops moved in from another system), the platform itself will tell.
pub(crate) async fn check(console: &Console, tenant: &Tenant, version: Digest) -> Result<(), Refusal> {
    let Some(granted) = &tenant.permission_sets else { return Ok(()) };
    // A version that does not exist is refused by whoever installs it.
    let found = console.tenants.registry().version(tenant.id, version).await.map_err(installations::refuse)?;
    let asked = found.map(|version| version.manifest.grants).unwrap_or_default();
    match missing(&asked, granted) {
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

/// The first operation that the shop's permission sets do not cover.
fn missing(asked: &[GrantAsked], granted: &BTreeSet<u16>) -> Option<&'static Operation> {
    let lacks = |op: &Operation| !granted.contains(&op.permission_set);
    asked.iter().find_map(|grant| {
        let reads = fangshi_operations::interface(&grant.name).is_some_and(|one| one.kind == Kind::Data);
        if reads {
            return Some(fangshi_operations::read_order()).filter(|op| lacks(op));
        }
        fangshi_operations::table().iter().find(|op| {
            let used = grant.functions.is_empty() || grant.functions.iter().any(|used| used == op.function);
            op.interface == grant.name && used && lacks(op)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(name: &str, functions: &[&str]) -> Vec<GrantAsked> {
        vec![GrantAsked { name: name.into(), functions: functions.iter().map(|name| (*name).to_owned()).collect() }]
    }

    #[test]
    fn orders_need_131_and_the_shops_phones_130() {
        let (orders, shop) = (BTreeSet::from([131]), BTreeSet::from([130]));
        assert_eq!(missing(&asks("notes", &["set-merchant-notes"]), &orders), None);
        let op = missing(&asks("notes", &["set-merchant-notes"]), &shop).unwrap();
        assert_eq!((op.name, op.permission_set), ("changemerchantnotes", 131));
        assert_eq!(missing(&asks("shop-phone", &[]), &shop), None);
        assert_eq!(missing(&asks("shop-phone", &["add-phone"]), &orders).unwrap().permission_set, 130);
        assert_eq!(missing(&asks("order-price", &[]), &shop).unwrap().function, "get");
        assert_eq!(missing(&asks("kv", &["get"]), &BTreeSet::new()), None);
    }
}
