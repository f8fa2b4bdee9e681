//! The line before the one compiler. Whom a run waits for goes first: an event shall not stand behind what others upload.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

type Digest = [u8; 32];

/// Who waits for the compiler.
#[derive(Default)]
pub(crate) struct Line(Mutex<State>);

#[derive(Default)]
struct State {
    /// Somebody has the turn.
    taken: bool,
    waiting: VecDeque<(Digest, oneshot::Sender<Turn>)>,
    /// Components that runs wait for, and how many do.
    wanted: HashMap<Digest, usize>,
}

/// The compiler is its holder's until it is dropped.
pub(crate) struct Turn(Option<Arc<Line>>);

/// A run waits for a component, for as long as this is kept. Also for one that stands in the line already, as an upload.
pub(crate) struct Wanted {
    line: Arc<Line>,
    digest: Digest,
}

impl Line {
    pub(crate) fn want(self: &Arc<Self>, digest: Digest) -> Wanted {
        *self.lock().wanted.entry(digest).or_default() += 1;
        Wanted { line: Arc::clone(self), digest }
    }

    /// The turn to compile a component.
    pub(crate) async fn turn(self: &Arc<Self>, digest: Digest) -> Turn {
        let called = {
            let mut state = self.lock();
            if !state.taken {
                state.taken = true;
                return Turn(Some(Arc::clone(self)));
            }
            let (call, called) = oneshot::channel();
            state.waiting.push_back((digest, call));
            called
        };
        // Whoever is in the line is called: it is not taken while nobody has the turn.
        called.await.unwrap_or(Turn(None))
    }

    fn pass_on(self: &Arc<Self>) {
        loop {
            let Some(call) = self.lock().next() else { return };
            // Who went away leaves the turn to the next one.
            match call.send(Turn(Some(Arc::clone(self)))) {
                Ok(()) => return,
                Err(mut turn) => drop(turn.0.take()),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Who is next; if nobody is, the turn is free.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let wanted = self.waiting.iter().position(|(digest, _)| self.wanted.contains_key(digest));
        let next = self.waiting.remove(wanted.unwrap_or(0));
        self.taken = next.is_some();
        next.map(|(_, call)| call)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(line) = self.0.take() {
            line.pass_on();
        }
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        let mut state = self.line.lock();
        if let Some(count) = state.wanted.get_mut(&self.digest) {
            *count -= 1;
            if *count == 0 {
                state.wanted.remove(&self.digest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// Puts these into the line while somebody has the turn, then lets all go; in which order they came to theirs.
    async fn order(line: &Arc<Line>, digests: &[u8]) -> Vec<u8> {
        let first = line.turn([0; 32]).await;
        let came = Arc::new(Mutex::new(Vec::new()));
        let mut all = tokio::task::JoinSet::new();
        for (nth, digest) in digests.iter().copied().enumerate() {
            let (line, came) = (Arc::clone(line), Arc::clone(&came));
            all.spawn(async move {
                let _turn = line.turn([digest; 32]).await;
                came.lock().unwrap().push(digest);
            });
            while line_len(&first) <= nth {
                tokio::task::yield_now().await;
            }
        }
        drop(first);
        while all.join_next().await.is_some() {}
        came.lock().unwrap().clone()
    }

    fn line_len(turn: &Turn) -> usize {
        turn.0.as_ref().unwrap().lock().waiting.len()
    }

    #[tokio::test]
    async fn whom_a_run_waits_for_goes_first_and_all_others_as_they_came() {
        let line = Arc::new(Line::default());
        assert_eq!(order(&line, &[1, 2, 3]).await, [1, 2, 3]);
        let run = line.want([3; 32]);
        let also = line.want([3; 32]);
        assert_eq!(order(&line, &[1, 2, 3, 4]).await, [3, 1, 2, 4], "though it stood there as an upload");
        drop(run);
        assert_eq!(order(&line, &[1, 3]).await, [3, 1], "another run waits still");
        drop(also);
        assert_eq!(order(&line, &[1, 3]).await, [1, 3]);
        assert!(line.lock().wanted.is_empty() && !line.lock().taken);
    }

    #[tokio::test]
    async fn who_goes_away_keeps_nobody_waiting() {
        let line = Arc::new(Line::default());
        let first = line.turn([0; 32]).await;
        let (mut gone, mut stays) = (Box::pin(line.turn([1; 32])), Box::pin(line.turn([2; 32])));
        for waits in [&mut gone, &mut stays] {
            assert!(waits.as_mut().now_or_never().is_none());
        }
        // One goes before it is called, another one after it.
        drop(gone);
        drop(first);
        drop(stays);
        let _again = line.turn([3; 32]).await;
    }
}
