//! The clock's shell: looks for schedules that are due, and makes the events of their ticks.

use fangshi_journal::{Clock, DueSchedule, Journal, JournalError, Ticked};
use fangshi_tenants::Timetable;
use futures_util::StreamExt;

use crate::decide::tick::tick;
use crate::error::LanesError;
use crate::lanes::Lanes;

/// Schedules of one look at the store.
const AT_ONCE: u32 = 200;
/// Ticks that wait for the writer together: what is due in one moment shares its commits, and others find room beside it.
const TOGETHER: usize = 64;

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
            let is_last = due.len() < AT_ONCE as usize;
            let ticks = due.into_iter().map(|one| self.tick(one, now));
            // To the end, though one fails: each pokes its lane after its commit.
            let ticks: Vec<_> = futures_util::stream::iter(ticks).buffer_unordered(TOGETHER).collect().await;
            for ticked in ticks {
                let ticked = ticked?;
                made |= ticked.made;
                skipped += ticked.skipped;
            }
            if is_last {
                return Ok(Ticked { made, skipped });
            }
        }
    }

    async fn tick(&self, due: DueSchedule, now: i64) -> Result<Ticked, JournalError> {
        let timetable = Timetable::of(&due.schedule);
        let next_after = |after| timetable.as_ref().ok()?.next_after(after);
        let working = due.working && !self.lanes.is_held();
        let decided = tick(next_after, due.next_at, now.div_euclid(1_000), working);
        let ticked = self.journal.tick(&due, decided).await?;
        metrics::counter!("fangshi_ticks_total", "outcome" => "skipped").increment(ticked.skipped.unsigned_abs());
        metrics::counter!("fangshi_ticks_total", "outcome" => "made").increment(u64::from(ticked.made));
        Ok(ticked)
    }
}
