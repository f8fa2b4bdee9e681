//! What stands before every request of a shop to an outside host: a circuit breaker for each of its hosts, as the platform has
//! one for each shop. A shop's own, because what a plugin asks of a host decides whether it answers: with one breaker a host, the
//! plugin of one shop could keep all others from an ERP that they share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fangshi_tenants::{Clock, TenantId};

use crate::breaker::{Admission, Breaker, BreakerConfig, Showed};
use crate::fault::{Class, Fault, Sent};
use crate::gate::showed;

/// The breakers that are not as new.
#[derive(Debug, Clone)]
pub(super) struct HostGate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: BreakerConfig,
    clock: Clock,
    hosts: Mutex<HashMap<(TenantId, String), Breaker>>,
}

/// A request that was let pass. One that is dropped before it ended counts as failed: its run waited until its own end.
pub(super) struct Pass {
    gate: HostGate,
    key: (TenantId, String),
    admitted: Admission,
    showed: Showed,
}

impl HostGate {
    pub(super) fn new(config: BreakerConfig, clock: Clock) -> HostGate {
        HostGate(Arc::new(Inner { config, clock, hosts: Mutex::default() }))
    }

    /// Lets a request pass, or says why nothing is sent.
    pub(super) fn enter(&self, tenant: TenantId, host: &str) -> Result<Pass, Fault> {
        let (key, now) = ((tenant, host.to_owned()), self.0.clock.now());
        let admitted = self.hosts().get_mut(&key).map_or(Admission::Pass, |breaker| breaker.admit(now));
        if let Admission::Refused(until) = admitted {
            let seconds = until.saturating_sub(now).max(0) / 1_000;
            let text = format!("{host} failed again and again: nothing is sent to it for {seconds} s");
            return Err(Fault::new(Class::Unreachable, Sent::NotSent, text));
        }
        Ok(Pass { gate: self.clone(), key, admitted, showed: Showed::Fails })
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<(TenantId, String), Breaker>> {
        self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// The request has ended so.
    pub(super) fn ended<T>(mut self, outcome: &Result<T, Fault>) {
        self.showed = showed(outcome);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let (inner, mut hosts) = (&self.gate.0, self.gate.hosts());
        let new = Breaker::new(inner.config);
        let mut breaker = hosts.get(&self.key).copied().unwrap_or(new);
        if breaker.ended(self.admitted, self.showed, inner.clock.now()) {
            metrics::counter!("fangshi_http_breaker_opened_total").increment(1);
            let (tenant, host) = &self.key;
            tracing::warn!(%tenant, host, "an outside host failed again and again for a shop: its requests are held back");
        }
        if breaker == new {
            hosts.remove(&self.key);
        } else {
            hosts.insert(self.key.clone(), breaker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: TenantId = TenantId(1);
    const TWO: TenantId = TenantId(2);

    fn failed(class: Class, sent: Sent) -> Result<(), Fault> {
        Err(Fault::new(class, sent, "no"))
    }

    #[test]
    fn a_host_that_does_not_answer_is_left_alone_by_that_shop() {
        let (clock, hand) = Clock::manual();
        let gate = HostGate::new(BreakerConfig::default(), clock);
        for class in [Class::Unreachable, Class::Unanswered, Class::Unreachable, Class::Unanswered] {
            gate.enter(ONE, "erp.example").unwrap().ended(&failed(class, Sent::Unknown));
        }
        // A run that was ended while it waited.
        drop(gate.enter(ONE, "erp.example").unwrap());
        let refused = gate.enter(ONE, "erp.example").err().unwrap();
        assert_eq!((refused.class, refused.sent), (Class::Unreachable, Sent::NotSent));
        assert_eq!(refused.message, "erp.example failed again and again: nothing is sent to it for 5 s");
        assert!(gate.enter(ONE, "other.example").is_ok() && gate.enter(TWO, "erp.example").is_ok());
        hand.advance(5_000);
        let probe = gate.enter(ONE, "erp.example").unwrap();
        assert!(gate.enter(ONE, "erp.example").is_err(), "one finds out");
        probe.ended(&Ok(()));
        gate.enter(ONE, "erp.example").unwrap().ended(&Ok(()));
    }

    #[test]
    fn what_a_host_answers_and_what_never_left_are_no_failures() {
        let gate = HostGate::new(BreakerConfig::default(), Clock::manual().0);
        for _ in 0..20 {
            gate.enter(ONE, "erp.example").unwrap().ended(&failed(Class::Invalid, Sent::Answered));
            gate.enter(ONE, "erp.example").unwrap().ended(&failed(Class::Permission, Sent::NotSent));
            gate.enter(ONE, "erp.example").unwrap().ended(&Ok(()));
        }
        assert!(gate.hosts().is_empty(), "nothing is kept of a host that works");
    }
}
