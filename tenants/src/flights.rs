//! Work that may not be cut off: a call whose answer is given once, and what keeps that answer. Each flight runs in a task of
//! its own, whoever waits for it, and an orderly stop waits for those under way before the store is closed.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// The flights of a process. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Flights {
    tracker: TaskTracker,
}

impl Flights {
    /// Starts one; `None` if the host is closing: it was not begun, so nothing is lost.
    pub fn start<F>(&self, flight: F) -> Option<JoinHandle<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        // Counted before the look: whoever closes after it waits for this one.
        let flight = self.tracker.track_future(flight);
        (!self.tracker.is_closed()).then(|| tokio::spawn(flight))
    }

    /// From now on none is started.
    pub fn close(&self) {
        self.tracker.close();
    }

    /// Whether the host is closing: a flight under way keeps what it has, and makes no call of the platform any more. So it
    /// lands within the time of one call, however many it would have made.
    pub fn is_closed(&self) -> bool {
        self.tracker.is_closed()
    }

    /// Closes, and waits for those under way; false if some were still flying after `patience`.
    pub async fn land(&self, patience: Duration) -> bool {
        self.close();
        tokio::time::timeout(patience, self.tracker.wait()).await.is_ok()
    }
}
