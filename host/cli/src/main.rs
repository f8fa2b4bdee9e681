//! The binary `fangshi`.
//!
//! `fangshi serve` is the host: it reads a config ([`config`]), starts the rooms in their order and stops them in the
//! reverse one ([`serve`]). `fangshi plugin` shows and runs one component offline, in the same runtime ([`plugin`]).
//! `fangshi compile` is started by `fangshi serve` alone, once a component ([`compile`]).
//! `fangshi backup` copies the store beside a running host, `fangshi restore` puts a copy back and ends its hold.
//! `fangshi config` checks a config without starting anything; `fangshi audit` checks who did what ([`audit`]). `fangshi
//! keys`, `fangshi tenant`, `fangshi replay` and `fangshi backtest` work on the store of a host that is down.
//!
//! Exit codes: 0 done; 1 the start, a run or a command failed; 2 the command line or the config is wrong; 3 the audit holds
//! but for exported heads that a restore cut off.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod audit;
mod backup;
mod commands;
mod compile;
mod config;
mod grants;
mod keys;
mod logs;
mod panics;
mod plugin;
mod replay;
mod serve;
mod system_calls;
mod tenant;

use std::process::ExitCode;

/// Acknowledgements allocate on one thread and free on another, thousands of times a second; the C library's allocator
/// spends a tenth of the host's time on that. SQLite's memory comes from here too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use clap::Parser;

fn main() -> ExitCode {
    panics::hide_values();
    // Two crypto providers may be compiled in by dependencies; this one is the process's.
    let _ = rustls::crypto::ring::default_provider().install_default();
    commands::Commands::parse().run()
}
