#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
// The hooks' macros name this crate by its own name, here and in plugins.
extern crate self as fangshi_plugin;

#[cfg_attr(not(all(target_arch = "wasm32", feature = "arena")), allow(dead_code))]
mod arena;
mod bindings;
pub mod codes;
mod failure;
pub mod hooks;
pub mod note;
mod order;
pub mod setting;

pub use bindings::fangshi::{
    host::{
        clock,
        errors::{Error, PlatformError},
        events::Event,
        http, kv, log,
        outcomes::{Failure, Retry},
        random, settings,
    },
    store::{
        address, address_decision, decode, delivery, notes, order_address, order_delivery, order_items, order_payment,
        order_phone, order_present, order_price, order_raw, order_summary,
        orders::{self, Order},
        presents, price, real_number, search, shop_phone, sku_decision, virtual_number,
    },
};
pub use failure::{Outcome, reject, retry_later};
pub use hooks::{Cancel, Confirm, Deliver, ExtInfo, Pay, Settle, Tick};
#[doc(hidden)]
pub use wit_bindgen::rt;

/// Writes a line to the run's log: `log!(Info, "total {total} 分")`. Levels: `Debug`, `Info`, `Warning`, `Error`.
#[macro_export]
macro_rules! log {
    ($level:ident, $($text:tt)+) => {
        $crate::log::write($crate::Level::$level as u32, &::std::format!($($text)+))
    };
}

/// Declares the outside hosts that the plugin sends to with `http::send`, each as `HOST` or `HOST:PORT`:
/// `http_hosts!("erp.example.com", "track.example.com:8443");`. Once a plugin, at the top of a file.
///
/// Whoever installs the plugin is shown them and must approve each; others may be approved besides, so a host that only the
/// merchant knows is better a setting.
#[macro_export]
macro_rules! http_hosts {
    ($($host:literal),+ $(,)?) => {
        const _: () = {
            const LINES: &str = ::core::concat!($($host, "\n"),+);
            // The host reads it from the component; no code does.
            #[cfg(target_arch = "wasm32")]
            #[used]
            #[allow(unsafe_code)]
            #[unsafe(link_section = "fangshi:http-hosts")]
            static SECTION: [u8; LINES.len()] = match LINES.as_bytes().first_chunk() {
                ::core::option::Option::Some(bytes) => *bytes,
                ::core::option::Option::None => [0; LINES.len()],
            };
            let _ = LINES;
        };
    };
}

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever writes the plugin.
    Debug = 0,
    /// What was done.
    Info = 1,
    /// Odd, but gone on.
    Warning = 2,
    /// Failed.
    Error = 3,
}
