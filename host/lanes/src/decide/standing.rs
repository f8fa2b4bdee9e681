//! Whether an attempt may go on: asked before it begins, and again before every call that leaves the host.

use std::collections::BTreeSet;

use fangshi_operations::meets;
use fangshi_tenants::Stop;

use super::choose::Standing;
use super::ending::Halt;

/// Why an attempt may not go on; none if it may. `standing` and `granted` are the installation's now, `stop` and `asks` are
/// about the run's pinned version: why its runs do not go on, and what it asks for. That the installation has another version is
/// no reason by itself: a run keeps the one of its event.
pub fn withheld(
    standing: Standing,
    stop: Option<Stop>,
    granted: &BTreeSet<String>,
    asks: &BTreeSet<String>,
) -> Option<Halt> {
    match (standing, stop) {
        (Standing::Gone, _) => Some(Halt::Removed),
        (Standing::Open | Standing::Held, Some(stop)) => Some(Halt::Stopped(stop)),
        (Standing::Held, None) => Some(Halt::Paused),
        (Standing::Open, None) => {
            let grants: Vec<String> = asks.iter().filter(|asked| !meets(granted.iter(), asked)).cloned().collect();
            (!grants.is_empty()).then_some(Halt::Withdrawn { grants })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_goes_on_only_while_its_installation_works_with_all_that_the_version_asks_for() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let (asks, more) = (names(&["notes"]), names(&["notes", "price"]));
        assert_eq!(withheld(Standing::Open, None, &asks, &asks), None);
        assert_eq!(withheld(Standing::Open, None, &more, &asks), None);
        let halt = withheld(Standing::Open, None, &asks, &more);
        assert_eq!(halt, Some(Halt::Withdrawn { grants: vec!["price".into()] }));
        let (wide, host) = (names(&["http", "http:a.example"]), names(&["http:a.example", "http:b.example"]));
        assert_eq!(withheld(Standing::Open, None, &host, &wide), None);
        let halt = withheld(Standing::Open, None, &names(&["http:b.example"]), &wide);
        assert_eq!(halt, Some(Halt::Withdrawn { grants: vec!["http:a.example".into()] }));
        assert_eq!(withheld(Standing::Held, None, &more, &asks), Some(Halt::Paused));
        assert_eq!(withheld(Standing::Gone, None, &more, &asks), Some(Halt::Removed));
        for stop in [Stop::Quarantined, Stop::Revoked] {
            for standing in [Standing::Open, Standing::Held] {
                assert_eq!(withheld(standing, Some(stop), &more, &asks), Some(Halt::Stopped(stop)));
            }
            assert_eq!(withheld(Standing::Gone, Some(stop), &more, &asks), Some(Halt::Removed));
        }
    }
}
