//! Whose turn it is: start-time fair queueing between tenants, so that one with much to do, or with plugins that burn their fuel,
//! have the host work for them or wait for slow hosts outside, gets its share and no more.
//!
//! Each tenant has a time of its own, which goes on by what its drains cost, divided by its weight. Whoever is furthest
//! behind is next. Whoever comes after a pause begins where the others are: nothing is saved up, and nothing is owed for a
//! time when nobody had to wait.

use std::collections::{BTreeSet, HashMap};

use fangshi_journal::{TenantId, Usage};

/// What a millisecond costs, in fuel: about as much as a guest burns in one.
const MILLISECOND: u64 = 1_000_000;
/// What a drain costs beside what its runs do: its turn at the store, about a millisecond.
const DRAIN: u64 = MILLISECOND;

/// What a byte across the border costs. A call that carries little takes the host up to two microseconds and counts some 70
/// bytes; what carries much costs less by the byte, and is not told apart.
const BORDER_BYTE: u64 = 30;
/// How many bytes of memory cost one unit: a page of 4 KiB takes the system about a microsecond, to be handed out, cleared and
/// taken back, for which a guest burns one store.
const MEMORY_BYTES: u64 = 4;

/// What a run costs: the fuel that its guest burned, what the host did for it, the memory that it had, and the time that it held
/// its place for an outside host.
pub fn cost(usage: &Usage, outside_ms: u64) -> u64 {
    usage
        .fuel
        .saturating_add(usage.border_bytes.saturating_mul(BORDER_BYTE))
        .saturating_add(usage.peak_memory / MEMORY_BYTES)
        .saturating_add(outside_ms.saturating_mul(MILLISECOND))
}

/// The line of tenants.
#[derive(Debug, Default)]
pub struct Turns {
    /// The tenants' weights; 1 if not named.
    weights: HashMap<TenantId, u32>,
    /// The time of whoever was started last.
    reached: u64,
    /// The times of tenants that are ahead of it.
    times: HashMap<TenantId, u64>,
    /// Those that may start something: by time, then by how long they stand there.
    line: BTreeSet<(u64, u64, TenantId)>,
    places: HashMap<TenantId, (u64, u64)>,
    stood: u64,
}

impl Turns {
    /// A line with these weights; a tenant that is not named weighs 1.
    pub fn new(weights: HashMap<TenantId, u32>) -> Turns {
        Turns { weights, ..Turns::default() }
    }

    /// The tenant may start something.
    pub fn stand(&mut self, tenant: TenantId) {
        if self.places.contains_key(&tenant) {
            return;
        }
        self.stood += 1;
        let time = self.times.get(&tenant).copied().unwrap_or(0).max(self.reached);
        self.places.insert(tenant, (time, self.stood));
        self.line.insert((time, self.stood, tenant));
    }

    /// The tenant has nothing to start, or may not.
    pub fn leave(&mut self, tenant: TenantId) {
        if let Some((time, stood)) = self.places.remove(&tenant) {
            self.line.remove(&(time, stood, tenant));
        }
    }

    /// Whose turn it is.
    pub fn first(&self) -> Option<TenantId> {
        self.line.first().map(|(_, _, tenant)| *tenant)
    }

    /// Takes the turn: who has it leaves the line, and has paid for a drain.
    pub fn take(&mut self) -> Option<TenantId> {
        let (time, _, tenant) = self.line.pop_first()?;
        self.places.remove(&tenant);
        self.reached = self.reached.max(time);
        self.spend(tenant, time, DRAIN);
        Some(tenant)
    }

    /// What a drain of the tenant has cost beside its turn, in fuel.
    pub fn spent(&mut self, tenant: TenantId, cost: u64) {
        let waits = self.places.contains_key(&tenant);
        self.leave(tenant);
        let time = self.times.get(&tenant).copied().unwrap_or(self.reached);
        self.spend(tenant, time, cost);
        if waits {
            self.stand(tenant);
        }
    }

    /// Nobody waits and nothing runs: what was is forgotten.
    pub fn forget(&mut self) {
        self.reached = 0;
        self.times.clear();
    }

    fn spend(&mut self, tenant: TenantId, time: u64, cost: u64) {
        let weight = self.weights.get(&tenant).copied().unwrap_or(1).max(1);
        self.times.insert(tenant, time.saturating_add(cost / u64::from(weight)));
        // Whoever is not ahead stands where everybody does, and need not be remembered.
        if self.times.len() > 2 * (self.line.len() + 64) {
            let reached = self.reached;
            self.times.retain(|_, time| *time > reached);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEAN: TenantId = TenantId(1);
    const OTHERS: [TenantId; 3] = [TenantId(2), TenantId(3), TenantId(4)];

    /// Starts so many drains one after the other, with everybody waiting all the time; how often each had its turn.
    fn play(weights: &[(TenantId, u32)], drains: usize, fuel: impl Fn(TenantId) -> u64) -> HashMap<TenantId, u64> {
        let mut turns = Turns::new(weights.iter().copied().collect());
        let mut had = HashMap::new();
        for tenant in [MEAN].into_iter().chain(OTHERS) {
            turns.stand(tenant);
        }
        for _ in 0..drains {
            let tenant = turns.take().unwrap();
            *had.entry(tenant).or_default() += 1;
            turns.spent(tenant, fuel(tenant));
            turns.stand(tenant);
        }
        had
    }

    #[test]
    fn equals_have_equally_many_turns() {
        let had = play(&[], 400, |_| 50_000);
        assert!(had.values().all(|turns| *turns == 100), "{had:?}");
    }

    #[test]
    fn who_burns_more_has_fewer_turns() {
        let had = play(&[], 4_000, |tenant| if tenant == MEAN { 99 * DRAIN } else { 0 });
        assert!(had[&MEAN] <= 14, "{had:?}");
        assert!(OTHERS.iter().all(|tenant| had[tenant] >= 1_300), "{had:?}");
    }

    #[test]
    fn who_waits_outside_has_fewer_turns_too() {
        let outside = |ms| cost(&Usage::default(), ms);
        let had = play(&[], 4_000, |tenant| if tenant == MEAN { outside(99) } else { outside(0) });
        assert!(had[&MEAN] <= 14, "{had:?}");
        assert_eq!(outside(u64::MAX), u64::MAX);
    }

    #[test]
    fn who_has_the_host_work_or_takes_much_memory_has_fewer_turns_too() {
        // All that a run may carry across the border, in calls, for next to no fuel.
        let calls = Usage { fuel: 10_000_000, border_bytes: 32 << 20, ..Usage::default() };
        let memory = Usage { fuel: 100_000, peak_memory: 128 << 20, ..Usage::default() };
        let ordinary = Usage { fuel: 30_000, border_bytes: 300, peak_memory: 1 << 20, ..Usage::default() };
        for (mean, most) in [(calls, 5), (memory, 60)] {
            let had = play(&[], 4_000, |tenant| cost(if tenant == MEAN { &mean } else { &ordinary }, 0));
            assert!(had[&MEAN] <= most, "{had:?}");
            assert!(OTHERS.iter().all(|tenant| had[tenant] >= 1_300), "{had:?}");
        }
        let all = Usage { fuel: u64::MAX, border_bytes: u64::MAX, peak_memory: u64::MAX, ..Usage::default() };
        assert_eq!(cost(&all, 1), u64::MAX);
    }

    #[test]
    fn a_weight_is_a_share() {
        let had = play(&[(MEAN, 3)], 600, |_| 0);
        assert_eq!((had[&MEAN], had[&OTHERS[0]]), (300, 100));
    }

    #[test]
    fn nothing_is_saved_up_and_nothing_is_owed_after_a_pause() {
        let mut turns = Turns::default();
        turns.stand(MEAN);
        for _ in 0..100 {
            assert_eq!(turns.take(), Some(MEAN));
            turns.stand(MEAN);
        }
        // A newcomer does not get the hundred turns that it was not there for.
        turns.stand(OTHERS[0]);
        let mut next = || {
            let tenant = turns.take().unwrap();
            turns.stand(tenant);
            tenant
        };
        let first: Vec<_> = (0..6).map(|_| next()).collect();
        assert_eq!(first.iter().filter(|tenant| **tenant == MEAN).count(), 3, "{first:?}");
        turns.leave(MEAN);
        turns.leave(OTHERS[0]);
        turns.forget();
        turns.spent(MEAN, 0);
        turns.stand(MEAN);
        turns.stand(OTHERS[0]);
        assert_eq!(turns.take(), Some(MEAN), "who stands longer, at the same time");
    }

    #[test]
    fn what_a_drain_burned_counts_while_others_of_the_tenant_wait() {
        let mut turns = Turns::default();
        turns.stand(MEAN);
        turns.stand(OTHERS[0]);
        assert_eq!(turns.take(), Some(MEAN));
        turns.stand(MEAN);
        turns.spent(MEAN, 10 * DRAIN);
        for _ in 0..10 {
            assert_eq!(turns.take(), Some(OTHERS[0]));
            turns.stand(OTHERS[0]);
        }
    }
}
