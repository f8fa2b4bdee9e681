//! What reconciliation keeps: orders as they were last read ([`KnownOrder`]), how far its passes came ([`Standing`]), the
//! events that it made and what absorbed late callbacks ([`Reconciled`]), and changes of status that no chart has
//! ([`Transition`]). What all this means is decided in `host/reconcile` and, for late callbacks, in `lanes`.

mod known;
mod reading;
mod reconciled;
mod standing;
mod transition;

pub use known::KnownOrder;
pub use reading::{Found, Noted, Reading};
pub use reconciled::Reconciled;
pub(crate) use reconciled::{match_late, of_order};
pub use standing::{Pass, PassReport, Standing, Walk};
pub use transition::{Transition, TransitionView};
