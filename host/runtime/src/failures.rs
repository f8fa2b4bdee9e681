//! Components that the compiler refused lately: trying again would take as long, and end so again. By their digests; the engine
//! is one, and what another one makes of them is found out after its start.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::compiler::CompileError;
use crate::plugin::RuntimeError;

/// How long a refusal holds. Whether a component takes too long also depends on what else there is to do.
const HOLDS: Duration = Duration::from_secs(15 * 60);
/// Refusals remembered, at most.
const MOST: usize = 4_096;

/// What was refused.
#[derive(Default)]
pub(crate) struct Failures(Mutex<HashMap<[u8; 32], (Instant, RuntimeError)>>);

impl Failures {
    /// Why a component is not compiled now, if it is not.
    pub(crate) fn of(&self, digest: &[u8; 32], now: Instant) -> Option<RuntimeError> {
        let held = self.lock().get(digest).filter(|(until, _)| now < *until).cloned();
        held.map(|(_, error)| error)
    }

    /// Remembers a refusal that is the component's own doing.
    pub(crate) fn keep(&self, digest: [u8; 32], error: &RuntimeError, now: Instant) {
        let own = matches!(
            error,
            RuntimeError::Unloadable(_)
                | RuntimeError::Compile(CompileError::TooSlow { .. } | CompileError::TooLarge { .. })
        );
        if !own {
            return;
        }
        let mut all = self.lock();
        if all.len() >= MOST {
            all.retain(|_, (until, _)| now < *until);
        }
        if all.len() < MOST {
            all.insert(digest, (now + HOLDS, error.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], (Instant, RuntimeError)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_components_own_doing_holds_for_a_while_and_nothing_else() {
        let (failures, now) = (Failures::default(), Instant::now());
        let slow = RuntimeError::Compile(CompileError::TooSlow { allowed: 7 });
        let large = RuntimeError::Compile(CompileError::TooLarge { limit: "compiled_bytes", allowed: 9 });
        let refused = RuntimeError::Unloadable("no such type".into());
        for (digest, error) in [(1, &slow), (2, &large), (3, &refused)] {
            failures.keep([digest; 32], error, now);
            let held = failures.of(&[digest; 32], now + HOLDS - Duration::from_nanos(1)).unwrap();
            assert_eq!(held.to_string(), error.to_string());
            assert!(failures.of(&[digest; 32], now + HOLDS).is_none());
        }
        for (digest, error) in [
            (4, RuntimeError::Compile(CompileError::Unavailable("no process".into()))),
            (5, RuntimeError::Compile(CompileError::Failed("killed".into()))),
            (6, RuntimeError::Compile(CompileError::NoMemory)),
            (7, RuntimeError::Bytes("the store is gone".into())),
        ] {
            failures.keep([digest; 32], &error, now);
            assert!(failures.of(&[digest; 32], now).is_none(), "{error}");
        }
    }

    #[test]
    fn so_many_are_remembered() {
        let (failures, now) = (Failures::default(), Instant::now());
        let refused = RuntimeError::Unloadable(String::new());
        let digest = |n: usize| {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&n.to_be_bytes());
            digest
        };
        for n in 0..MOST + 10 {
            failures.keep(digest(n), &refused, now);
        }
        assert_eq!(failures.lock().len(), MOST);
        failures.keep(digest(MOST + 20), &refused, now + HOLDS);
        assert_eq!(failures.lock().len(), 1, "what holds no more made room");
    }
}
