//! The runtime: merchants' WebAssembly components, checked, compiled, limited and run.
//!
//! A plugin's life here has four steps. [`Runtime::inspect`] reads an upload and says what it subscribes to and asks
//! for, or lists everything that keeps it out. [`Runtime::load`] turns it into machine code, from a bounded memory
//! cache, from an authenticated disk cache, or by compiling. [`Runtime::run`] gives one event to a fresh sandbox and
//! reports a typed [`Outcome`]: whatever a guest does, it is the guest's own fault and never the process's. Through the
//! [`RunHost`] the room `lanes` journals every call and speaks to the platform.
//!
//! The contract in `wit/` is data here: operations and order data are linked from the WIT's types, with one converter
//! between JSON and component values, so a new operation needs no code in this room. Written by hand are the calls that do
//! not leave the host (events, settings, log, clock, random, kv), because they must be cheap; `http`, whose bytes would make a
//! number each in JSON; and the interfaces of WASI that a language's own library needs, because their clocks, random numbers and
//! output must be the run's own.
//!
//! Everything a guest can see is a function of [`RunInput`] and of the answers of the [`RunHost`]: time is the run's
//! start, random comes from the run's seed, NaNs are canonical, there are no threads. Nothing but this crate knows
//! wasmtime, and this crate knows neither SQL nor a platform nor a token.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod call;
mod code_dir;
mod compiler;
mod config;
mod contract;
mod convert;
mod declared;
mod engine;
mod failures;
mod input;
mod inspect;
mod limiter;
mod limits;
mod line;
mod link;
mod manifest;
mod order_data;
mod panics;
mod parts;
mod plugin;
mod random;
mod report;
mod run;
mod runtime;
mod state;
mod types;
mod wasi;

pub use call::{Abort, CallError, RunHost};
pub use compiler::{CompileError, Compiler, InProcess};
pub use config::{MAX_CONCURRENT_RUNS, RuntimeConfig};
pub use contract::{ContractFunction, contract_functions, contract_hooks};
pub use declared::sections;
pub use input::{Envelope, RunInput, Snapshot};
pub use limits::{BOUNDS, Bound, Limits};
pub use manifest::{GrantAsked, Manifest, Problem, Refusal};
pub use panics::{UNSAID, ending_of, panic_words};
pub use plugin::{Plugin, RuntimeError, digest_of};
pub use report::{Outcome, RunReport};
pub use runtime::Runtime;
