//! Waiting for what another process does.

use std::time::Duration;

/// Looks for something to come, 100 ms apart: two minutes of them.
const LOOKS: usize = 1_200;

/// What `look` finds, as soon as it does; `what` is the complaint of whoever waited for nothing.
///
/// # Panics
/// It never came.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}");
}
