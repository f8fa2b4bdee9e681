//! What crosses the border: arguments, answers, errors, grants, order data, handles.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use fangshi_runtime::{CallError, Limits, Outcome, RunInput};
use serde_json::{Value, json};
use support::{Guest, Script, granted, input, load, run, runtime, shipped_order, snapshot, told};

const ORDER_ID: &str = r#"(data (i32.const 2048) "3732676853715311105")"#;

/// Calls an operation and tells the case of the error it got: `E` and the variant's number, or `O` for ok.
fn erring() -> Guest<'static> {
    Guest {
        imports: &["fangshi:store/notes"],
        core_imports: r#"(import "fangshi:store/notes@0.1.0" "set-merchant-notes" (func $note (param i32 i32 i32 i32 i32)))"#,
        top: r#"(data (i32.const 2048) "3732676853715311105hello")
            (func $tell (result i32)
              (i32.store8 (i32.const 4000) (select (i32.const 69) (i32.const 79) (i32.load8_u (i32.const 3000))))
              (i32.store8 (i32.const 4001) (i32.add (i32.const 48) (i32.load8_u (i32.const 3004))))
              (call $reject (i32.const 4000) (i32.const 2)))"#,
        handle: r#"(call $note (i32.const 2048) (i32.const 19) (i32.const 2067) (i32.const 5) (i32.const 3000))
            (call $tell)"#,
        ..Guest::default()
    }
}

#[tokio::test]
async fn arguments_arrive_as_json_by_their_platform_names() {
    let host = Script::default();
    let report = run(erring(), granted(&["notes"]), &host).await;
    assert_eq!(told(&report), "O0");
    let request = json!({"order_id": "3732676853715311105", "merchant_notes": "hello"});
    assert_eq!(host.asked(), [("notes#set-merchant-notes".to_owned(), request)]);
    assert_eq!(report.host_calls, 1);
}

#[tokio::test]
async fn every_refusal_has_its_case() {
    let cases = [
        (CallError::Denied("x".into()), "E0"),
        (CallError::Invalid("x".into()), "E1"),
        (CallError::NotFound("x".into()), "E2"),
        (CallError::Conflict("x".into()), "E3"),
        (CallError::Limited { retry_after: Some(3) }, "E4"),
        (CallError::Limited { retry_after: None }, "E4"),
        (CallError::Unavailable("x".into()), "E5"),
        (CallError::OutcomeUnknown("x".into()), "E6"),
        (CallError::Platform { code: i64::MAX, message: "x".into() }, "E7"),
    ];
    let runtime = runtime();
    let plugin = load(&runtime, erring().build()).await;
    for (error, expected) in cases {
        let host = Script::answering("notes#set-merchant-notes", Err(error));
        let report = runtime.run(&plugin, granted(&["notes"]), Box::new(host)).await;
        assert_eq!(told(&report), expected);
    }
}

#[tokio::test]
async fn a_platform_error_keeps_its_code_and_text() {
    let guest = Guest {
        handle: r#"(call $note (i32.const 2048) (i32.const 19) (i32.const 2067) (i32.const 5) (i32.const 3000))
        (if (i32.ne (i32.load (i32.const 3008)) (i32.const 100003)) (then unreachable))
        (call $reject (i32.load (i32.const 3012)) (i32.load (i32.const 3016)))"#,
        ..erring()
    };
    let error = CallError::Platform { code: 100_003, message: "并发修改".into() };
    let report = run(guest, granted(&["notes"]), &Script::answering("notes#set-merchant-notes", Err(error))).await;
    assert_eq!(told(&report), "并发修改");
}

#[tokio::test]
async fn without_the_grant_a_call_does_not_leave_the_sandbox() {
    let host = Script::default();
    let report = run(erring(), granted(&["price"]), &host).await;
    assert_eq!(told(&report), "E0");
    assert!(host.asked().is_empty());
}

/// Posts "body" with one header to https://a.example/, twice; tells the answer's body, or the text of the refusal.
fn posting() -> Guest<'static> {
    const SEND: &str = "(call $send (i32.const 2048) (i32.const 4) (i32.const 2052) (i32.const 18)
        (i32.const 2096) (i32.const 1) (i32.const 2070) (i32.const 4) (i32.const 3000))";
    Guest {
        imports: &["fangshi:host/http"],
        core_imports: r#"(import "fangshi:host/http@0.1.0" "send"
            (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#,
        // The header at 2096 points at `name` and `value`.
        top: r#"(data (i32.const 2048) "POSThttps://a.example/bodynamevalue")
            (data (i32.const 2096) "\1a\08\00\00\04\00\00\00\1e\08\00\00\05\00\00\00")"#,
        handle: Box::leak(
            format!(
                "{SEND}{SEND}
                (if (i32.load8_u (i32.const 3000))
                  (then (return (call $reject (i32.load (i32.const 3008)) (i32.load (i32.const 3012))))))
                (call $reject (i32.load (i32.const 3016)) (i32.load (i32.const 3020)))"
            )
            .into_boxed_str(),
        ),
        ..Guest::default()
    }
}

#[tokio::test]
async fn a_request_to_an_outside_host_crosses_as_an_operation() {
    let headers = json!([{"name": "x", "value": "y"}]);
    let host = Script::answering("http#send", Ok(json!({"status": 200, "headers": headers, "body": "重量"})));
    let report = run(posting(), granted(&["http:a.example"]), &host).await;
    assert_eq!(told(&report), "重量");
    let headers = json!([{"name": "name", "value": "value"}]);
    let request = json!({"method": "POST", "url": "https://a.example/", "headers": headers, "body": "body"});
    assert_eq!(host.asked(), vec![("http#send".to_owned(), request); 2]);
    assert_eq!(report.host_calls, 2);
}

#[tokio::test]
async fn without_an_approved_host_a_request_does_not_leave_the_sandbox() {
    let host = Script::default();
    let report = run(posting(), granted(&["notes"]), &host).await;
    assert!(told(&report).contains("`http:HOST`"), "{}", told(&report));
    assert!(host.asked().is_empty());
}

#[tokio::test]
async fn requests_to_outside_hosts_are_counted_and_weighed() {
    let host = Script::answering("http#send", Ok(json!({"status": 200})));
    let with = |limits: Limits| RunInput { limits, ..granted(&["http:a.example"]) };
    let once = with(Limits { http_requests: 1, ..Limits::default() });
    let report = run(posting(), once, &host).await;
    assert_eq!(report.outcome, Outcome::Limit { limit: "http_requests", allowed: 1 });
    assert_eq!(host.asked().len(), 1);
    // 4 + 18 + 4 bytes, and 4 + 5 + 4 of the header.
    let small = with(Limits { http_request_bytes: 38, ..Limits::default() });
    let report = run(posting(), small, &host).await;
    assert_eq!(told(&report), "the request has 39 bytes; http_request_bytes allows 38");
    assert_eq!(host.asked().len(), 1, "nothing more was asked of the host");
}

#[tokio::test]
async fn an_answer_without_a_status_is_the_hosts_fault() {
    let host = Script::answering("http#send", Ok(json!({"body": "x"})));
    let report = run(posting(), granted(&["http:a.example"]), &host).await;
    assert!(matches!(report.outcome, Outcome::HostFault(_)), "{:?}", report.outcome);
}

/// `price.change` with one line and the number at 2200 as the fee: 64-bit arguments in a list and an option.
#[tokio::test]
async fn sixty_four_bit_arguments_keep_their_digits() {
    let guest = Guest {
        imports: &["fangshi:store/price"],
        core_imports: r#"(import "fangshi:store/price@0.1.0" "change"
            (func $change (param i32 i32 i32 i32 i32 i64 i32)))"#,
        top: r#"(data (i32.const 2048) "3732676853715311105")
            (data (i32.const 2100) "\00\08\00\00\04\00\00\00\04\08\00\00\03\00\00\00\ff\ff\ff\ff\ff\ff\ff\7f")"#,
        handle: r#"(call $change (i32.const 2048) (i32.const 19) (i32.const 2104) (i32.const 1)
              (i32.const 1) (i64.const -9007199254740993) (i32.const 3000))
            (call $done)"#,
        ..Guest::default()
    };
    // The record lies at 2104: product id (2048, 4), SKU (2052, 3), price i64::MAX.
    let top = guest.top.replace("(i32.const 2100)", "(i32.const 2104)");
    let host = Script::default();
    let report = run(Guest { top: &top, ..guest }, granted(&["price"]), &host).await;
    assert_eq!(report.outcome, Outcome::Done);
    let request = json!({
        "order_id": "3732676853715311105",
        "change_order_infos": [{"product_id": "3732", "sku_id": "676", "change_price": i64::MAX}],
        "express_fee": -9_007_199_254_740_993i64,
    });
    assert_eq!(host.asked()[0].1, request);
}

/// Lists orders and tells the first id.
fn listing() -> Guest<'static> {
    Guest {
        imports: &["fangshi:store/presents"],
        core_imports: r#"(import "fangshi:store/presents@0.1.0" "sub-orders" (func $subs (param i32 i32 i32)))"#,
        top: ORDER_ID,
        handle: r#"(call $subs (i32.const 2048) (i32.const 19) (i32.const 3000))
            (if (i32.load8_u (i32.const 3000)) (then unreachable))
            (if (i32.eqz (i32.load (i32.const 3008))) (then (return (call $done))))
            (call $reject (i32.load (i32.load (i32.const 3004)))
                          (i32.load offset=4 (i32.load (i32.const 3004))))"#,
        ..Guest::default()
    }
}

#[tokio::test]
async fn answers_are_read_leniently_and_ids_keep_their_digits() {
    let runtime = runtime();
    let plugin = load(&runtime, listing().build()).await;
    let run = async |answer: Value| {
        let host = Script::answering("presents#sub-orders", Ok(answer));
        runtime.run(&plugin, granted(&["presents"]), Box::new(host)).await
    };
    let bare: Value = serde_json::from_str("[3732676853715311105]").unwrap();
    assert_eq!(told(&run(bare).await), "3732676853715311105");
    assert_eq!(told(&run(json!(["3732676853715311105"])).await), "3732676853715311105");
    assert_eq!(run(Value::Null).await.outcome, Outcome::Done, "no list is an empty list");

    let rounded: Value = serde_json::from_str("[3.7326768537153111e18]").unwrap();
    let Outcome::HostFault(text) = run(rounded).await.outcome else { panic!("a rounded id must not get in") };
    assert_eq!(text, "the platform's answer does not fit `presents#sub-orders`: 0: expected a text, found a number");
}

#[tokio::test]
async fn the_envelope_is_what_the_host_recorded() {
    let guest = Guest {
        imports: &["fangshi:host/events"],
        core_imports: r#"
            (import "fangshi:host/events@0.1.0" "[method]event.id" (func $id (param i32 i32)))
            (import "fangshi:host/events@0.1.0" "[method]event.order-id" (func $order_id (param i32 i32)))
            (import "fangshi:host/events@0.1.0" "[method]event.created-at" (func $created (param i32) (result i64)))
            (import "fangshi:host/events@0.1.0" "[method]event.attempt" (func $attempt (param i32) (result i32)))
            (import "fangshi:host/events@0.1.0" "[method]event.is-last-attempt" (func $last (param i32) (result i32)))"#,
        handle: r#"
            (if (i64.ne (call $created (local.get $event)) (i64.const 1764642403)) (then unreachable))
            (if (i64.ne (local.get $pay_time) (i64.const 1764642403)) (then unreachable))
            (if (i32.ne (call $attempt (local.get $event)) (i32.const 1)) (then unreachable))
            (if (call $last (local.get $event)) (then unreachable))
            (call $id (local.get $event) (i32.const 3000))
            (call $order_id (local.get $event) (i32.const 3008))
            (memory.copy (i32.const 4000) (i32.load (i32.const 3000)) (i32.load (i32.const 3004)))
            (memory.copy (i32.const 4002) (i32.load (i32.const 3008)) (i32.load (i32.const 3012)))
            (call $reject (i32.const 4000) (i32.const 21))"#,
        ..Guest::default()
    };
    assert_eq!(told(&run(guest, input(), &Script::default()).await), "e73732676853715311104");
}

#[tokio::test]
async fn the_buyer_shows_in_the_message_to_whom_the_order_would_show_him() {
    let guest = Guest {
        imports: &["fangshi:host/events"],
        core_imports: r#"(import "fangshi:host/events@0.1.0" "[method]event.raw" (func $raw (param i32 i32)))"#,
        handle: r#"(call $raw (local.get $event) (i32.const 3000))
            (call $reject (i32.load (i32.const 3000)) (i32.load (i32.const 3004)))"#,
        ..Guest::default()
    };
    let raw = r#"{"Event":"channels_ec_order_pay","FromUserName":"OPENID"}"#;
    for (grants, shown) in [
        (&[][..], ""),
        (&["order-summary", "order-price"], ""),
        (&["order-payment"], "OPENID"),
        (&["order-raw"], "OPENID"),
    ] {
        let mut input = granted(grants);
        input.envelope.raw = raw.into();
        assert_eq!(told(&run(guest, input, &Script::default()).await), raw.replace("OPENID", shown), "{grants:?}");
    }
}

/// Tells the hook's order's buyer note, or that of another order if `get` is called first.
fn noting(handle: &'static str) -> Guest<'static> {
    Guest {
        imports: &["fangshi:store/orders", "fangshi:store/order-summary"],
        core_imports: r#"
            (import "fangshi:store/orders@0.1.0" "get" (func $get (param i32 i32 i32)))
            (import "fangshi:store/order-summary@0.1.0" "customer-notes" (func $notes (param i32 i32)))
            (import "fangshi:store/order-summary@0.1.0" "summary" (func $summary (param i32 i32)))"#,
        top: ORDER_ID,
        handle,
        ..Guest::default()
    }
}

const TELL_NOTE: &str = r#"(call $notes (local.get $order) (i32.const 3000))
    (call $reject (i32.load (i32.const 3000)) (i32.load (i32.const 3004)))"#;

#[tokio::test]
async fn order_data_is_read_from_the_snapshot() {
    let mut order = shipped_order();
    order["order_detail"]["ext_info"]["customer_notes"] = json!("请尽快发货");
    let input = RunInput { order: Some(snapshot(order)), ..granted(&["order-summary"]) };
    let host = Script::default();
    let report = run(noting(TELL_NOTE), input, &host).await;
    assert_eq!(told(&report), "请尽快发货");
    assert_eq!((report.host_calls, host.asked().len()), (0, 0), "no call leaves the host");
}

#[tokio::test]
async fn order_raw_counts_as_every_data_grant_and_none_is_a_fault() {
    let report = run(noting(TELL_NOTE), granted(&["order-raw"]), &Script::default()).await;
    assert_eq!(told(&report), "");
    let report = run(noting(TELL_NOTE), granted(&["order-price"]), &Script::default()).await;
    assert_eq!(report.outcome, Outcome::HostFault("the installation has no grant `order-summary`".into()));
    let input = RunInput { order: None, ..granted(&["order-summary"]) };
    let report = run(noting(TELL_NOTE), input, &Script::default()).await;
    assert_eq!(report.outcome, Outcome::HostFault("the order was not read before the hook was called".into()));
}

#[tokio::test]
async fn a_member_that_can_not_be_meant_is_never_a_zero() {
    let mut order = shipped_order();
    order["update_time"] = json!("gestern");
    let handle = "(call $summary (local.get $order) (i32.const 3000)) (call $done)";
    let input = RunInput { order: Some(snapshot(order)), ..granted(&["order-summary"]) };
    let report = run(noting(handle), input, &Script::default()).await;
    let text = "the platform's order does not fit `order-summary#summary`: \
        update_time: expected a whole number, found a text that is none";
    assert_eq!(report.outcome, Outcome::HostFault(text.into()));
}

const GET: &str = r#"(call $get (i32.const 2048) (i32.const 19) (i32.const 3100))
    (if (i32.load8_u (i32.const 3100)) (then (return (call $reject (i32.load (i32.const 3108)) (i32.load (i32.const 3112))))))"#;

#[tokio::test]
async fn an_order_can_be_read_afresh() {
    let handle: &'static str = Box::leak(
        format!(
            r#"{GET}
            (call $notes (i32.load (i32.const 3104)) (i32.const 3000))
            (call $drop_order (i32.load (i32.const 3104)))
            (call $reject (i32.load (i32.const 3000)) (i32.load (i32.const 3004)))"#
        )
        .into_boxed_str(),
    );
    let mut order = shipped_order();
    order["order_detail"]["ext_info"]["customer_notes"] = json!("fresh");
    let host = Script::answering("orders#get", Ok(order));
    let report = run(noting(handle), granted(&["order-summary"]), &host).await;
    assert_eq!(told(&report), "fresh");
    assert_eq!(host.asked(), [("orders#get".to_owned(), json!("3732676853715311105"))]);

    let report = run(noting(handle), granted(&["notes"]), &Script::default()).await;
    assert!(told(&report).contains("at least one group of order data"), "{}", told(&report));
    let host = Script::answering("orders#get", Err(CallError::Unavailable("busy".into())));
    let report = run(noting(handle), granted(&["order-summary"]), &host).await;
    assert_eq!(told(&report), "busy");
}

#[tokio::test]
async fn open_orders_are_limited_and_dropped_ones_are_not() {
    let keeping: &'static str = Box::leak(format!("(loop {GET} (br 0)) unreachable").into_boxed_str());
    let host = Script::answering("orders#get", Ok(shipped_order()));
    let mut input = granted(&["order-summary"]);
    input.limits.open_orders = 3;
    let report = run(noting(keeping), input.clone(), &host).await;
    assert_eq!(report.outcome, Outcome::Limit { limit: "open_orders", allowed: 3 });
    assert_eq!(report.host_calls, 4);

    let dropping: &'static str = Box::leak(
        format!(
            "(local $n i32) (loop {GET} (call $drop_order (i32.load (i32.const 3104)))
              (local.set $n (i32.add (local.get $n) (i32.const 1)))
              (br_if 0 (i32.lt_u (local.get $n) (i32.const 50)))) (call $done)"
        )
        .into_boxed_str(),
    );
    let report = run(noting(dropping), input, &host).await;
    assert_eq!((report.outcome, report.host_calls), (Outcome::Done, 50));
}

fn setting(name: &str) -> String {
    format!(r#"(data (i32.const 2048) "{name}")"#)
}

#[tokio::test]
async fn settings_are_texts_or_json() {
    let handle = r#"(call $get (i32.const 2048) (i32.const 9) (i32.const 3000))
        (if (i32.eqz (i32.load (i32.const 3000))) (then (return (call $done))))
        (call $reject (i32.load (i32.const 3004)) (i32.load (i32.const 3008)))"#;
    let core_imports = r#"(import "fangshi:host/settings@0.1.0" "get" (func $get (param i32 i32 i32)))"#;
    let guest = Guest { imports: &["fangshi:host/settings"], core_imports, handle, ..Guest::default() };
    let mut input = input();
    input.settings = std::sync::Arc::new(json!({"threshold": 10000, "word_word": "大单", "nothing__": null}));
    for (name, expected) in
        [("threshold", Some("10000")), ("word_word", Some("大单")), ("nothing__", None), ("not_there", None)]
    {
        let top = setting(name);
        let report = run(Guest { top: &top, ..guest }, input.clone(), &Script::default()).await;
        match expected {
            Some(value) => assert_eq!(told(&report), value),
            None => assert_eq!(report.outcome, Outcome::Done),
        }
    }
}

#[tokio::test]
async fn kv_needs_its_grant_and_keeps_bytes() {
    let guest = Guest {
        imports: &["fangshi:host/kv"],
        core_imports: r#"
            (import "fangshi:host/kv@0.1.0" "get" (func $get (param i32 i32 i32)))
            (import "fangshi:host/kv@0.1.0" "set" (func $set (param i32 i32 i32 i32 i32)))
            (import "fangshi:host/kv@0.1.0" "delete" (func $delete (param i32 i32 i32)))"#,
        top: r#"(data (i32.const 2048) "count\00\ffA")"#,
        handle: r#"
            (call $set (i32.const 2048) (i32.const 5) (i32.const 2053) (i32.const 3) (i32.const 3000))
            (if (i32.load8_u (i32.const 3000)) (then
              (return (call $reject (i32.load (i32.const 3008)) (i32.load (i32.const 3012))))))
            (call $get (i32.const 2048) (i32.const 5) (i32.const 3100))
            (if (i32.ne (i32.load8_u (i32.const 3104)) (i32.const 1)) (then unreachable))
            (if (i32.ne (i32.load (i32.const 3112)) (i32.const 3)) (then unreachable))
            (if (i32.ne (i32.load8_u offset=1 (i32.load (i32.const 3108))) (i32.const 255)) (then unreachable))
            (call $delete (i32.const 2048) (i32.const 5) (i32.const 3200))
            (call $get (i32.const 2048) (i32.const 5) (i32.const 3100))
            (if (i32.load8_u (i32.const 3104)) (then unreachable))
            (call $done)"#,
        ..Guest::default()
    };
    let host = Script::default();
    let report = run(guest, granted(&["kv"]), &host).await;
    assert_eq!((report.outcome, report.host_calls), (Outcome::Done, 4));
    let report = run(guest, input(), &host).await;
    assert_eq!(told(&report), "the grant `kv` is needed");
    let handle = r#"(call $set (i32.const 8000) (i32.const 513) (i32.const 2053) (i32.const 3) (i32.const 3000))
        (call $reject (i32.load (i32.const 3008)) (i32.load (i32.const 3012)))"#;
    let report = run(Guest { handle, ..guest }, granted(&["kv"]), &host).await;
    assert_eq!(told(&report), "key: 1 to 512 bytes");
}

#[tokio::test]
async fn a_text_that_is_no_utf8_is_the_guests_fault() {
    let guest = Guest { top: r#"(data (i32.const 2048) "373267685371531110\ff")"#, ..listing() };
    let report = run(guest, granted(&["presents"]), &Script::default()).await;
    assert!(matches!(report.outcome, Outcome::Trap { .. }), "{:?}", report.outcome);
}
