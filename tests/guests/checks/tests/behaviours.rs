//! Each guest does what its file says.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
use fangshi_guest_checks::{ORDER_ID, Played, Stage};
use fangshi_runtime::{CallError, Limits, Outcome};
use serde_json::json;

async fn play(guest: &str) -> Played {
    Stage::new().unwrap().play(guest, "on-pay").await.unwrap()
}

fn limit(played: &Played) -> &str {
    match &played.report.outcome {
        Outcome::Limit { limit, .. } => limit,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn limits_end_what_never_ends() {
    let mut stage = Stage::new().unwrap();
    stage.limits = Limits { fuel: 10_000_000, ..Limits::default() };
    assert_eq!(limit(&stage.play("spin", "on-pay").await.unwrap()), "fuel");
    let bomb = play("memory-bomb").await;
    assert_eq!(limit(&bomb), "memory_bytes");
    assert!(bomb.report.peak_memory <= Limits::default().memory_bytes);
    assert_eq!(limit(&play("call-flood").await), "host_calls");
    assert_eq!(limit(&play("big-argument").await), "call_bytes");
    let deep = play("stack-overflow").await.report.outcome;
    assert!(matches!(deep, Outcome::Trap { .. } | Outcome::Limit { limit: "stack", .. }), "{deep:?}");
    let flood = play("log-flood").await;
    assert_eq!(flood.report.outcome, Outcome::Done);
    assert!(flood.report.log_bytes <= Limits::default().log_bytes && flood.report.log_bytes_cut > 0);
}

#[tokio::test]
async fn outcomes_come_as_the_guest_means_them() {
    assert!(matches!(play("trap").await.report.outcome, Outcome::Trap { .. }));
    assert_eq!(play("reject").await.report.outcome, Outcome::Reject { reason: "not for this shop".into() });
    let mut stage = Stage::new().unwrap();
    stage.settings = json!({ "until": 3, "after": 60 });
    let later = Outcome::RetryLater { reason: "attempt 1".into(), after: Some(60) };
    assert_eq!(stage.play("retry-later", "on-pay").await.unwrap().report.outcome, later);
    stage.attempt = 3;
    assert_eq!(stage.play("retry-later", "on-pay").await.unwrap().report.outcome, Outcome::Done);
}

#[tokio::test]
async fn effects_before_a_trap_are_made_and_doubled_ones_are_two_calls() {
    let mut stage = Stage::new().unwrap();
    let first = stage.play("note-then-trap", "on-pay").await.unwrap();
    assert!(matches!(first.report.outcome, Outcome::Trap { .. }));
    stage.attempt = 2;
    let second = stage.play("note-then-trap", "on-pay").await.unwrap();
    assert_eq!(second.report.outcome, Outcome::Done);
    assert_eq!((first.calls.len(), &first.calls), (1, &second.calls));
    let twice = play("effect-twice").await;
    assert_eq!((twice.calls.len(), &twice.calls[0]), (2, &twice.calls[1]));
}

#[tokio::test]
async fn kv_counts_and_a_denied_grant_is_named() {
    let mut stage = Stage::new().unwrap();
    stage.kv.insert("count".into(), b"41".to_vec());
    assert_eq!(stage.play("kv-counter", "on-pay").await.unwrap().log, ["count 42, gone true"]);
    stage.settings = json!({ "fail": true });
    assert!(matches!(stage.play("kv-counter", "on-pay").await.unwrap().report.outcome, Outcome::Reject { .. }));
    stage.script = |_, _| Err(CallError::Denied("decode".into()));
    assert_eq!(stage.play("wide-import", "on-pay").await.unwrap().log, ["denied: decode"]);
}

#[tokio::test]
async fn every_hook_and_its_members_arrive() {
    let mut stage = Stage::new().unwrap();
    stage.detail = json!({
        "order_id": ORDER_ID, "cancel_type": 2, "pay_time": 11, "finish_delivery": 1, "confirm_type": 1,
        "settle_time": "12", "type": 99,
    });
    for (hook, members) in [
        ("on-new", ""),
        ("on-cancel", " type 2"),
        ("on-pay", " at 11"),
        ("on-wait-shipping", ""),
        ("on-deliver", " finish 1"),
        ("on-confirm", " type 1"),
        ("on-settle", " at 12"),
        ("on-ext-info-update", " type 99"),
    ] {
        let played = stage.play("all-hooks", hook).await.unwrap();
        let rest =
            "created 1764642403 received 1764642404 source Callback attempt 1 last false same order true raw true";
        assert_eq!(played.log, [format!("{hook}{members} {rest}")]);
    }
}

#[tokio::test]
async fn every_data_group_is_read_from_the_real_order() {
    let log = play("reads-all-groups").await.log.join("\n");
    for part in [
        "summary ToBeShipped 1764642390 1764642403 present false flash false scene Some(Other)",
        "item 10000154828123/3616331648 1 × 39800 = 38800 (2 attributes, picture true, deadline 1764815203, code MIC4007",
        "sku changes 0 coupons 1",
        "line expected 38800 off 0/0/1000",
        "services 1/1",
        "commissions worked out to Some(1)",
        "price 38800 of 39800 freight 0 merchant 39800 commission 776 settled 0",
        "payment 1 at 1764642403 openid 28 unionid false",
        "delivery 0 done 0 parcels 0 products 0 inspection None",
        "address hash 32 under review false since None",
        "phone 0 under review false virtual None",
        "present None",
    ] {
        assert!(log.contains(part), "{part} is not in\n{log}");
    }
}

#[tokio::test]
async fn every_operation_crosses_with_its_answer() {
    let mut stage = Stage::new().unwrap();
    stage.script = |name, _| {
        Ok(match name {
            "sku-decision.waiting" | "presents.sub-orders" => json!(["1", "2"]),
            "delivery.companies" => json!([{ "delivery_id": "SF", "delivery_name": "顺丰" }]),
            "decode.sensitive-info" => {
                json!({ "address_info": {}, "virtual_number_info": { "virtual_number": "1", "extension": "2", "expiration": 3 } })
            }
            "virtual-number.apply-again" => json!({ "virtual_number": "1", "extension": "2", "apply_quota": 4 }),
            "virtual-number.delay" => json!({ "expiration": 3, "available_extend_num": 5 }),
            "real-number.apply" => json!("task"),
            "real-number.audit" => json!({ "apply_time": 1, "audit_state": 3, "apply_reason": "", "task_id": 5 }),
            "shop-phone.add-phone" => json!({ "qrcode_url": "", "status": 3 }),
            "shop-phone.get-phone" => json!({ "status": 1, "fail_reason": "" }),
            "search.list-orders" | "search.search-orders" => {
                json!({ "order_ids": [ORDER_ID], "next_key": "", "has_more": false })
            }
            _ => serde_json::Value::Null,
        })
    };
    let played = stage.play("calls-every-operation", "on-pay").await.unwrap();
    assert_eq!(played.report.outcome, Outcome::Done);
    assert_eq!((played.calls.len(), played.log.len()), (26, 26));
    for (line, (name, _)) in played.log.iter().zip(&played.calls) {
        assert!(line.starts_with(&format!("{name} ok ")), "{line}");
    }
    for line in [
        "sku-decision.waiting ok 2",
        "virtual-number.apply-again ok 4",
        "real-number.audit ok Approved",
        "real-number.apply ok 4",
        "shop-phone.add-phone ok 3",
    ] {
        assert!(played.log.iter().any(|told| told == line), "{line}");
    }
    let (_, send) = played.calls.iter().find(|(name, _)| name == "delivery.send").unwrap();
    let parcel = json!({ "delivery_id": "SF", "waybill_id": "SF1", "deliver_type": 1,
        "product_infos": [{ "product_id": "10000154828123", "sku_id": "3616331648", "product_cnt": 1 }] });
    assert_eq!(*send, json!({ "order_id": ORDER_ID, "delivery_list": [parcel] }));
}

#[tokio::test]
async fn two_executions_are_the_same_to_the_last_bit() {
    let (first, second) = (play("determinism").await, play("determinism").await);
    assert_eq!((&first.log, first.report.fuel_used), (&second.log, second.report.fuel_used));
    assert_eq!(first.log[0], "attempt 1 now 1764642405 678");
    assert_eq!(first.log[3], "nan 7ff8000000000000");
}

#[tokio::test]
async fn a_fresh_read_is_another_order_than_the_one_handed_over() {
    let played = play("read-after-effect").await;
    assert_eq!(played.log, ["same id true", "handed unchanged true", "fresh has the note false"]);
}

#[tokio::test]
async fn the_clocks_guest_searches_and_marks_the_first_order_that_is_late() {
    let mut stage = Stage::new().unwrap();
    // As the host's event says it: every scalar a text.
    stage.detail = json!({ "name": "nightly", "due_at": "1764700000" });
    stage.settings = json!({ "hours": 48 });
    stage.script = |name, _| match name {
        "search.list-orders" => Ok(json!({ "order_ids": [ORDER_ID], "next_key": "", "has_more": false })),
        _ => Ok(serde_json::Value::Null),
    };
    let played = stage.play("late-orders", "on-schedule").await.unwrap();
    assert_eq!(played.report.outcome, Outcome::Done, "{:?}", played.log);
    let (search, note) = (&played.calls[0], &played.calls[1]);
    assert_eq!(search.1["query"]["create_time_range"]["end_time"], 1_764_700_000 - 48 * 3_600);
    assert_eq!((note.0.as_str(), &note.1["order_id"]), ("notes.set-merchant-notes", &json!(ORDER_ID)));
    assert!(note.1["merchant_notes"].as_str().unwrap().contains("超时未发货"));
    assert!(played.log[0].starts_with("nightly from 0 "), "{:?}", played.log);
}
