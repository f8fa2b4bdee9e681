//! Consent: the grants given against the grants asked for. Pure.

use std::collections::BTreeSet;

use super::records::ManifestRecord;
use crate::RegistryError;

/// `http` is granted host by host, `http:HOST`: those that the version declares, and any that whoever consents adds.
const HTTP: &str = "http";

fn is_host(grant: &str) -> bool {
    grant.strip_prefix(HTTP).is_some_and(|rest| rest.len() > 1 && rest.starts_with(':'))
}

/// Granted and asked for must be the same, but for hosts: each that is declared must be granted, and at least one.
pub(crate) fn check(manifest: &ManifestRecord, given: &BTreeSet<String>) -> Result<(), RegistryError> {
    let asked: BTreeSet<&str> = manifest.grants.iter().map(|grant| grant.name.as_str()).collect();
    let is_given = |name: &str| match name {
        HTTP => given.iter().any(|grant| is_host(grant)),
        name => given.contains(name),
    };
    let is_asked = |grant: &str| match is_host(grant) {
        true => asked.contains(HTTP),
        false => grant != HTTP && asked.contains(grant),
    };
    let missing: Vec<String> = asked.iter().filter(|name| !is_given(name)).map(|name| (*name).to_owned()).collect();
    let unknown: Vec<String> = given.iter().filter(|grant| !is_asked(grant)).cloned().collect();
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
        assert_eq!(outcome(&["notes"], &["notes:all"]), (names(&["notes"]), names(&["notes:all"])));
        assert_eq!(outcome(&["notes"], &["notes", "http:a.example"]), (vec![], names(&["http:a.example"])));
        assert_eq!(outcome(&["http"], &[]), (names(&["http"]), vec![]));
        assert_eq!(outcome(&["http"], &["http"]), (names(&["http"]), names(&["http"])));
        assert_eq!(outcome(&["http"], &["http:"]), (names(&["http"]), names(&["http:"])));
    }

    #[test]
    fn each_declared_host_is_granted_and_others_may_be() {
        let asked = ["http", "http:a.example", "http:b.example:8443"];
        let both = ["http:a.example", "http:b.example:8443"];
        assert_eq!(outcome(&asked, &both), (vec![], vec![]));
        assert_eq!(outcome(&asked, &[both[0], both[1], "http:erp.example"]), (vec![], vec![]));
        assert_eq!(outcome(&asked, &["http:a.example"]), (names(&["http:b.example:8443"]), vec![]));
        assert_eq!(outcome(&asked, &["http:erp.example"]), (names(&both), vec![]));
    }
}
