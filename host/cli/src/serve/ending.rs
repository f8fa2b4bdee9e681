//! What ends a host that serves: somebody's wish, or a part that it can't work without.

use fangshi_database::Writer;

use super::signals::Signals;

/// Why the host stops.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    /// A signal, by its name.
    Signal(&'static str),
    /// The writer of the store has died: no event can be recorded any more.
    WriterDied,
}

impl Ending {
    /// Waits for it.
    pub async fn wait(signals: &mut Signals, writer: &Writer) -> Ending {
        tokio::select! {
            signal = signals.next() => Ending::Signal(signal),
            () = writer.ended() => Ending::WriterDied,
        }
    }

    /// The end of the process: an error unless it was wished for, so that a supervisor starts it again.
    pub fn outcome(self) -> anyhow::Result<()> {
        match self {
            Ending::Signal(_) => Ok(()),
            Ending::WriterDied => anyhow::bail!(
                "the writer of the store has died, so no event can be recorded: start the host again. Nothing that was \
                 answered `success` is lost; what the writer said last stands above in the log"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use fangshi_database::{Database, OpenOptions};

    use super::*;

    #[tokio::test]
    async fn a_writer_that_ends_while_nobody_asked_for_it_ends_the_host_with_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(OpenOptions::new(dir.path())).await.unwrap();
        let mut signals = Signals::new().unwrap();
        let writer = database.writer().clone();
        let closed = database.close();
        let (ending, ()) = tokio::join!(Ending::wait(&mut signals, &writer), closed);
        assert_eq!(ending, Ending::WriterDied);
        let error = ending.outcome().unwrap_err().to_string();
        assert!(error.contains("start the host again"), "{error}");
        Ending::Signal("SIGTERM").outcome().unwrap();
    }
}
