//! What the tests across rooms share: the real `fangshi` process in a folder of its own, on a free loopback port, and a
//! client of its admin API. Nothing here knows how the host works inside; it is driven as an operator would drive it.
#![allow(missing_docs, clippy::print_stderr)]

mod admin;
pub mod callbacks;
mod clock;
mod config;
mod figures;
pub mod load;
mod process;

pub use admin::Admin;
pub use clock::HostClock;
pub use config::{HostConfig, OPERATOR_TOKEN};
pub use figures::{Figures, median};
pub use process::{HostProcess, binary, guest, language};
