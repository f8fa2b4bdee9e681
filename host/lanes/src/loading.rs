//! Loading versions for runs. One that is not in memory may have to be compiled, which takes minutes and has a line before it; a
//! run, which holds one of the places, waits a moment for it and comes back later, while the loading goes on.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fangshi_journal::{Digest, TenantId};
use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

/// For whom, and what: why a version can't be had may be its tenant's alone, and nobody else is to hear of it.
type Key = (TenantId, Digest);

/// How it ended, once it has.
type Ended<T> = Option<Result<T, String>>;

/// What is being loaded.
pub(crate) struct Loading<T> {
    /// How long those who ask wait, from when the first one asked.
    patience: Duration,
    /// How long it is kept why a load failed, for whoever comes next.
    kept: Duration,
    under_way: Arc<UnderWay<T>>,
}

struct UnderWay<T>(Mutex<HashMap<Key, One<T>>>);

#[derive(Clone)]
struct One<T> {
    until: Instant,
    ended: watch::Receiver<Ended<T>>,
}

impl<T: Clone + Send + Sync + 'static> Loading<T> {
    pub(crate) fn new(patience: Duration, kept: Duration) -> Loading<T> {
        Loading { patience, kept, under_way: Arc::new(UnderWay(Mutex::default())) }
    }

    /// Loads a version for a tenant, unless somebody does; `None` if that takes longer than those who ask wait, and it goes on.
    /// What was loaded is the caller's to keep: whoever waits has it, and who comes later begins anew. Why it failed is told once,
    /// to whoever waits or comes next, and then it may be tried again.
    pub(crate) async fn wait<F>(
        &self,
        tenant: TenantId,
        version: Digest,
        load: impl FnOnce() -> F,
    ) -> Result<Option<T>, String>
    where
        F: Future<Output = Result<T, String>> + Send + 'static,
    {
        let key = (tenant, version);
        let mut one = self.under_way.lock().entry(key).or_insert_with(|| self.start(key, load())).clone();
        let ended = match timeout_at(one.until, one.ended.wait_for(Option::is_some)).await {
            Err(_) => return Ok(None),
            Ok(ended) => ended.ok().and_then(|ended| ended.clone()),
        };
        self.under_way.forget(key, &one.ended);
        ended.unwrap_or_else(broken).map(Some)
    }

    fn start(&self, key: Key, load: impl Future<Output = Result<T, String>> + Send + 'static) -> One<T> {
        let (tell, ended) = watch::channel(None);
        let (under_way, kept, this) = (Arc::clone(&self.under_way), self.kept, ended.clone());
        tokio::spawn(async move {
            let ended = AssertUnwindSafe(load).catch_unwind().await.unwrap_or_else(|_| broken());
            // Whoever comes back long after it is to find nothing old, and to have a wait of its own.
            let failed = ended.is_err();
            if !failed {
                under_way.forget(key, &this);
            }
            tell.send_replace(Some(ended));
            if failed {
                sleep(kept).await;
                under_way.forget(key, &this);
            }
        });
        One { until: Instant::now() + self.patience, ended }
    }
}

impl<T> UnderWay<T> {
    /// Takes a load out, unless another one has begun since.
    fn forget(&self, key: Key, ended: &watch::Receiver<Ended<T>>) {
        let mut all = self.lock();
        if all.get(&key).is_some_and(|one| one.ended.same_channel(ended)) {
            all.remove(&key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, One<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn broken<T>() -> Result<T, String> {
    Err("loading it ended without a word".to_owned())
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;

    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);
    const ONE: TenantId = TenantId(1);
    const OTHER: TenantId = TenantId(2);
    const VERSION: Digest = Digest([7; 32]);

    async fn breaks() -> Result<u8, String> {
        panic!("the loader")
    }

    async fn never() -> Result<u8, String> {
        panic!("it is loaded twice")
    }

    /// A load that ends so when it is told to.
    fn ends(so: Result<u8, String>) -> (Arc<Notify>, impl Future<Output = Result<u8, String>> + Send + 'static) {
        let told = Arc::new(Notify::new());
        let waits = Arc::clone(&told);
        (told, async move {
            waits.notified().await;
            so
        })
    }

    /// Lets a load end that nobody waits for.
    async fn end(loading: &Loading<u8>, told: &Notify) {
        let mut one = loading.under_way.lock()[&(ONE, VERSION)].clone();
        told.notify_one();
        assert!(one.ended.wait_for(Option::is_some).await.is_ok());
    }

    #[tokio::test]
    async fn who_asks_waits_so_long_and_the_loading_goes_on() {
        let loading = Loading::new(Duration::ZERO, LONG);
        let (told, slow) = ends(Ok(1));
        assert_eq!(loading.wait(ONE, VERSION, || slow).await, Ok(None));
        assert_eq!(loading.wait(ONE, VERSION, never).await, Ok(None), "nobody waits again");
        end(&loading, &told).await;
        assert!(loading.under_way.lock().is_empty(), "nothing is left of it, though nobody came for it");

        // Long after that it is no longer in memory.
        let (_told, slow) = ends(Ok(2));
        assert_eq!(loading.wait(ONE, VERSION, || slow).await, Ok(None), "the next load is waited for no longer");

        let loading = Loading::new(LONG, LONG);
        let (told, slow) = ends(Ok(3));
        told.notify_one();
        let (one, other) = tokio::join!(loading.wait(ONE, VERSION, || slow), loading.wait(ONE, VERSION, never));
        assert_eq!((one, other), (Ok(Some(3)), Ok(Some(3))));
        assert!(loading.under_way.lock().is_empty());
    }

    #[tokio::test]
    async fn how_it_failed_is_told_and_it_may_be_tried_again() {
        let loading = Loading::new(LONG, LONG);
        let fails = || async { Err("no memory".to_owned()) };
        let (one, other) = tokio::join!(loading.wait(ONE, VERSION, fails), loading.wait(ONE, VERSION, never));
        assert_eq!((one, other), (Err("no memory".to_owned()), Err("no memory".to_owned())));
        assert_eq!(loading.wait(ONE, VERSION, || async { Ok(1) }).await, Ok(Some(1)));
        assert!(loading.wait(ONE, VERSION, breaks).await.unwrap_err().contains("without a word"));
        assert!(loading.under_way.lock().is_empty());
    }

    #[tokio::test]
    async fn a_failure_that_nobody_waited_for_is_told_to_who_comes_next_and_is_not_kept_for_ever() {
        let loading = Loading::new(Duration::ZERO, LONG);
        let (told, slow) = ends(Err("no memory".to_owned()));
        assert_eq!(loading.wait(ONE, VERSION, || slow).await, Ok(None));
        end(&loading, &told).await;
        assert_eq!(loading.wait(ONE, VERSION, never).await, Err("no memory".to_owned()));
        assert!(loading.under_way.lock().is_empty());

        let loading = Loading::new(Duration::ZERO, Duration::ZERO);
        let (told, slow) = ends(Err("no memory".to_owned()));
        assert_eq!(loading.wait(ONE, VERSION, || slow).await, Ok(None));
        end(&loading, &told).await;
        let forgotten = async {
            while !loading.under_way.lock().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(60), forgotten).await.is_ok(), "it is kept for ever");
    }

    #[tokio::test]
    async fn why_a_tenant_can_not_have_a_version_is_told_to_no_other() {
        let loading = Loading::new(LONG, LONG);
        let fails = || async { Err("its key is gone".to_owned()) };
        let (one, other) =
            tokio::join!(loading.wait(ONE, VERSION, fails), loading.wait(OTHER, VERSION, || async { Ok(1) }));
        assert_eq!((one, other), (Err("its key is gone".to_owned()), Ok(Some(1))));
    }
}
