//! Rows of an attempt that wait for the next intent or the attempt's end.

use std::sync::{Arc, Mutex};

use fangshi_database::{RunId, TenantId};

use crate::attempt::AttemptStart;
use crate::flush::{CallRow, Row};
use crate::{Journal, JournalError};

/// The buffered rows of one attempt, sealed. Clones share the rows.
///
/// Rows stay here until a commit has taken them, and writing one twice does no harm: a step that was dropped half way
/// (a run at its deadline) loses nothing.
#[derive(Clone)]
pub struct Buffer {
    journal: Journal,
    tenant: TenantId,
    run: RunId,
    attempt: u32,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    rows: Vec<Arc<Row>>,
    calls: u32,
    lines: u32,
    /// Bytes of everything that the attempt has given to the journal.
    kept: u64,
    /// Bytes of the rows.
    waiting: u64,
}

impl Inner {
    fn push(&mut self, row: Row) {
        let bytes = row.bytes() as u64;
        self.kept = self.kept.saturating_add(bytes);
        self.waiting = self.waiting.saturating_add(bytes);
        self.rows.push(Arc::new(row));
    }
}

impl Journal {
    /// The buffer of an attempt, beginning with its start.
    pub fn begin_attempt(
        &self,
        tenant: TenantId,
        run: RunId,
        attempt: u32,
        start: &AttemptStart,
    ) -> Result<Buffer, JournalError> {
        let mut inner = Inner::default();
        inner.push(Row::start(self, tenant, run, attempt, start)?);
        Ok(Buffer { journal: self.clone(), tenant, run, attempt, inner: Arc::new(Mutex::new(inner)) })
    }
}

impl Buffer {
    /// Whose.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Of which run.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// Of which attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Adds a settled call.
    pub fn call(&self, call: &CallRow) -> Result<(), JournalError> {
        let row = Row::call(&self.journal, self.tenant, self.run, self.attempt, call)?;
        let mut inner = self.inner();
        inner.calls = inner.calls.max(call.position + 1);
        inner.push(row);
        Ok(())
    }

    /// Adds a line of the plugin's log.
    pub fn log(&self, level: u8, text: &str) -> Result<(), JournalError> {
        let (line, position) = {
            let inner = self.inner();
            (inner.lines, inner.calls)
        };
        let row = Row::log(&self.journal, self.tenant, self.run, self.attempt, line, position, level, text)?;
        let mut inner = self.inner();
        inner.lines += 1;
        inner.push(row);
        Ok(())
    }

    /// Notes that a position is taken (by an effect, or by a call answered from the journal), so that log lines know
    /// their place.
    pub fn took(&self, position: u32) {
        let mut inner = self.inner();
        inner.calls = inner.calls.max(position + 1);
    }

    /// Bytes of everything that the attempt has given to the journal so far, sealed; what is kept twice counts twice.
    pub fn kept_bytes(&self) -> u64 {
        self.inner().kept
    }

    /// Bytes that wait for a commit.
    pub fn waiting_bytes(&self) -> u64 {
        self.inner().waiting
    }

    /// Counts what is kept without having waited here: effects, and what a resumed attempt kept before it was cut off.
    pub fn counted(&self, bytes: u64) {
        let mut inner = self.inner();
        inner.kept = inner.kept.saturating_add(bytes);
    }

    /// What waits.
    pub(crate) fn rows(&self) -> Vec<Arc<Row>> {
        self.inner().rows.clone()
    }

    /// The first `count` rows are durable.
    pub(crate) fn confirm(&self, count: usize) {
        let mut inner = self.inner();
        let bytes: u64 = inner.rows.drain(..count).map(|row| row.bytes() as u64).sum();
        inner.waiting = inner.waiting.saturating_sub(bytes);
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|e| e.into_inner())
    }
}
