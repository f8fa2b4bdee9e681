//! The approved operations: what a plugin may do to a shop, and the only way from this process to the platform.
//!
//! One table ([`table`]) describes every operation: the contract's function, the platform's path, how the request and
//! the answer are mapped, whether it changes something, what may be done when a crash took its outcome away, which
//! permission set it needs, which events it causes, and what of it pages may show. [`Operations::call`] walks one row:
//! check and map the request, take the tenant's token from custody, post, sort the `errcode` into a [`Class`], map the
//! answer. A token meets a request in `client.rs` and nowhere else. Before every call stands the shop's `gate`: its circuit
//! breaker, and the quotas that the platform said are used up.
//!
//! One operation goes elsewhere: `http.send` ([`is_outside`]) to the hosts that a merchant approved, with no token and past
//! no gate. It has its own client (`outside`), whose every address is checked.
//!
//! The room knows no SQL and no grants: whether an installation may call an operation is decided before, by the
//! interface's name; the interfaces in plain words are [`interfaces`].
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod answer;
mod authorization;
mod base;
mod breaker;
mod calls;
mod client;
mod decode;
pub mod errcode;
mod evidence;
mod exact;
mod fault;
mod gate;
mod interfaces;
mod issuer;
mod keeper;
mod members;
mod operation;
mod outgoing;
mod outside;
mod parcels;
mod redact;
mod table;

pub use base::is_base;
pub use breaker::BreakerConfig;
pub use calls::Operations;
pub use client::{MOST_CONNECTING, OperationsConfig, OperationsError};
pub use decode::{Asker, Decoded, same_address};
pub use evidence::{Evidence, Proof, Verdict, filled, gift_of};
pub use exact::parse as parse_exact;
pub use fault::{Class, ContractError, Fault, Sent};
pub use gate::ShopStanding;
pub use interfaces::{ALL_DATA, Grant, Interface, Kind, covers, grant, interface, interfaces, meets};
pub use operation::{Operation, Repeat, Sensitivity};
pub use outgoing::Outgoing;
pub use outside::{
    DeniedHosts, ExtraRoots, HOSTS_SECTION, InnerAddresses, Interfaces, MOST_HOSTS, MachineResolver, OUTSIDE_CALL,
    OutsideConfig, OwnAddresses, Resolver, host_of, hosts_asked, is_outside, not_approved,
};
pub use redact::{MASK, delicate, redact, redact_refusal, redact_text};
pub use table::{find, named, of_call, read_order, table};
