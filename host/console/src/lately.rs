//! Tokens that were right lately: they may be looked up whatever their address did, so that nobody is locked out by what
//! others send from a shared one. All others wait with their address before the store is asked.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use fangshi_tenants::Digest;

/// Tokens remembered. When they are more, all are forgotten: each is remembered again at its next use.
const REMEMBERED: usize = 4096;

/// Digests of tokens that were right when they came last.
#[derive(Default)]
pub(crate) struct Lately {
    right: Mutex<HashSet<Digest>>,
}

impl Lately {
    /// Whether the token was right when it came last.
    pub fn holds(&self, token: &[u8]) -> bool {
        self.right().contains(&Digest::of(token))
    }

    /// The token is right.
    pub fn keep(&self, token: &[u8]) {
        let mut right = self.right();
        if right.len() >= REMEMBERED {
            right.clear();
        }
        right.insert(Digest::of(token));
    }

    /// The token is wrong, or no longer right.
    pub fn forget(&self, token: &[u8]) {
        self.right().remove(&Digest::of(token));
    }

    fn right(&self) -> std::sync::MutexGuard<'_, HashSet<Digest>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_held_from_its_use_to_its_end_and_memory_is_bounded() {
        let lately = Lately::default();
        assert!(!lately.holds(b"one"));
        lately.keep(b"one");
        assert!(lately.holds(b"one") && !lately.holds(b"two"));
        lately.forget(b"one");
        assert!(!lately.holds(b"one"));
        for n in 0..10_000_u32 {
            lately.keep(&n.to_be_bytes());
        }
        assert!(lately.right().len() <= REMEMBERED);
        assert!(lately.holds(&9_999_u32.to_be_bytes()));
    }
}
