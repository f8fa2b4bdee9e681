//! What the admin API shows. Times are unix milliseconds unless a name says otherwise; bodies, requests, answers and
//! logs are unsealed here: the caller redacts them by the operations' sensitivity.

pub(crate) mod backlog;
mod detail;
mod events;
mod runs;

pub use backlog::Backlog;
pub use detail::{AttemptView, CallView, EffectView, LogView, RunDetail};
pub use events::{EventFilter, EventView};
pub use runs::{RunFilter, RunView};

/// One page of a list, newest first.
#[derive(Debug, Clone)]
pub struct Page<T, C> {
    /// The items.
    pub items: Vec<T>,
    /// Give this as `before` for the next page; none: this was the last.
    pub next: Option<C>,
}

/// The largest page.
pub(crate) const MAX_PAGE: u32 = 200;

/// Cuts what was read (one row more than wanted) to a page.
pub(crate) fn page<T, C>(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> C) -> Page<T, C> {
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = if more { items.last().map(cursor) } else { None };
    Page { items, next }
}

/// The wanted size, between 1 and [`MAX_PAGE`].
pub(crate) fn size(limit: u32) -> u32 {
    limit.clamp(1, MAX_PAGE)
}
