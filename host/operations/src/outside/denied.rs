//! Hosts that no plugin reaches, whoever approves them: names and addresses that the operator says.

use std::net::IpAddr;

use ipnet::IpNet;

use super::inner::range;
use super::names::Names;

/// Names that can't be approved and are not asked for, and addresses that nothing is sent to. Empty unless set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeniedHosts {
    names: Vec<Names>,
    ranges: Vec<IpNet>,
}

impl DeniedHosts {
    /// Reads names (`host.example.com`, `.example.com` for it and all under it), ranges and addresses.
    ///
    /// # Errors
    /// The place of the first text that is none, and what is wrong with it.
    pub fn new(entries: &[String]) -> Result<DeniedHosts, (usize, String)> {
        let mut denied = DeniedHosts::default();
        for (at, text) in entries.iter().enumerate() {
            match range(text) {
                Some(range) => denied.ranges.push(range),
                None => denied.names.push(Names::parse(text).map_err(|why| (at, format!("which {why}")))?),
            }
        }
        Ok(denied)
    }

    pub(super) fn name(&self, name: &str) -> bool {
        self.names.iter().any(|names| names.cover(name))
    }

    pub(super) fn address(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ends_of_names_and_addresses_are_denied() {
        let entries =
            ["Evil.example", ".corp.example.com", "198.51.100.0/24", "2001:4860:4860::8888"].map(str::to_owned);
        let denied = DeniedHosts::new(&entries).unwrap();
        for (name, is) in [
            ("evil.example", true),
            ("x.evil.example", false),
            ("corp.example.com", true),
            ("a.corp.example.com", true),
            ("example.com", false),
        ] {
            assert_eq!(denied.name(name), is, "{name}");
        }
        for (address, is) in [("198.51.100.9", true), ("198.51.101.9", false), ("2001:4860:4860::8888", true)] {
            assert_eq!(denied.address(address.parse().unwrap()), is, "{address}");
        }
        let (at, told) = DeniedHosts::new(&["evil.example".into(), "*.example".into()]).unwrap_err();
        assert!(at == 1 && told.contains("wildcard"), "{told}");
    }
}
