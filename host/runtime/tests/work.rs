//! What a guest has the host do costs it no fuel: it counts at the border, and the guest gives way to its neighbours meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::cell::Cell;

use fangshi_runtime::{Limits, Outcome, RunInput, Runtime, RuntimeConfig};
use serde_json::json;
use support::{Guest, Script, granted, load, run, shipped_order, snapshot};

const SETTINGS: &str = r#"(import "fangshi:host/settings@0.1.0" "get" (func $get (param i32 i32 i32)))"#;
const THUMB: &str = r#"(import "fangshi:store/order-items@0.1.0" "thumb-img" (func $thumb (param i32 i32 i32 i32)))"#;

#[tokio::test]
async fn what_a_call_is_given_counts_though_nothing_is_found_by_it() {
    let setting = Guest {
        imports: &["fangshi:host/settings"],
        core_imports: SETTINGS,
        handle: "(call $get (i32.const 2048) (i32.const 5000) (i32.const 1100)) (call $done)",
        ..Guest::default()
    };
    let report = run(setting, granted(&[]), &Script::default()).await;
    assert_eq!((report.outcome, report.border_bytes), (Outcome::Done, 16 + 5_000));

    let thumb = Guest {
        imports: &["fangshi:store/order-items"],
        core_imports: THUMB,
        handle: "(call $thumb (local.get $order) (i32.const 2048) (i32.const 3000) (i32.const 1100)) (call $done)",
        ..Guest::default()
    };
    let one = run(thumb, granted(&["order-items"]), &Script::default()).await;
    assert_eq!((one.outcome, one.border_bytes), (Outcome::Done, 16 + 3_000 + 8), "one product was looked at");
    let mut order = shipped_order();
    order["order_detail"]["product_infos"] = json!([{}, {"product_unique_id": "x"}, {}]);
    let input = RunInput { order: Some(snapshot(order)), ..granted(&["order-items"]) };
    assert_eq!(run(thumb, input, &Script::default()).await.border_bytes, 16 + 3_000 + 3 * 8);
}

#[tokio::test]
async fn elements_count_though_there_is_nothing_in_them() {
    let guest = Guest {
        imports: &["fangshi:store/order-items"],
        core_imports: r#"
            (import "fangshi:store/order-items@0.1.0" "sku-changes" (func $changes (param i32 i32)))
            (import "fangshi:store/order-items@0.1.0" "coupons" (func $coupons (param i32 i32)))"#,
        handle: "(call $changes (local.get $order) (i32.const 1100)) (call $done)",
        ..Guest::default()
    };
    let mut order = shipped_order();
    order["order_detail"]["product_infos"] = json!([{}, {}, {"order_product_coupon_info_list": [{}, {}]}]);
    let input = RunInput { order: Some(snapshot(order)), ..granted(&["order-items"]) };
    assert_eq!(run(guest, input.clone(), &Script::default()).await.border_bytes, 16 + 3 * 8);
    let coupons = Guest { handle: "(call $coupons (local.get $order) (i32.const 1100)) (call $done)", ..guest };
    let of_two_numbers = 2 * (8 + 2 * 8);
    assert_eq!(run(coupons, input, &Script::default()).await.border_bytes, 16 + 3 * 8 + of_two_numbers);
}

/// Makes a call a number of times.
fn repeating<'a>(import: &'a [&'a str], core_imports: &'a str, times: u32, call: &str) -> Guest<'a> {
    let handle = format!(
        "(local $n i32)
        (loop (global.set $heap (i32.const 16384)) {call}
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if 0 (i32.lt_u (local.get $n) (i32.const {times}))))
        (call $done)"
    );
    Guest { imports: import, core_imports, handle: handle.leak(), pages: 3, ..Guest::default() }
}

#[tokio::test]
async fn who_has_the_host_work_gives_way_to_its_neighbours() {
    // Fuel alone never gives way here.
    let config = RuntimeConfig { max_concurrent_runs: 1, yield_interval: u64::MAX, ..RuntimeConfig::default() };
    let runtime = Runtime::new(config).unwrap();
    let gives_way = async |guest: Guest<'_>| {
        let plugin = load(&runtime, guest.build()).await;
        let ended = Cell::new(false);
        let run = async {
            let limits = Limits { log_bytes: 0, ..Limits::default() };
            let input = RunInput { limits, ..granted(&["order-items", "order-raw"]) };
            let report = runtime.run(&plugin, input, Box::new(Script::default())).await;
            assert_eq!(report.outcome, Outcome::Done);
            ended.set(true);
        };
        let ((), before_its_neighbour) = tokio::join!(run, async { ended.get() });
        !before_its_neighbour
    };
    assert!(!gives_way(Guest::default()).await, "who has it do nothing does not");

    let settings: &[&str] = &["fangshi:host/settings"];
    let name = "(call $get (i32.const 65536) (i32.const 60000) (i32.const 1100))";
    assert!(gives_way(repeating(settings, SETTINGS, 3, name)).await);
    let all = r#"(import "fangshi:host/settings@0.1.0" "all" (func $all (param i32)))"#;
    assert!(gives_way(repeating(settings, all, 3_000, "(call $all (i32.const 1100))")).await);
    let items: &[&str] = &["fangshi:store/order-items"];
    let thumb = "(call $thumb (local.get $order) (i32.const 65536) (i32.const 60000) (i32.const 1100))";
    assert!(gives_way(repeating(items, THUMB, 3, thumb)).await);
    let raw = r#"(import "fangshi:host/events@0.1.0" "[method]event.raw" (func $raw (param i32 i32)))"#;
    assert!(gives_way(repeating(&[], raw, 2_000, "(call $raw (local.get $event) (i32.const 1100))")).await);
    let bytes = r#"(import "fangshi:host/random@0.1.0" "bytes" (func $bytes (param i32 i32)))"#;
    let random: &[&str] = &["fangshi:host/random"];
    assert!(gives_way(repeating(random, bytes, 3, "(call $bytes (i32.const 60000) (i32.const 1100))")).await);
    // Of this the border counts a sixteenth: no 64 KiB in all.
    let log = r#"(import "fangshi:host/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#;
    let write = "(call $log (i32.const 1) (i32.const 65536) (i32.const 60000))";
    assert!(gives_way(repeating(&["fangshi:host/log"], log, 10, write)).await);
}
