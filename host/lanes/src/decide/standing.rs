//! Whether an attempt may go on: asked before it begins, and again before every call that leaves the host.

use std::collections::BTreeSet;

use fangshi_operations::meets;

use super::choose::Standing;
use super::ending::Halt;

/// Why an attempt may not go on; none if it may. `standing` and `granted` are the installation's now, `asks` is what the
/// run's pinned version asks for. Another version of the installation is no reason: a run keeps the one of its event.
pub fn withheld(standing: Standing, granted: &BTreeSet<String>, asks: &BTreeSet<String>) -> Option<Halt> {
    match standing {
        Standing::Gone => Some(Halt::Removed),
        Standing::Held => Some(Halt::Paused),
        Standing::Open => {
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
        assert_eq!(withheld(Standing::Open, &asks, &asks), None);
        assert_eq!(withheld(Standing::Open, &more, &asks), None);
        let halt = withheld(Standing::Open, &asks, &more);
        assert_eq!(halt, Some(Halt::Withdrawn { grants: vec!["price".into()] }));
        let (wide, host) = (names(&["http", "http:a.example"]), names(&["http:a.example", "http:b.example"]));
        assert_eq!(withheld(Standing::Open, &host, &wide), None);
        let halt = withheld(Standing::Open, &names(&["http:b.example"]), &wide);
        assert_eq!(halt, Some(Halt::Withdrawn { grants: vec!["http:a.example".into()] }));
        assert_eq!(withheld(Standing::Held, &more, &asks), Some(Halt::Paused));
        assert_eq!(withheld(Standing::Gone, &more, &asks), Some(Halt::Removed));
    }
}
