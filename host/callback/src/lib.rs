//! The callback room: what the platform pushes comes in here, and nothing else does.
//!
//! A push passes these steps, a file each: its tenant is found by the appid in the path ([`Callback`]); the query is
//! read ([`query`]) and the body, bounded in bytes and time; the outer XML or JSON gives the ciphertext ([`node`]);
//! `msg_signature` is compared in constant time ([`signature`]); the timestamp must be within the window ([`window`]);
//! the current or the previous key opens it ([`key`], [`cipher`]) and the appid inside must be the address's
//! ([`Address`]); the message is read ([`Message`]), bound to the tenant by `ToUserName` and made an event
//! ([`shop_event`], [`component_event`]) with one canonical body ([`canonical()`]) and one key ([`dedup_key`]) for all
//! four spellings. Then it is made durable ([`Intake`]), and only after that answered `success`.
//!
//! Whatever fails is a [`Refusal`]: one table of status, code and hint; counted per tenant and as a metric.
//! No plugin runs here, no order is read, no token is used. Everything but [`Callback`] is without I/O, time or state.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod address;
mod body;
mod callback;
mod canonical;
pub mod cipher;
mod component;
mod dedup;
mod door;
mod intake;
mod json;
pub mod key;
mod message;
mod metering;
pub mod node;
pub mod query;
mod refusal;
mod shop;
pub mod signature;
mod strange;
mod told;
pub mod window;
mod xml;

pub use address::Address;
pub use callback::{Callback, CallbackLimits, Component};
pub use canonical::canonical;
pub use cipher::{CipherError, Plain, open};
pub use component::{ComponentMessage, component_event};
pub use dedup::dedup_key;
pub use door::Door;
pub use intake::{Durable, Intake, NotRecorded};
pub use key::{AesKey, BadKey, KeyPair};
pub use message::{Facts, Message, MessageError, ORDER_EVENTS};
pub use node::{DEPTH, Malformed, Member, Node};
pub use query::{CheckQuery, PushQuery, Query, QueryError};
pub use refusal::Refusal;
pub use shop::{Binding, shop_event};
