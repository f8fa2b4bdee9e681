//! A value that is read anew at most once in a while, however many ask for it.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::Clock;

/// The value read last, and when. Clones are the same.
pub struct Recent<T> {
    kept: Arc<Mutex<Option<(i64, T)>>>,
    /// Milliseconds for which a value is good.
    good_ms: i64,
}

impl<T> std::fmt::Debug for Recent<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recent").field("good_ms", &self.good_ms).finish_non_exhaustive()
    }
}

impl<T> Clone for Recent<T> {
    fn clone(&self) -> Self {
        Recent { kept: Arc::clone(&self.kept), good_ms: self.good_ms }
    }
}

impl<T: Clone + Send + 'static> Recent<T> {
    /// Values are good for so many milliseconds.
    pub fn new(good_ms: i64) -> Recent<T> {
        Recent { kept: Arc::default(), good_ms }
    }

    /// The value, read by `read` if none is recent. Those who ask meanwhile wait for that one reading, which goes to its
    /// end even if everybody who asked has left. `None` only if it panicked.
    pub async fn get<F>(&self, clock: &Clock, read: impl FnOnce() -> F + Send) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut kept = Arc::clone(&self.kept).lock_owned().await;
        let now = clock.now();
        if let Some((at, value)) = &*kept
            && (0..self.good_ms).contains(&now.saturating_sub(*at))
        {
            return Some(value.clone());
        }
        let (clock, reading) = (clock.clone(), read());
        let reading = tokio::spawn(async move {
            let value = reading.await;
            *kept = Some((clock.now(), value.clone()));
            value
        });
        reading.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    /// A reading that counts itself.
    fn counted(reads: &Arc<AtomicU32>) -> impl Future<Output = u32> + Send + 'static + use<> {
        let reads = Arc::clone(reads);
        async move { reads.fetch_add(1, Ordering::SeqCst) + 1 }
    }

    #[tokio::test]
    async fn a_value_is_good_for_its_time_and_no_longer() {
        let (clock, hand) = Clock::manual();
        let (recent, reads) = (Recent::new(1_000), Arc::new(AtomicU32::new(0)));
        for _ in 0..100 {
            assert_eq!(recent.get(&clock, || counted(&reads)).await, Some(1));
        }
        hand.advance(999);
        assert_eq!(recent.get(&clock, || counted(&reads)).await, Some(1));
        hand.advance(1);
        assert_eq!(recent.get(&clock, || counted(&reads)).await, Some(2));
        // A clock that was set back says nothing about the value's age.
        hand.set(clock.now() - 5);
        assert_eq!(recent.get(&clock, || counted(&reads)).await, Some(3));
    }

    #[tokio::test]
    async fn many_who_ask_at_once_cause_one_reading_even_if_the_first_leaves() {
        let (clock, _hand) = Clock::manual();
        let (recent, reads) = (Recent::new(1_000), Arc::new(AtomicU32::new(0)));
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let first = {
            let (recent, clock, reads) = (recent.clone(), clock.clone(), Arc::clone(&reads));
            let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
            tokio::spawn(async move {
                let read = || async move {
                    begun.notify_one();
                    go_on.notified().await;
                    counted(&reads).await
                };
                recent.get(&clock, read).await
            })
        };
        begun.notified().await;
        first.abort();
        let others: Vec<_> = (0..50)
            .map(|_| {
                let (recent, clock, reads) = (recent.clone(), clock.clone(), Arc::clone(&reads));
                tokio::spawn(async move { recent.get(&clock, || counted(&reads)).await })
            })
            .collect();
        go_on.notify_one();
        for other in others {
            assert_eq!(other.await.unwrap(), Some(1));
        }
        assert_eq!(reads.load(Ordering::SeqCst), 1);
    }
}
