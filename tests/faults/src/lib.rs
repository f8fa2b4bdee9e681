//! What the fault tests and their own processes share.
#![allow(missing_docs)]

pub mod fuzz;
pub mod rooms;

/// Tasks of one process that demand a token.
pub const TASKS: usize = 64;
/// The key-encryption key of the store.
pub const KEY: [u8; 32] = [23; 32];
