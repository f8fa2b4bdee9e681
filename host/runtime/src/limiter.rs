//! Memory and tables, counted over the whole store: a component may have several memories, and only their sum matters.

use wasmtime::ResourceLimiter;

use crate::config::MAX_TABLE_ELEMENTS;
use crate::limits::{Limits, Met};

/// Counts what a run's instances hold.
pub(crate) struct Limiter {
    memory_allowed: u64,
    memory: u64,
    /// Largest total so far.
    pub peak: u64,
    table_allowed: u64,
    table: u64,
    instances: usize,
    /// The growth allowed last, to be taken back if it failed after all.
    last: u64,
    /// The first limit that was met; growth failed inside the guest then, which it may survive.
    pub met: Option<Met>,
}

impl Limiter {
    pub fn new(limits: &Limits) -> Self {
        Limiter {
            memory_allowed: limits.memory_bytes,
            memory: 0,
            peak: 0,
            table_allowed: limits.table_elements,
            table: 0,
            instances: limits.instances as usize,
            last: 0,
            met: None,
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let growth = desired.saturating_sub(current) as u64;
        let total = self.memory.saturating_add(growth);
        if total > self.memory_allowed {
            self.met.get_or_insert(Met { limit: "memory_bytes", allowed: self.memory_allowed });
            return Ok(false);
        }
        self.last = growth;
        self.memory = total;
        self.peak = self.peak.max(total);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory = self.memory.saturating_sub(std::mem::take(&mut self.last));
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if let Some(maximum) = maximum.filter(|maximum| desired > *maximum) {
            // A place of the pool ends here, whatever the table says of itself; a lower maximum is the guest's own.
            if maximum >= MAX_TABLE_ELEMENTS as usize {
                self.met.get_or_insert(Met { limit: "table_elements_each", allowed: MAX_TABLE_ELEMENTS.into() });
            }
            return Ok(false);
        }
        let growth = desired.saturating_sub(current) as u64;
        let total = self.table.saturating_add(growth);
        if total > self.table_allowed {
            self.met.get_or_insert(Met { limit: "table_elements", allowed: self.table_allowed });
            return Ok(false);
        }
        self.last = growth;
        self.table = total;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.table = self.table.saturating_sub(std::mem::take(&mut self.last));
        Ok(())
    }

    fn instances(&self) -> usize {
        self.instances
    }
}
