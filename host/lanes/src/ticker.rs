//! The clock's shell: looks for schedules that are due, and makes the events of their ticks.

use fangshi_journal::{Clock, Journal, Ticked};
use fangshi_tenants::Timetable;

use crate::decide::tick::tick;
use crate::error::LanesError;
use crate::lanes::Lanes;

/// Schedules of one look at the store.
const AT_ONCE: u32 = 200;

/// Makes events of schedules. Cheap to clone.
#[derive(Clone)]
pub struct Ticker {
    journal: Journal,
    lanes: Lanes,
    clock: Clock,
}

impl Ticker {
    /// A ticker over a host's store.
    pub fn new(journal: Journal, lanes: Lanes) -> Ticker {
        let clock = journal.clock().clone();
        Ticker { journal, lanes, clock }
    }

    /// Works through everything that is due now. While the store is held, ticks are skipped.
    ///
    /// # Errors
    /// The store failed; what was not worked through is due at the next look.
    pub async fn look(&self) -> Result<Ticked, LanesError> {
        let (mut made, mut skipped) = (false, 0);
        loop {
            let now = self.clock.now();
            let due = self.journal.due_schedules(now, AT_ONCE).await?;
            for one in &due {
                let timetable = Timetable::of(&one.schedule);
                let next_after = |after| timetable.as_ref().ok()?.next_after(after);
                let working = one.working && !self.lanes.is_held();
                let ticked =
                    self.journal.tick(one, tick(next_after, one.next_at, now.div_euclid(1_000), working)).await?;
                made |= ticked.made;
                skipped += ticked.skipped;
                metrics::counter!("fangshi_ticks_total", "outcome" => "skipped")
                    .increment(ticked.skipped.unsigned_abs());
                metrics::counter!("fangshi_ticks_total", "outcome" => "made").increment(u64::from(ticked.made));
            }
            if due.len() < AT_ONCE as usize {
                return Ok(Ticked { made, skipped });
            }
        }
    }
}
