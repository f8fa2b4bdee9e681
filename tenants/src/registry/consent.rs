//! Consent: the grants given against the grants asked for. Pure.

use std::collections::BTreeSet;

use super::records::ManifestRecord;
use crate::RegistryError;

/// Granted and asked for must be the same. A grant of one HTTP host, `http:HOST`, counts as `http`.
pub(crate) fn check(manifest: &ManifestRecord, given: &BTreeSet<String>) -> Result<(), RegistryError> {
    let interface = |grant: &str| grant.split_once(':').map_or(grant, |(interface, _)| interface).to_owned();
    let given_interfaces: BTreeSet<String> = given.iter().map(|grant| interface(grant)).collect();
    let asked: BTreeSet<&str> = manifest.grants.iter().map(|grant| grant.name.as_str()).collect();

    let missing: Vec<String> =
        asked.iter().filter(|name| !given_interfaces.contains(**name)).map(|name| (*name).to_owned()).collect();
    let unknown: Vec<String> = given
        .iter()
        .filter(|grant| {
            let interface = interface(grant);
            !asked.contains(interface.as_str()) || (interface != **grant && interface != "http")
        })
        .cloned()
        .collect();
    if missing.is_empty() && unknown.is_empty() { Ok(()) } else { Err(RegistryError::Grants { missing, unknown }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::records::GrantAsked;

    fn outcome(asked: &[&str], given: &[&str]) -> (Vec<String>, Vec<String>) {
        let grants = asked.iter().map(|name| GrantAsked { name: (*name).to_owned(), functions: vec![] }).collect();
        let manifest = ManifestRecord { hooks: vec![], grants };
        match check(&manifest, &given.iter().map(|name| (*name).to_owned()).collect()) {
            Ok(()) => (vec![], vec![]),
            Err(RegistryError::Grants { missing, unknown }) => (missing, unknown),
            Err(other) => panic!("{other}"),
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn missing_and_unknown_grants_are_named() {
        assert_eq!(outcome(&[], &[]), (vec![], vec![]));
        assert_eq!(outcome(&["notes", "order-price"], &["notes", "order-price"]), (vec![], vec![]));
        assert_eq!(outcome(&["notes", "order-price"], &["notes"]), (names(&["order-price"]), vec![]));
        assert_eq!(outcome(&["notes"], &["notes", "address"]), (vec![], names(&["address"])));
        assert_eq!(outcome(&["notes"], &["note"]), (names(&["notes"]), names(&["note"])));
    }

    #[test]
    fn http_is_granted_host_by_host() {
        assert_eq!(outcome(&["http"], &["http:erp.example.com", "http:b.example"]), (vec![], vec![]));
        assert_eq!(outcome(&["notes"], &["notes:all"]), (vec![], names(&["notes:all"])));
        assert_eq!(outcome(&["notes"], &["notes", "http:a.example"]), (vec![], names(&["http:a.example"])));
    }
}
