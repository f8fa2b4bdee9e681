//! The way to hosts that merchants approved by name: `http.send` of the contract.
//!
//! What a plugin asks for is text of a stranger, and so is what a name resolves to. So a request is checked whole before
//! anything else ([`request`]); its host must be one that was approved, spelled as it was approved ([`host`]); the addresses
//! of that name are checked ([`address`]) where they are resolved, and those and no others are connected to ([`resolver`]).
//! HTTPS alone, no redirects, no proxies, nothing sent twice, everything bounded ([`client`]).
//!
//! It lies in this room because the room has the process's only HTTP client. It knows no token: nothing of custody comes
//! here.

mod address;
mod client;
mod host;
mod request;
mod resolver;
mod row;
#[cfg(test)]
mod tests;

pub use address::InnerAddresses;
pub(crate) use client::Outside;
pub use client::{ExtraRoots, OutsideConfig};
pub use host::{HOSTS_SECTION, MOST_HOSTS, host_of, hosts_asked};
pub use resolver::{MachineResolver, Resolver};
pub use row::{OUTSIDE_CALL, is_outside, not_approved};
pub(crate) use row::{of_request, row, shown_host};
