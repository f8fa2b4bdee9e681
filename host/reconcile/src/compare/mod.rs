//! The pure core: a snapshot before, a snapshot after, and the order's events give what nobody announced.
//!
//! [`Facts`] is what is kept of an order. [`net_changes`] says what is different between two of them; [`judge`] leaves out
//! what callbacks announced, and checks the change of status against the [`chart`]. [`message`] makes an event of a rest.

pub mod chart;
mod facts;
mod judge;
mod mark;
mod message;
mod net;
mod word;

pub use facts::{Facts, Number, Unreadable};
pub use judge::{Judgement, Known, SKEW_S, Snapshot, Told, judge};
pub use mark::Mark;
pub use message::message;
pub use net::{Change, net_changes};
pub use word::Word;
