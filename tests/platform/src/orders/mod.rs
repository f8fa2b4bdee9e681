//! Orders: the document that `getorder` shows, what lies behind it, and how it changes.
//!
//! `order` holds one order; `chart` says which states follow which; every other file is one way of changing
//! an order, used by operations and by the control's steps alike, and raises the events of that change.

pub mod address;
mod address_change;
pub mod chart;
mod life;
pub mod new;
pub(crate) mod number;
pub(crate) mod order;
mod present;
pub mod shipping;
pub(crate) mod sku;

pub use life::By;
