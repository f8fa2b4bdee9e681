//! The way to hosts that merchants approved by name: `http.send` of the contract.
//!
//! What a plugin asks for is text of a stranger, and so is what a name resolves to. So a request is checked whole before
//! anything else ([`request`]); its host must be one that was approved, spelled as it was approved ([`host`]); the addresses
//! of that name are checked ([`reach`]) where they are resolved, and those and no others are connected to ([`resolver`]). What
//! of it pages may show is in [`shown`].
//! HTTPS alone, no redirects, no proxies, nothing sent twice, everything bounded ([`client`]). A host that fails again and again
//! is left alone for a while by the shop that it failed ([`gate`]).
//!
//! It lies in this room because the room has the process's only HTTP client. It knows no token: nothing of custody comes
//! here.

mod address;
mod client;
mod denied;
mod gate;
mod host;
mod inner;
mod names;
mod own;
mod reach;
mod request;
mod resolver;
mod row;
mod shown;
#[cfg(test)]
mod tests;

pub(crate) use client::Outside;
pub use client::{ExtraRoots, OutsideConfig};
pub use denied::DeniedHosts;
pub use host::{HOSTS_SECTION, MOST_HOSTS, host_of, hosts_asked};
pub use inner::InnerAddresses;
pub use own::{Interfaces, OwnAddresses};
pub use resolver::{MachineResolver, Resolver};
pub use row::{OUTSIDE_CALL, is_outside, not_approved};
pub(crate) use row::{of_request, row};
pub(crate) use shown::{shown, shown_grant};
