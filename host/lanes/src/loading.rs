//! Loading versions for runs. One that is not in memory may have to be compiled, which takes minutes and has a line before it; a
//! run, which holds one of the places, waits a moment for it and comes back later, while the loading goes on.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fangshi_journal::Digest;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// How it ended, once it has.
type Ended = Option<Result<(), String>>;

/// What is being loaded.
pub(crate) struct Loading {
    /// How long those who ask wait, from when the first one asked.
    patience: Duration,
    under_way: Mutex<HashMap<Digest, One>>,
}

#[derive(Clone)]
struct One {
    until: Instant,
    ended: watch::Receiver<Ended>,
}

impl Loading {
    pub(crate) fn new(patience: Duration) -> Loading {
        Loading { patience, under_way: Mutex::default() }
    }

    /// Loads a version, unless somebody does; true if it is loaded, false if that goes on. How it ended is told once to whoever
    /// waits or comes next, and then it may be tried again.
    pub(crate) async fn wait<F>(&self, version: Digest, load: impl FnOnce() -> F) -> Result<bool, String>
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let mut one = self.lock().entry(version).or_insert_with(|| self.start(load())).clone();
        let ended = match timeout_at(one.until, one.ended.wait_for(Option::is_some)).await {
            Err(_) => return Ok(false),
            Ok(Ok(ended)) => ended.clone(),
            Ok(Err(_)) => None,
        };
        let mut under_way = self.lock();
        if under_way.get(&version).is_some_and(|other| other.ended.same_channel(&one.ended)) {
            under_way.remove(&version);
        }
        ended.unwrap_or_else(|| Err("loading it ended without a word".to_owned())).map(|()| true)
    }

    fn start(&self, load: impl Future<Output = Result<(), String>> + Send + 'static) -> One {
        let (tell, ended) = watch::channel(None);
        tokio::spawn(async move { tell.send(Some(load.await)) });
        One { until: Instant::now() + self.patience, ended }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, One>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Notify;

    use super::*;

    const VERSION: Digest = Digest([7; 32]);

    async fn breaks() -> Result<(), String> {
        panic!("the loader")
    }

    async fn never() -> Result<(), String> {
        panic!("it is loaded twice")
    }

    #[tokio::test]
    async fn who_asks_waits_so_long_and_the_loading_goes_on() {
        let loading = Loading::new(Duration::ZERO);
        let (goes_on, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (waits, tells) = (goes_on.clone(), done.clone());
        let slow = || async move {
            waits.notified().await;
            tells.notify_one();
            Ok(())
        };
        assert_eq!(loading.wait(VERSION, slow).await, Ok(false));
        assert_eq!(loading.wait(VERSION, never).await, Ok(false), "nobody waits again");
        goes_on.notify_one();
        done.notified().await;
        let mut one = loading.lock()[&VERSION].clone();
        assert!(one.ended.wait_for(Option::is_some).await.is_ok());
        assert_eq!(loading.wait(VERSION, never).await, Ok(true));
        assert!(!loading.lock().contains_key(&VERSION));
    }

    #[tokio::test]
    async fn how_it_failed_is_told_and_it_may_be_tried_again() {
        let loading = Loading::new(Duration::from_secs(3_600));
        let fails = || async { Err("no memory".to_owned()) };
        let (one, other) = tokio::join!(loading.wait(VERSION, fails), loading.wait(VERSION, never));
        assert_eq!((one, other), (Err("no memory".to_owned()), Err("no memory".to_owned())));
        assert_eq!(loading.wait(VERSION, || async { Ok(()) }).await, Ok(true));
        assert!(loading.wait(VERSION, breaks).await.unwrap_err().contains("without a word"));
    }
}
