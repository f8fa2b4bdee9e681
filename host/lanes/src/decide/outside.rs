//! Which runs may wait for an outside host. A run that waits holds its place, and the host it waits for is a stranger's: hosts
//! that accept and say nothing must not hold all places, nor those of a few tenants all that there are for it.

use std::collections::HashMap;

use fangshi_journal::TenantId;

/// Runs that wait for outside hosts now.
#[derive(Debug)]
pub struct Outside {
    most: usize,
    /// Of these, for one tenant at most.
    of_one: usize,
    /// Of these, for tenants that have none.
    for_first: usize,
    inside: usize,
    of: HashMap<TenantId, usize>,
}

impl Outside {
    /// Of so many runs at a time half may wait, and an eighth of these of one tenant; one always may.
    pub fn of_runs(runs: usize) -> Outside {
        let most = (runs / 2).max(1);
        Outside { most, of_one: (most / 8).max(1), for_first: most / 2, inside: 0, of: HashMap::new() }
    }

    /// Counts one more run of the tenant; false: it may not. A tenant that has none takes any place that is free. One that has
    /// some leaves half of the places to those that have none: waits can't be taken back from whoever has many.
    pub fn enter(&mut self, tenant: TenantId) -> bool {
        let own = self.of.get(&tenant).copied().unwrap_or(0);
        let left = if own == 0 { 0 } else { self.for_first };
        if own >= self.of_one || self.most - self.inside <= left {
            return false;
        }
        self.inside += 1;
        self.of.insert(tenant, own + 1);
        true
    }

    /// One of the tenant's runs waits no more.
    pub fn leave(&mut self, tenant: TenantId) {
        let Some(own) = self.of.get_mut(&tenant) else { return };
        self.inside -= 1;
        *own -= 1;
        if *own == 0 {
            self.of.remove(&tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_of(outside: &mut Outside, tenant: i64) -> usize {
        (0..1_000).take_while(|_| outside.enter(TenantId(tenant))).count()
    }

    #[test]
    fn half_of_the_runs_wait_at_most_and_few_tenants_do_not_keep_the_others_out() {
        let mut outside = Outside::of_runs(64);
        let had: Vec<usize> = (1..=22).map(|tenant| all_of(&mut outside, tenant)).collect();
        assert_eq!(had[..4], [4; 4], "an eighth");
        assert_eq!(had[4..20], [1; 16], "the other half is for those that have none");
        assert_eq!((&had[20..], outside.inside), (&[0, 0][..], 32));
        for _ in 0..4 {
            outside.leave(TenantId(1));
        }
        assert_eq!(all_of(&mut outside, 5), 0, "whoever has one");
        assert_eq!(all_of(&mut outside, 21), 1, "comes after whoever has none");
    }

    #[test]
    fn who_has_waited_has_the_same_again_when_others_are_gone() {
        let mut outside = Outside::of_runs(64);
        for tenant in 1..=20 {
            all_of(&mut outside, tenant);
        }
        for tenant in 1..=20 {
            (0..4).for_each(|_| outside.leave(TenantId(tenant)));
        }
        assert!(outside.of.is_empty() && outside.inside == 0);
        assert_eq!(all_of(&mut outside, 7), 4);
    }

    #[test]
    fn the_smallest_host_has_one_and_nothing_is_left_of_who_has_gone() {
        let mut outside = Outside::of_runs(1);
        assert!(outside.enter(TenantId(1)) && !outside.enter(TenantId(2)));
        outside.leave(TenantId(2));
        outside.leave(TenantId(1));
        assert!(outside.of.is_empty() && outside.inside == 0);
        assert!(outside.enter(TenantId(2)));
    }
}
