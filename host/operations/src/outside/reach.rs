//! Where requests of plugins may go: what the whole Internet reaches and is not this machine, what the operator lets certain names
//! lead to besides, and never what the operator denies.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use super::OutsideConfig;
use super::address::{is_public, plain};
use super::denied::DeniedHosts;
use super::inner::InnerAddresses;
use super::own::OwnAddresses;

/// The rules of one host.
#[derive(Debug, Clone)]
pub(super) struct Reach {
    inner: InnerAddresses,
    denied: DeniedHosts,
    own: Arc<dyn OwnAddresses>,
    own_name: Option<String>,
    listens_on: Option<IpAddr>,
}

impl Reach {
    pub fn new(config: &OutsideConfig) -> Reach {
        Reach {
            inner: config.inner.clone(),
            denied: config.denied.clone(),
            own: Arc::clone(&config.own),
            own_name: config.own_name.as_ref().map(|name| name.to_ascii_lowercase()),
            listens_on: config.listens_on.map(plain),
        }
    }

    /// Whether no plugin may ask for a name: the operator denies it, or it is the one under which this very host is reached,
    /// unless the operator wrote it down among the inner ones. In the spelling that grants have.
    pub fn refuses(&self, name: &str) -> bool {
        self.denied.name(name) || (self.own_name.as_deref() == Some(name) && !self.inner.names(name))
    }

    /// Those of a name's addresses that a request may be sent to.
    ///
    /// # Errors
    /// The machine's own addresses can't be told: then none is safe.
    pub fn open(&self, name: &str, found: Vec<IpAddr>) -> io::Result<Vec<IpAddr>> {
        if self.refuses(name) {
            return Ok(Vec::new());
        }
        let own: Vec<IpAddr> = self.own.now()?.into_iter().map(plain).collect();
        Ok(found.into_iter().filter(|address| self.allows(name, *address, &own)).collect())
    }

    /// Whether the machine tells its own addresses; for the start, so that the operator hears of it before a plugin does.
    pub fn knows_itself(&self) -> io::Result<usize> {
        self.own.now().map(|own| own.len())
    }

    fn allows(&self, name: &str, address: IpAddr, own: &[IpAddr]) -> bool {
        let meant = plain(address);
        if self.denied.address(meant) || self.denied.address(address) {
            return false;
        }
        let is_own = own.contains(&meant) || self.listens_on == Some(meant);
        self.inner.allow(name, address.to_canonical()) || (is_public(address) && !is_own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with a public address of each version.
    #[derive(Debug)]
    struct Here(Option<[&'static str; 3]>);

    impl OwnAddresses for Here {
        fn now(&self) -> io::Result<Vec<IpAddr>> {
            let own = self.0.ok_or_else(|| io::Error::other("nobody tells"))?;
            Ok(own.iter().map(|address| address.parse().unwrap()).collect())
        }
    }

    const OWN: [&str; 3] = ["127.0.0.1", "8.8.4.4", "2001:4860:4860::8844"];

    fn reach(inner: &[&str], denied: &[&str], own: Option<[&'static str; 3]>) -> Reach {
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Reach::new(&OutsideConfig {
            inner: InnerAddresses::new(&texts(inner)).unwrap(),
            denied: DeniedHosts::new(&texts(denied)).unwrap(),
            own: Arc::new(Here(own)),
            own_name: Some("Plugins.example.com".into()),
            listens_on: Some("9.9.9.9".parse().unwrap()),
            ..OutsideConfig::default()
        })
    }

    fn open(reach: &Reach, name: &str, address: &str) -> bool {
        !reach.open(name, vec![address.parse().unwrap()]).unwrap().is_empty()
    }

    #[test]
    fn the_machines_own_addresses_are_closed_in_every_spelling() {
        let reach = reach(&[], &[], Some(OWN));
        for own in ["8.8.4.4", "::ffff:8.8.4.4", "64:ff9b::8.8.4.4", "2001:4860:4860::8844", "9.9.9.9", "127.0.0.1"] {
            assert!(!open(&reach, "erp.example.com", own), "{own}");
        }
        for others in ["8.8.8.8", "2001:4860:4860::8888", "9.9.9.8"] {
            assert!(open(&reach, "erp.example.com", others), "{others}");
        }
    }

    #[test]
    fn the_operator_may_allow_them_to_a_name() {
        let reach = reach(&["erp.example.com=8.8.4.4", "erp.example.com=10.0.0.0/8"], &[], Some(OWN));
        assert!(open(&reach, "erp.example.com", "8.8.4.4") && open(&reach, "erp.example.com", "10.1.1.1"));
        assert!(!open(&reach, "evil.example", "8.8.4.4") && !open(&reach, "evil.example", "10.1.1.1"));
    }

    #[test]
    fn what_is_denied_is_denied_whatever_else_allows_it() {
        let denied = ["erp.example.com", "8.8.8.0/24", "10.0.0.7"];
        let reach = reach(&["erp.example.com=10.0.0.0/8", "crm.example.com=10.0.0.0/8"], &denied, Some(OWN));
        assert!(reach.refuses("erp.example.com") && !reach.refuses("crm.example.com"));
        assert!(!open(&reach, "erp.example.com", "10.1.1.1") && !open(&reach, "erp.example.com", "1.1.1.1"));
        assert!(open(&reach, "crm.example.com", "10.1.1.1") && !open(&reach, "crm.example.com", "10.0.0.7"));
        for spelled in ["8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"] {
            assert!(!open(&reach, "crm.example.com", spelled), "{spelled}");
        }
    }

    #[test]
    fn the_hosts_own_name_is_closed_unless_it_is_written_down() {
        let closed = reach(&[".example.com=10.0.0.0/8"], &[], Some(OWN));
        assert!(closed.refuses("plugins.example.com") && !open(&closed, "plugins.example.com", "1.1.1.1"));
        let allowed = reach(&["plugins.example.com=8.8.4.4"], &[], Some(OWN));
        assert!(!allowed.refuses("plugins.example.com") && open(&allowed, "plugins.example.com", "8.8.4.4"));
    }

    #[test]
    fn a_machine_that_does_not_know_itself_lets_nothing_out() {
        let lost = reach(&[], &[], None);
        assert!(
            lost.open("erp.example.com", vec!["1.1.1.1".parse().unwrap()]).is_err() && lost.knows_itself().is_err()
        );
    }
}
