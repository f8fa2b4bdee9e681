//! A fake WeChat Store to develop and test against: shops, tokens, orders with their state machine, the operations of
//! the order guide, and real encrypted pushes with the platform's retries.
//!
//! It is written from the platform page alone and depends on no crate of the host, so that both sides check each
//! other. It is deterministic by [`Settings::seed`], its time is injected ([`TimeSource`]), and its [`Ledger`] holds
//! every call and every push: what really happened, for tests to compare with what the host believes.
//!
//! ```no_run
//! # async fn story() -> Result<(), fangshi_platform::PlatformError> {
//! use fangshi_platform::{NewOrder, NewShop, Platform, Settings, Step};
//! let platform = Platform::start(Settings::manual(1_764_642_390)).await?;
//! let shop = platform.add_shop(NewShop::authorized())?;
//! platform.point_at("http://127.0.0.1:8080");
//! let order = platform.add_order(&shop.appid, NewOrder::default())?;
//! platform.drive(&order, Step::Pay)?;
//! platform.quiet().await;
//! assert_eq!(platform.ledger().pushes_of(&order).len(), 3); // new, pay, wait_shipping
//! # Ok(()) }
//! ```
//!
//! Where things live: `crypto`, `envelope`, `message` make a push; `outbox`, `retry`, `courier` deliver it; `tokens`,
//! `authorization`, `shops` say who may do what; `orders/` is the state machine and `steps` drives it; `operations/`
//! is the API and `server` its HTTP; `faults`, `quotas` make it fail; `platform` is the handle in Rust and `control`
//! the same over HTTP, for the program `fake-weixin`. `outside` is a host that is none of the platform's.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod answer;
mod authorization;
mod control;
mod courier;
pub mod crypto;
mod dice;
mod door;
mod envelope;
mod faults;
mod ledger;
mod message;
mod operations;
mod orders;
mod outbox;
mod outside;
mod pages;
mod phones;
mod platform;
mod quotas;
pub mod real_orders;
mod refusal;
mod retry;
mod server;
mod settings;
mod shops;
mod state;
mod steps;
mod time;
mod tokens;

pub use envelope::{CallbackSecrets, EncryptedPush, Envelope, Outer, encrypt_push, encrypt_push_with};
pub use faults::{Fault, Target};
pub use ledger::{AttemptEnd, Call, Ledger, Push, PushAttempt, PushState};
pub use message::{Body, EventMessage, OrderEvent, PushForm, Spelling};
pub use orders::By;
pub use orders::address::Address;
pub use orders::chart;
pub use orders::new::{NewItem, NewOrder, NewPresent};
pub use orders::shipping::{COMPANIES, Package, Packed};
pub use outside::{AskedOutside, OutsideHost, ReplyOutside};
pub use platform::{Platform, PlatformError};
pub use refusal::Refusal;
pub use retry::STORE_WAITS_S;
pub use settings::{
    AuthorizationFaults, EnvelopeTime, FormChoice, PushFaults, RefreshRotation, RetryEnvelope, Settings,
};
pub use shops::{Component, NewShop, ORDERS_SET, SHOP_SET, Shop, ShopKind};
pub use steps::Step;
pub use time::TimeSource;
pub use tokens::IssuedTokens;
