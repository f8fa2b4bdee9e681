//! Addresses of the operator's own network that plugins may reach all the same, each by names that the operator says: who may
//! choose what a name leads to must not choose which of the operator's machines a plugin talks to.

use std::net::IpAddr;

use ipnet::IpNet;

use super::names::Names;

/// Which names may lead to which addresses that are closed otherwise. Empty unless set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InnerAddresses(Vec<(Names, IpNet)>);

impl InnerAddresses {
    /// Reads `NAME=RANGE`, such as `erp.example.com=10.1.2.0/24`, or with one address instead of a range. `.example.com` as the name
    /// is that name and all under it.
    ///
    /// # Errors
    /// The place of the first text that is none, and what is wrong with it.
    pub fn new(entries: &[String]) -> Result<InnerAddresses, (usize, String)> {
        let read = entries.iter().enumerate().map(|(at, text)| entry(text).map_err(|why| (at, why)));
        read.collect::<Result<_, _>>().map(InnerAddresses)
    }

    /// Whether a name may lead to an address, given as it is plainest.
    pub(super) fn allow(&self, name: &str, address: IpAddr) -> bool {
        self.0.iter().any(|(names, range)| names.cover(name) && range.contains(&address))
    }

    /// Whether a name was written down whole, and not met by an end of names.
    pub(super) fn names(&self, name: &str) -> bool {
        self.0.iter().any(|(names, _)| *names == Names::One(name.to_owned()))
    }
}

/// A range, or one address.
pub(super) fn range(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn entry(text: &str) -> Result<(Names, IpNet), String> {
    let Some((name, addresses)) = text.split_once('=') else {
        // So it was written once: then every name that any tenant approved could lead there.
        return Err(match range(text) {
            Some(_) => format!(
                "which does not say what names may lead there: write \"erp.example.com={text}\" for one host, \
                 \".corp.example.com={text}\" for all under a name"
            ),
            None => "which is no `NAME=RANGE`".to_owned(),
        });
    };
    let names = Names::parse(name).map_err(|why| format!("whose name {why}"))?;
    let range = range(addresses).ok_or("whose range is none: write 10.1.2.0/24, or one address")?;
    Ok((names, range))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &[&str]) -> Result<InnerAddresses, (usize, String)> {
        InnerAddresses::new(&entries.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_name_leads_to_its_own_ranges_and_nothing_beside_them() {
        let inner =
            read(&["erp.example.com=10.1.2.0/24", ".corp.example.com = fd00:1::/32", "erp.example.com=127.0.0.1"])
                .unwrap();
        for (name, address, allowed) in [
            ("erp.example.com", "10.1.2.0", true),
            ("erp.example.com", "10.1.2.255", true),
            ("erp.example.com", "10.1.3.0", false),
            ("erp.example.com", "127.0.0.1", true),
            ("erp.example.com", "127.0.0.2", false),
            ("erp.example.com", "fd00:1::254", false),
            ("evil.example", "10.1.2.7", false),
            ("erp.example.com.evil.example", "10.1.2.7", false),
            ("a.corp.example.com", "fd00:1::254", true),
            ("corp.example.com", "fd00:1::254", true),
            ("a.corp.example.com", "10.1.2.7", false),
        ] {
            assert_eq!(inner.allow(name, address.parse().unwrap()), allowed, "{name} {address}");
        }
        assert!(inner.names("erp.example.com") && !inner.names("corp.example.com"));
    }

    #[test]
    fn what_is_wrong_is_named_with_what_to_write() {
        let (at, told) = read(&["erp.example.com=10.0.0.0/8", "10.1.2.0/24"]).unwrap_err();
        assert!(at == 1 && told.contains("write \"erp.example.com=10.1.2.0/24\""), "{told}");
        for (wrong, told) in [
            ("inner", "no `NAME=RANGE`"),
            ("erp=10.0.0.0/8", "one part alone"),
            ("erp.example.com=inner", "range is none"),
            ("erp.example.com=10.0.0.0/33", "range is none"),
            ("erp.example.com:8443=10.0.0.0/8", "has a port"),
        ] {
            let (at, words) = read(&[wrong]).unwrap_err();
            assert!(at == 0 && words.contains(told), "{wrong}: {words}");
        }
    }
}
