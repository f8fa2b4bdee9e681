//! What stands before every call of a shop: its circuit breaker, and the quotas that the platform said are used up, by
//! operation. In memory: after a restart the platform says it once more.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fangshi_tenants::TenantId;
use serde::Serialize;

use crate::breaker::{Admission, Breaker, BreakerConfig, BreakerState, Showed};
use crate::fault::{Class, Fault, Sent};

/// How the platform treats a shop now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShopStanding {
    /// `closed`, `open`, `half-open`.
    pub breaker: &'static str,
    /// Failures in a row.
    pub failures: u32,
    /// Since when the breaker is not closed, unix milliseconds.
    pub opened_at: Option<i64>,
    /// When one call may find out whether the platform answers again, unix milliseconds.
    pub probe_at: Option<i64>,
    /// Operations whose quota is used up, with the time when it opens again, unix milliseconds.
    pub limited: BTreeMap<&'static str, i64>,
}

/// A call that was let pass.
pub(crate) struct Pass(Admission);

struct Shop {
    breaker: Breaker,
    limited: BTreeMap<&'static str, (i64, Class)>,
}

pub(crate) struct Gate {
    config: BreakerConfig,
    shops: Mutex<HashMap<TenantId, Shop>>,
}

impl Gate {
    pub(crate) fn new(config: BreakerConfig) -> Gate {
        Gate { config, shops: Mutex::default() }
    }

    /// Lets a call pass, or says why nothing is sent. `now`: unix milliseconds.
    pub(crate) fn enter(&self, tenant: TenantId, operation: &'static str, now: i64) -> Result<Pass, Fault> {
        let mut shops = self.shops();
        let Some(shop) = shops.get_mut(&tenant) else { return Ok(Pass(Admission::Pass)) };
        if let Some((until, class)) = shop.limited.get(operation).copied() {
            if holds(until, now) {
                let text = "the quota of this call is used up: it was not sent";
                let mut fault = Fault::new(class, Sent::NotSent, text);
                fault.retry_after = u32::try_from((until - now + 999) / 1_000).ok();
                return Err(fault);
            }
            shop.limited.remove(operation);
        }
        match shop.breaker.admit(now) {
            Admission::Refused(until) => {
                let seconds = until.saturating_sub(now).max(0) / 1_000;
                let text = format!("the platform failed again and again: nothing is sent for {seconds} s");
                Err(Fault::new(Class::Unreachable, Sent::NotSent, text))
            }
            admission => Ok(Pass(admission)),
        }
    }

    /// A call has ended. `now`: unix milliseconds.
    pub(crate) fn leave<T>(
        &self,
        tenant: TenantId,
        operation: &'static str,
        pass: Pass,
        outcome: &Result<T, Fault>,
        now: i64,
    ) {
        let mut shops = self.shops();
        let showed = showed(outcome);
        if showed == Showed::Works && !shops.contains_key(&tenant) && !is_quota(outcome) {
            return;
        }
        let config = self.config;
        let shop =
            shops.entry(tenant).or_insert_with(|| Shop { breaker: Breaker::new(config), limited: BTreeMap::new() });
        if shop.breaker.ended(pass.0, showed, now) {
            metrics::counter!("fangshi_breaker_opened_total").increment(1);
            tracing::warn!(%tenant, "the platform failed again and again for a shop: its calls are held back");
        }
        if let Err(fault) = outcome
            && is_quota(outcome)
            && let Some(seconds) = fault.retry_after
        {
            shop.limited.insert(operation, (now.saturating_add(i64::from(seconds) * 1_000), fault.class));
        }
        let idle = shop.breaker == Breaker::new(config) && !shop.limited.values().any(|(until, _)| holds(*until, now));
        if idle {
            shops.remove(&tenant);
        }
    }

    /// How a shop stands. `now`: unix milliseconds.
    pub(crate) fn standing(&self, tenant: TenantId, now: i64) -> ShopStanding {
        let shops = self.shops();
        let (breaker, limited) = match shops.get(&tenant) {
            None => (Breaker::new(self.config), BTreeMap::new()),
            Some(shop) => {
                let open = shop.limited.iter().filter(|(_, (until, _))| holds(*until, now));
                (shop.breaker, open.map(|(name, (until, _))| (*name, *until)).collect())
            }
        };
        let (name, probe_at) = match breaker.state() {
            BreakerState::Closed => ("closed", None),
            BreakerState::Open(until) => ("open", Some(until)),
            BreakerState::HalfOpen(_) => ("half-open", None),
        };
        let (failures, opened_at) = (breaker.failures(), breaker.opened_at());
        ShopStanding { breaker: name, failures, opened_at, probe_at, limited }
    }

    /// Shops whose breaker is not closed.
    pub(crate) fn held_back(&self) -> Vec<TenantId> {
        let mut held: Vec<TenantId> =
            self.shops().iter().filter(|(_, shop)| shop.breaker.opened_at().is_some()).map(|(id, _)| *id).collect();
        held.sort();
        held
    }

    fn shops(&self) -> MutexGuard<'_, HashMap<TenantId, Shop>> {
        self.shops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The longest that a quota can be used up, milliseconds: a day.
const LONGEST_MS: i64 = 86_400_000;

/// Whether a quota is used up still. One that ends later than any can was noted by a clock that was set back since.
fn holds(until: i64, now: i64) -> bool {
    now < until && until <= now.saturating_add(LONGEST_MS)
}

fn is_quota<T>(outcome: &Result<T, Fault>) -> bool {
    let Err(fault) = outcome else { return false };
    matches!(fault.class, Class::MinuteQuota | Class::DayQuota) && fault.sent == Sent::Answered
}

/// What an outcome says of whom was called: not of the request, and not of this host.
pub(crate) fn showed<T>(outcome: &Result<T, Fault>) -> Showed {
    match outcome {
        Ok(_) => Showed::Works,
        Err(fault) => match fault.class {
            Class::Busy | Class::Unreachable | Class::Unanswered => Showed::Fails,
            _ if fault.sent == Sent::Answered => Showed::Works,
            _ => Showed::Nothing,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: TenantId = TenantId(1);
    const TWO: TenantId = TenantId(2);

    fn failed(class: Class, sent: Sent, retry_after: Option<u32>) -> Result<(), Fault> {
        Err(Fault { retry_after, ..Fault::new(class, sent, "no") })
    }

    fn call(gate: &Gate, tenant: TenantId, operation: &'static str, outcome: Result<(), Fault>, now: i64) {
        let pass = gate.enter(tenant, operation, now).unwrap();
        gate.leave(tenant, operation, pass, &outcome, now);
    }

    #[test]
    fn a_used_up_quota_holds_back_its_own_operation_of_its_own_shop() {
        let gate = Gate::new(BreakerConfig::default());
        call(&gate, ONE, "getorder", failed(Class::DayQuota, Sent::Answered, Some(100)), 0);
        let refused = gate.enter(ONE, "getorder", 50_500).err().unwrap();
        assert_eq!((refused.class, refused.sent, refused.retry_after), (Class::DayQuota, Sent::NotSent, Some(50)));
        assert!(gate.enter(ONE, "changemerchantnotes", 50_500).is_ok());
        assert!(gate.enter(TWO, "getorder", 50_500).is_ok());
        assert_eq!(gate.standing(ONE, 50_500).limited, BTreeMap::from([("getorder", 100_000)]));
        call(&gate, ONE, "getorder", Ok(()), 100_000);
        assert!(gate.standing(ONE, 100_000).limited.is_empty());
        assert!(gate.shops().is_empty(), "nothing is kept of a shop that works");
    }

    #[test]
    fn a_clock_that_was_set_back_leaves_no_quota_used_up_for_years() {
        let gate = Gate::new(BreakerConfig::default());
        let year = 365 * LONGEST_MS;
        call(&gate, ONE, "getorder", failed(Class::DayQuota, Sent::Answered, Some(86_400)), year);
        assert!(gate.enter(ONE, "getorder", year).is_err());
        assert!(gate.standing(ONE, 0).limited.is_empty());
        call(&gate, ONE, "getorder", Ok(()), 0);
        assert!(gate.shops().is_empty());
    }

    #[test]
    fn a_failing_platform_opens_the_breaker_of_that_shop_and_refusals_do_not() {
        let gate = Gate::new(BreakerConfig::default());
        for _ in 0..20 {
            call(&gate, ONE, "getorder", failed(Class::Conflict, Sent::Answered, None), 0);
            call(&gate, ONE, "getorder", failed(Class::Suspended, Sent::NotSent, None), 0);
            call(&gate, ONE, "getorder", failed(Class::TooOften, Sent::Answered, None), 0);
        }
        assert_eq!(gate.standing(ONE, 0).breaker, "closed");
        for class in [Class::Busy, Class::Unreachable, Class::Unanswered, Class::Busy, Class::Busy] {
            let sent = if class == Class::Busy { Sent::Answered } else { Sent::Unknown };
            call(&gate, ONE, "getorder", failed(class, sent, None), 0);
        }
        let refused = gate.enter(ONE, "changemerchantnotes", 1_000).err().unwrap();
        assert_eq!((refused.class, refused.sent), (Class::Unreachable, Sent::NotSent));
        assert_eq!(gate.held_back(), [ONE]);
        assert!(gate.enter(TWO, "getorder", 1_000).is_ok());
        call(&gate, ONE, "getorder", Ok(()), 5_000);
        assert!(gate.held_back().is_empty());
    }
}
