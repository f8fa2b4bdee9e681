//! The hooks, one module and one macro each: `on_pay!(function)` makes `function` the plugin's `on-pay`.
//!
//! The macros stand in the crate's root. Each takes a function (or a closure that captures nothing) and exports it;
//! what a plugin doesn't export, it isn't subscribed to.

/// Bindings of one hook and its macro. `$with` are the hook's own members, after event and order.
macro_rules! hook {
    ($dollar:tt, $module:ident, $world:literal, ($($with:ident: $kind:ident)?), $(#[$doc:meta])*) => {
        #[allow(missing_docs, unsafe_code, clippy::all)]
        #[doc(hidden)]
        pub mod $module {
            wit_bindgen::generate!({
                path: ["../../../wit/host", "../../../wit/store", "wit"],
                world: $world,
                with: {
                    "fangshi:host/errors@0.1.0": crate::bindings::fangshi::host::errors,
                    "fangshi:host/events@0.1.0": crate::bindings::fangshi::host::events,
                    "fangshi:host/outcomes@0.1.0": crate::bindings::fangshi::host::outcomes,
                    "fangshi:store/orders@0.1.0": crate::bindings::fangshi::store::orders,
                },
                additional_derives: [PartialEq, Eq],
                pub_export_macro: true,
                runtime_path: "fangshi_plugin::rt",
            });
            pub use exports::fangshi::store::$module::*;
            pub use export as export_component;
        }

        $(#[$doc])*
        #[macro_export]
        macro_rules! $module {
            ($dollar function:expr) => {
                const _: () = {
                    struct Hook;

                    impl $crate::hooks::$module::Guest for Hook {
                        fn handle(
                            event: $crate::Event,
                            order: $crate::Order,
                            $($with: $crate::hooks::$module::$kind)?
                        ) -> ::core::result::Result<(), $crate::Failure> {
                            let function: fn(&$crate::Event, &$crate::Order $(, $crate::hooks::$module::$kind)?) -> $crate::Outcome =
                                $dollar function;
                            function(&event, &order $(, $with)?)
                        }
                    }

                    $crate::hooks::$module::export_component!(Hook with_types_in $crate::hooks::$module);
                };
            };
        }
    };
}

hook! {
    $, on_new, "fangshi:plugin/on-new", (),
    /// Exports a function `(&Event, &Order) -> Outcome` as `on-new`: an order was placed.
}

hook! {
    $, on_cancel, "fangshi:plugin/on-cancel", (cancel: Cancel),
    /// Exports a function `(&Event, &Order, Cancel) -> Outcome` as `on-cancel`: an order was cancelled.
}

hook! {
    $, on_pay, "fangshi:plugin/on-pay", (pay: Pay),
    /// Exports a function `(&Event, &Order, Pay) -> Outcome` as `on-pay`: an order was paid. Gifts and group orders are not ready to ship then: see [`on_wait_shipping`].
}

hook! {
    $, on_wait_shipping, "fangshi:plugin/on-wait-shipping", (),
    /// Exports a function `(&Event, &Order) -> Outcome` as `on-wait-shipping`: an order is ready to be shipped.
}

hook! {
    $, on_deliver, "fangshi:plugin/on-deliver", (deliver: Deliver),
    /// Exports a function `(&Event, &Order, Deliver) -> Outcome` as `on-deliver`: a parcel of an order was shipped.
}

hook! {
    $, on_confirm, "fangshi:plugin/on-confirm", (confirm: Confirm),
    /// Exports a function `(&Event, &Order, Confirm) -> Outcome` as `on-confirm`: the buyer has received the order.
}

hook! {
    $, on_settle, "fangshi:plugin/on-settle", (settle: Settle),
    /// Exports a function `(&Event, &Order, Settle) -> Outcome` as `on-settle`: the order's money was settled.
}

hook! {
    $, on_ext_info_update, "fangshi:plugin/on-ext-info-update", (ext_info: ExtInfo),
    /// Exports a function `(&Event, &Order, ExtInfo) -> Outcome` as `on-ext-info-update`: something else about an order changed; [`ExtInfo::kind`] tells what.
}

/// Bindings of the hook that the clock calls: it has no order.
#[allow(missing_docs, unsafe_code, clippy::all)]
#[doc(hidden)]
pub mod on_schedule {
    wit_bindgen::generate!({
        path: ["../../../wit/host", "../../../wit/store", "wit"],
        world: "fangshi:plugin/on-schedule",
        with: {
            "fangshi:host/events@0.1.0": crate::bindings::fangshi::host::events,
            "fangshi:host/outcomes@0.1.0": crate::bindings::fangshi::host::outcomes,
        },
        additional_derives: [PartialEq, Eq],
        pub_export_macro: true,
        runtime_path: "fangshi_plugin::rt",
    });
    pub use export as export_component;
    pub use exports::fangshi::host::on_schedule::*;
}

/// Exports a function `(&Event, Tick) -> Outcome` as `on-schedule`: a time came that was set for the installation.
#[macro_export]
macro_rules! on_schedule {
    ($function:expr) => {
        const _: () = {
            struct Hook;

            impl $crate::hooks::on_schedule::Guest for Hook {
                fn handle(
                    event: $crate::Event,
                    tick: $crate::hooks::on_schedule::Tick,
                ) -> ::core::result::Result<(), $crate::Failure> {
                    let function: fn(&$crate::Event, $crate::hooks::on_schedule::Tick) -> $crate::Outcome = $function;
                    function(&event, tick)
                }
            }

    $crate::hooks::on_schedule::export_component!(Hook with_types_in $crate::hooks::on_schedule);
        };
    };
}

pub use self::{
    on_cancel::Cancel, on_confirm::Confirm, on_deliver::Deliver, on_ext_info_update::ExtInfo, on_pay::Pay,
    on_schedule::Tick, on_settle::Settle,
};
