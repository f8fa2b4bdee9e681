//! Failed logins, and links to the merchant page that are no good: each address may fail a few times, and all together
//! not much more. Decisions over a small map; the time is a value.
//!
//! No token can be guessed: those that the host made are 256 random bits, and the root token of the config has 32 characters
//! or more. So the operator's token, and those that were right lately, pass whatever their address did before; what is slowed
//! down is the noise of those who try all the same.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

/// Failures of one address that are free, and the time that earns one of them back.
const PER_ADDRESS: (i64, i64) = (10, 6_000);
/// The same for all addresses together.
const OVERALL: (i64, i64) = (200, 300);
/// Addresses remembered; those that failed longest ago are forgotten for new ones.
const REMEMBERED: usize = 4096;

/// Counts failures.
#[derive(Default)]
pub(crate) struct Throttle {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    addresses: HashMap<IpAddr, Bucket>,
    overall: Bucket,
}

impl State {
    /// Makes room: what has drained goes, else the half that failed longest ago. Half at once, so that many addresses
    /// cost no search each.
    fn forget(&mut self, now: i64) {
        self.addresses.retain(|_, bucket| !bucket.is_empty(now));
        if self.addresses.len() < REMEMBERED {
            return;
        }
        let mut times: Vec<i64> = self.addresses.values().map(|bucket| bucket.empty_at).collect();
        let (_, middle, _) = times.select_nth_unstable(REMEMBERED / 2);
        let middle = *middle;
        let mut over = REMEMBERED / 2;
        self.addresses.retain(|_, bucket| {
            let goes = bucket.empty_at <= middle && over > 0;
            over -= usize::from(goes);
            !goes
        });
    }
}

/// Spent allowance: it drains with time. Kept as the time at which it will be empty.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    empty_at: i64,
}

impl Bucket {
    fn add(&mut self, (_, per): (i64, i64), now: i64) {
        self.empty_at = self.empty_at.max(now) + per;
    }

    /// Milliseconds until one more failure fits, if none does now.
    fn rest(self, (burst, per): (i64, i64), now: i64) -> Option<i64> {
        let rest = self.empty_at - now - (burst - 1) * per;
        (rest > 0).then_some(rest)
    }

    fn is_empty(self, now: i64) -> bool {
        self.empty_at <= now
    }
}

impl Throttle {
    /// Whether the address may try to log in at `now` (unix ms); otherwise the seconds to wait. When too many fail
    /// overall, addresses that never failed go on, and those that did wait.
    pub fn check(&self, address: IpAddr, now: i64) -> Result<(), u64> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bucket) = state.addresses.get(&grouped(address)).filter(|bucket| !bucket.is_empty(now)) else {
            return Ok(());
        };
        let rest = bucket.rest(PER_ADDRESS, now).or_else(|| state.overall.rest(OVERALL, now));
        match rest {
            None => Ok(()),
            Some(ms) => Err(u64::try_from(ms).unwrap_or(0).div_ceil(1000)),
        }
    }

    /// A login of the address failed.
    pub fn failed(&self, address: IpAddr, now: i64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.overall.add(OVERALL, now);
        let address = grouped(address);
        if state.addresses.len() >= REMEMBERED && !state.addresses.contains_key(&address) {
            state.forget(now);
        }
        state.addresses.entry(address).or_default().add(PER_ADDRESS, now);
    }
}

/// One household of addresses: a /64 of IPv6 belongs to one customer.
fn grouped(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[test]
    fn an_address_that_fails_waits_and_no_other_does() {
        let throttle = Throttle::default();
        for _ in 0..10 {
            assert_eq!(throttle.check(address(1), 0), Ok(()));
            throttle.failed(address(1), 0);
        }
        assert_eq!(throttle.check(address(1), 0), Err(6));
        assert_eq!(throttle.check(address(1), 5_999), Err(1));
        assert_eq!(throttle.check(address(2), 0), Ok(()));
        assert_eq!(throttle.check(address(1), 6_000), Ok(()), "one failure is earned back");
        throttle.failed(address(1), 6_000);
        assert_eq!(throttle.check(address(1), 6_000), Err(6));
        assert_eq!(throttle.check(address(1), 66_000), Ok(()));
    }

    #[test]
    fn many_addresses_together_are_slowed_but_not_those_that_never_failed() {
        let throttle = Throttle::default();
        for n in 0..200 {
            assert_eq!(throttle.check(address(n), 0), Ok(()));
            throttle.failed(address(n), 0);
        }
        assert_eq!(throttle.check(address(7), 0), Err(1));
        assert_eq!(throttle.check(address(1000), 0), Ok(()));
        assert_eq!(throttle.check(address(7), 300), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        for n in 0..20_000 {
            throttle.failed(address(n), i64::from(n));
        }
        assert!(throttle.state.lock().unwrap().addresses.len() <= REMEMBERED);
        // Old ones go first.
        assert_eq!(throttle.check(address(0), 20_000), Ok(()));
        assert!(throttle.check(address(19_999), 20_000).is_err(), "overall there were too many");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let throttle = Throttle::default();
        for n in 0..10 {
            throttle.failed(format!("2001:db8:1:2::{n:x}").parse().unwrap(), 0);
        }
        assert!(throttle.check("2001:db8:1:2:ffff::1".parse().unwrap(), 0).is_err());
        assert!(throttle.check("2001:db8:1:3::1".parse().unwrap(), 0).is_ok());
        for _ in 0..10 {
            throttle.failed("::ffff:10.0.0.1".parse().unwrap(), 0);
        }
        assert!(throttle.check("10.0.0.1".parse().unwrap(), 0).is_err());
    }
}
