//! The examples on the real order, Rust and JavaScript alike.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
use fangshi_guest_checks::{ORDER_ID, Played, Stage};
use fangshi_runtime::{CallError, Limits, Outcome};
use serde_json::{Value, json};

const NOTE: &str = "notes.set-merchant-notes";

fn notes_set(played: &Played) -> Vec<&str> {
    played
        .calls
        .iter()
        .map(|(name, request)| {
            assert_eq!((name.as_str(), &request["order_id"]), (NOTE, &json!(ORDER_ID)));
            request["merchant_notes"].as_str().unwrap()
        })
        .collect()
}

fn refuse(name: &str, _: &Value) -> Result<Value, CallError> {
    match name {
        NOTE => Err(CallError::Limited { retry_after: Some(30) }),
        _ => Err(CallError::Platform { code: -1, message: "unexpected".into() }),
    }
}

#[tokio::test]
async fn large_orders_are_marked_once_in_both_languages() {
    for guest in ["large-order-note", "large-order-note-js"] {
        // The order on the stage costs 388 元.
        let cases = [
            (json!({}), "", None),
            (json!({ "threshold": 38_800 }), "", Some("大额订单")),
            (json!({ "threshold": "38800", "mark": "VIP" }), "周末送", Some("周末送；VIP")),
            (json!({ "threshold": 38_801 }), "", None),
            (json!({ "threshold": 1 }), "大额订单", None),
        ];
        for (settings, note, expected) in cases {
            let mut stage = Stage::new().unwrap();
            stage.settings = settings.clone();
            stage.order["order_detail"]["ext_info"]["merchant_notes"] = json!(note);
            let played = stage.play(guest, "on-pay").await.unwrap();
            assert_eq!(played.report.outcome, Outcome::Done, "{guest} {settings}");
            assert_eq!(notes_set(&played), Vec::from_iter(expected), "{guest} {settings}");
            println!("{guest}: {} KiB, fuel {}", played.report.peak_memory >> 10, played.report.fuel_used);
        }
    }
}

#[tokio::test]
async fn the_templates_mark_an_order_with_a_note_of_the_buyer_once() {
    for guest in ["template-rust", "template-javascript"] {
        let cases = [
            (json!({}), "周末送", "", Some("有买家留言")),
            (json!({ "mark": "看留言" }), "周末送", "已确认", Some("已确认；看留言")),
            (json!({}), "周末送", "有买家留言", None),
            (json!({}), " ", "", None),
        ];
        for (settings, of_the_buyer, note, expected) in cases {
            let mut stage = Stage::new().unwrap();
            stage.settings = settings;
            stage.order["order_detail"]["ext_info"] = json!({"customer_notes": of_the_buyer, "merchant_notes": note});
            let played = stage.play(guest, "on-pay").await.unwrap();
            assert_eq!(played.report.outcome, Outcome::Done, "{guest} {of_the_buyer} {note}");
            assert_eq!(notes_set(&played), Vec::from_iter(expected), "{guest} {of_the_buyer} {note}");
        }
    }
}

#[tokio::test]
async fn a_refusal_becomes_the_same_outcome_in_both_languages() {
    let mut outcomes = Vec::new();
    for guest in ["large-order-note", "large-order-note-js"] {
        let mut stage = Stage::new().unwrap();
        stage.settings = json!({ "threshold": 1 });
        stage.script = refuse;
        outcomes.push(stage.play(guest, "on-pay").await.unwrap().report.outcome);
        stage.settings = json!({ "threshold": "much" });
        outcomes.push(stage.play(guest, "on-pay").await.unwrap().report.outcome);
    }
    assert!(matches!(outcomes[0], Outcome::RetryLater { after: Some(30), .. }), "{:?}", outcomes[0]);
    assert!(matches!(&outcomes[1], Outcome::Reject { reason } if reason.contains("threshold")), "{:?}", outcomes[1]);
    assert_eq!(outcomes[..2], outcomes[2..]);
}

#[tokio::test]
async fn an_address_change_is_decided_by_what_the_warehouse_did() {
    for (status, note, expected) in [
        (20, "", Some("address-decision.accept")),
        (20, "李四 已打包", Some("address-decision.reject")),
        (30, "", Some("address-decision.reject")),
        (250, "", None),
    ] {
        let mut stage = Stage::new().unwrap();
        stage.order["status"] = json!(status);
        stage.order["order_detail"]["ext_info"]["merchant_notes"] = json!(note);
        stage.detail = json!({ "order_id": ORDER_ID, "type": 4 });
        let played = stage.play("address-decision", "on-ext-info-update").await.unwrap();
        assert_eq!(played.report.outcome, Outcome::Done);
        let calls: Vec<_> = played.calls.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(calls, Vec::from_iter(expected), "status {status}, note {note}");
    }
}

#[tokio::test]
async fn a_decision_that_came_too_late_is_no_failure_and_other_types_are_left_alone() {
    let mut stage = Stage::new().unwrap();
    stage.detail = json!({ "order_id": ORDER_ID, "type": 4 });
    stage.script = |_, _| Err(CallError::Conflict("10020116".into()));
    let played = stage.play("address-decision", "on-ext-info-update").await.unwrap();
    assert_eq!((played.report.outcome, played.calls.len()), (Outcome::Done, 1));
    stage.detail = json!({ "order_id": ORDER_ID, "type": 3 });
    assert_eq!(stage.play("address-decision", "on-ext-info-update").await.unwrap().calls, []);
}

#[tokio::test]
async fn a_changed_virtual_number_is_marked_and_never_written_down() {
    let mut stage = Stage::new().unwrap();
    let number = json!({ "real_tel_number": "13900000775", "virtual_tel_number": "18400000000-1234" });
    stage.order["order_detail"]["delivery_info"]["address_info"]["tel_number_ext_info"] = number;
    stage.detail = json!({ "order_id": ORDER_ID, "type": 5 });
    let played = stage.play("virtual-number-mark", "on-ext-info-update").await.unwrap();
    assert_eq!(notes_set(&played), ["虚拟号已变更"]);
    let told = format!("{:?} {:?}", played.calls, played.log);
    assert!(!told.contains("18400000000") && !told.contains("13900000775"));
    stage.detail = json!({ "order_id": ORDER_ID, "type": 6 });
    assert_eq!(stage.play("virtual-number-mark", "on-ext-info-update").await.unwrap().calls, []);
}

#[tokio::test]
async fn the_defaults_are_fifty_times_what_any_example_uses() {
    let mut largest = ("", 0);
    for (guest, hook, of_type) in [
        ("large-order-note-js", "on-pay", 0),
        ("large-order-note", "on-pay", 0),
        ("address-decision", "on-ext-info-update", 4),
        ("virtual-number-mark", "on-ext-info-update", 5),
    ] {
        let mut stage = Stage::new().unwrap();
        stage.settings = json!({ "threshold": 1 });
        if of_type > 0 {
            stage.detail = json!({ "order_id": ORDER_ID, "type": of_type });
        }
        let report = stage.play(guest, hook).await.unwrap().report;
        assert_eq!((&report.outcome, report.host_calls), (&Outcome::Done, 1), "{guest}");
        let limits = Limits::default();
        for (name, used, allowed) in [
            ("fuel", report.fuel_used, limits.fuel),
            ("memory_bytes", report.peak_memory, limits.memory_bytes),
            ("host_calls", report.host_calls.into(), limits.host_calls.into()),
            ("border_bytes", report.border_bytes, limits.border_bytes),
            ("log_bytes", report.log_bytes, limits.log_bytes),
        ] {
            println!("{guest}: {name} {used} of {allowed}");
            assert!(used * 50 <= allowed, "{guest} uses {used} of {allowed} {name}");
        }
        largest = if report.fuel_used > largest.1 { (guest, report.fuel_used) } else { largest };
    }
    assert_eq!(largest.0, "large-order-note-js", "the one that the limits' own text speaks of");
}

#[tokio::test]
async fn an_ordinary_run_never_grows_its_memory() {
    for (guest, hook) in [
        ("settings-only", "on-pay"),
        ("large-order-note", "on-pay"),
        ("address-decision", "on-ext-info-update"),
        ("virtual-number-mark", "on-ext-info-update"),
    ] {
        let mut stage = Stage::new().unwrap();
        stage.settings = json!({ "threshold": 1 });
        stage.detail = json!({ "order_id": ORDER_ID, "type": if guest == "address-decision" { 4 } else { 5 } });
        let report = stage.play(guest, hook).await.unwrap().report;
        println!("{guest}: {} KiB, fuel {}", report.peak_memory >> 10, report.fuel_used);
        assert_eq!(report.outcome, Outcome::Done);
        // Stack, data and the arena; a growth would add at least one page to these six.
        assert_eq!(report.peak_memory, 6 << 16, "{guest}");
    }
}
