//! Which runs may wait for an outside host. A run that waits holds its place, and the host it waits for is a stranger's: hosts
//! that accept and say nothing must not hold all places, nor those of one tenant all that there are for it.

use std::collections::HashMap;

use fangshi_journal::TenantId;

/// Runs that wait for outside hosts now.
#[derive(Debug)]
pub struct Outside {
    most: usize,
    inside: usize,
    of: HashMap<TenantId, usize>,
}

impl Outside {
    /// Of so many runs at a time half may wait.
    pub fn of_runs(runs: usize) -> Outside {
        Outside { most: (runs / 2).max(1), inside: 0, of: HashMap::new() }
    }

    /// Counts one more run of the tenant; false: it may not. A tenant has at most as many as it leaves to others, so that
    /// whoever comes next finds room, and whoever is alone has half.
    pub fn enter(&mut self, tenant: TenantId) -> bool {
        let own = self.of.get(&tenant).copied().unwrap_or(0);
        if own >= self.most - self.inside {
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
    fn half_of_the_runs_wait_at_most_and_whoever_comes_finds_room() {
        let mut outside = Outside::of_runs(64);
        let had: Vec<usize> = (1..=8).map(|tenant| all_of(&mut outside, tenant)).collect();
        assert_eq!(had, [16, 8, 4, 2, 1, 1, 0, 0]);
        for _ in 0..16 {
            outside.leave(TenantId(1));
        }
        assert_eq!(all_of(&mut outside, 9), 8);
        assert!(outside.inside <= 32);
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
