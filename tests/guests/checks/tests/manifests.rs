//! The component's type is its manifest: each guest asks for exactly what its source uses.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
use fangshi_runtime::{Runtime, RuntimeConfig};

const MANIFESTS: &[(&str, &str, &str)] = &[
    (
        "address-decision",
        "on-ext-info-update",
        "address-decision[accept reject] order-delivery[delivery parcels] order-summary[merchant-notes summary]",
    ),
    ("all-hooks", "on-cancel on-confirm on-deliver on-ext-info-update on-new on-pay on-settle on-wait-shipping", ""),
    ("determinism", "on-pay", ""),
    ("effect-twice", "on-pay", "notes[set-merchant-notes]"),
    ("kv-counter", "on-pay", "kv[delete get set]"),
    ("large-order-note", "on-pay", "notes[set-merchant-notes] order-price[price] order-summary[merchant-notes]"),
    ("late-orders", "on-schedule", "notes[set-merchant-notes] order-summary[merchant-notes] search[list-orders]"),
    ("one-effect", "on-pay", "notes[set-merchant-notes]"),
    ("read-after-effect", "on-pay", "notes[set-merchant-notes] order-summary[merchant-notes]"),
    ("sends-http", "on-pay", "http[send]"),
    ("settings-only", "on-pay", ""),
    ("spin", "on-pay", ""),
    ("template-rust", "on-pay", "notes[set-merchant-notes] order-summary[customer-notes merchant-notes]"),
    ("virtual-number-mark", "on-ext-info-update", "notes[set-merchant-notes] order-summary[merchant-notes]"),
    ("wide-import", "on-pay", "decode[sensitive-info]"),
];

/// Imports that are no consent of the merchant's: nothing of the shop is in them.
const FREE: [&str; 4] = ["clock", "log", "random", "settings"];

#[test]
fn every_guest_asks_for_what_its_source_uses_and_no_more() {
    let runtime = Runtime::new(RuntimeConfig::default()).unwrap();
    for (name, hooks, grants) in MANIFESTS {
        let manifest = runtime.inspect(&fangshi_harness::guest(name).unwrap()).unwrap();
        let mut exported = manifest.hooks.clone();
        exported.sort();
        assert_eq!(exported.join(" "), *hooks, "{name}");
        let mut asked: Vec<_> = manifest
            .grants
            .iter()
            .filter(|grant| !FREE.contains(&grant.name.as_str()))
            .map(|grant| {
                let mut functions = grant.functions.clone();
                functions.sort();
                format!("{}[{}]", grant.name, functions.join(" "))
            })
            .collect();
        asked.sort();
        assert_eq!(asked.join(" "), *grants, "{name}");
        assert_eq!(manifest.extra_exports, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_plugin_in_rust_declares_its_hosts_in_a_section_of_its_module() {
    let wasm = fangshi_harness::guest("sends-http").unwrap();
    assert_eq!(fangshi_runtime::sections(&wasm, "fangshi:http-hosts"), [b"erp.example.com\n"]);
}

#[test]
fn the_same_plugin_in_javascript_asks_for_the_same_grants() {
    let runtime = Runtime::new(RuntimeConfig::default()).unwrap();
    for pair in [["large-order-note", "large-order-note-js"], ["template-rust", "template-javascript"]] {
        let [rust, javascript] = pair.map(|name| runtime.inspect(&fangshi_harness::guest(name).unwrap()).unwrap());
        assert_eq!(rust.grant_names(), javascript.grant_names(), "{pair:?}");
        assert_eq!(rust.hooks, javascript.hooks, "{pair:?}");
        assert_eq!(javascript.extra_exports, ["init"], "{pair:?}");
    }
}
