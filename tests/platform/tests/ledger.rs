//! The ledger tells the truth: what was applied and what was not, through every fault; overlaps; no secrets.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)]
mod receiver;

use std::time::{Duration, Instant};

use fangshi_platform::{Fault, NewOrder, Step, Target};
use receiver::Stage;
use serde_json::json;

const NOTES: &str = "/channels/ec/order/merchantnotes/update";

#[tokio::test]
async fn every_fault_answers_wrongly_and_the_ledger_knows_what_was_applied() {
    let stage = Stage::manual().await;
    let id = stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
    let faults = [
        Fault::Errcode { code: -1 },
        Fault::ErrcodeApplied { code: -1 },
        Fault::Hang { for_ms: 50, applied: false },
        Fault::Hang { for_ms: 50, applied: true },
        Fault::Reset { applied: false },
        Fault::Reset { applied: true },
        Fault::ResetInBody,
        Fault::Status { status: 502 },
        Fault::BrokenJson,
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        let notes = format!("note {number}");
        stage.platform.fail_next(Target::shop_path(&stage.shop.appid, NOTES), 1, fault.clone());
        let answer = stage.try_call(&stage.token, NOTES, json!({"order_id": id, "merchant_notes": notes})).await;
        let order = stage.platform.order(&id).unwrap();
        let written = order["order_detail"]["ext_info"]["merchant_notes"] == notes;
        let ledger = stage.platform.ledger();
        let call = ledger.calls.last().unwrap();
        assert_eq!(call.applied, written, "{fault:?}");
        assert_eq!(written, fault.applies(), "{fault:?}");
        assert_eq!(call.fault.as_ref(), Some(&fault));
        assert_eq!(call.order_id.as_deref(), Some(id.as_str()));
        match fault {
            Fault::Errcode { code } | Fault::ErrcodeApplied { code } => {
                assert_eq!(answer.unwrap()["errcode"], code);
                assert_eq!(call.errcode, Some(code));
            }
            _ => {
                assert!(answer.is_err(), "{fault:?}");
                assert_eq!(call.errcode, fault.applies().then_some(0), "{fault:?}");
            }
        }
    }
    // Used up: the next call is healthy.
    assert_eq!(stage.code(NOTES, json!({"order_id": id, "merchant_notes": "last"})).await, 0);
    let applied = stage.platform.ledger().applied_on(&id).len();
    assert_eq!(applied, stage.types(&id).len());
    assert_eq!(applied, 6);
}

#[tokio::test]
async fn slow_trickling_and_huge_answers_are_whole() {
    let stage = Stage::manual().await;
    let id = stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
    let request = json!({"order_id": id, "merchant_notes": "x"});
    for fault in [Fault::Slow { for_ms: 60 }, Fault::Trickle { every_ms: 2 }, Fault::Huge { bytes: 2_000_000 }] {
        stage.platform.fail_next(Target::path(NOTES), 1, fault.clone());
        let begun = Instant::now();
        let answer = stage.call(NOTES, request.clone()).await;
        assert_eq!(answer["errcode"], 0, "{fault:?}");
        match fault {
            Fault::Huge { bytes } => assert_eq!(answer["padding"].as_str().unwrap().len(), bytes),
            _ => assert!(begun.elapsed() > Duration::from_millis(50), "{fault:?}"),
        }
    }
}

#[tokio::test]
async fn faults_are_forgotten_on_demand() {
    let stage = Stage::manual().await;
    stage.platform.fail_next(Target::default(), 100, Fault::Errcode { code: -1 });
    assert_eq!(stage.code(NOTES, json!({})).await, -1);
    stage.platform.heal();
    assert_eq!(stage.code(NOTES, json!({})).await, 40097);
}

#[tokio::test]
async fn two_changes_of_one_order_at_once_get_100003_and_overlap_in_the_ledger() {
    let stage = Stage::manual().await;
    stage.platform.configure(|s| s.latency = Duration::from_millis(150));
    let one = stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
    let two = stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
    let note = |id: &str| json!({"order_id": id, "merchant_notes": "x"});
    let (a, b, c) =
        tokio::join!(stage.code(NOTES, note(&one)), stage.code(NOTES, note(&one)), stage.code(NOTES, note(&two)));
    let mut same = [a, b];
    same.sort_unstable();
    assert_eq!(same, [0, 100003]);
    assert_eq!(c, 0);
    let ledger = stage.platform.ledger();
    let applied: Vec<_> = ledger.calls_of("changemerchantnotes").into_iter().filter(|c| c.applied).collect();
    assert_eq!(applied.len(), 2);
    let overlap = applied[0].began < applied[1].ended && applied[1].began < applied[0].ended;
    assert!(overlap, "{applied:?}");
    // One after the other is fine, and does not overlap.
    assert_eq!(stage.code(NOTES, note(&one)).await, 0);
    let ledger = stage.platform.ledger();
    let last = ledger.calls.last().unwrap();
    assert!(ledger.calls.iter().rev().skip(1).all(|c| c.ended < last.began));
}

#[tokio::test]
async fn changes_too_soon_after_another_get_100003() {
    let stage = Stage::manual().await;
    stage.platform.configure(|s| s.change_gap_ms = 3000);
    let id = stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
    let note = json!({"order_id": id, "merchant_notes": "x"});
    assert_eq!([stage.code(NOTES, note.clone()).await, stage.code(NOTES, note.clone()).await], [0, 100003]);
    stage.platform.advance(Duration::from_secs(3)).await;
    assert_eq!(stage.code(NOTES, note).await, 0);
}

#[tokio::test]
async fn a_call_is_carried_out_even_if_its_caller_goes_away() {
    let stage = Stage::manual().await;
    stage.platform.configure(|s| s.latency = Duration::from_millis(200));
    let id = stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
    let call = stage.try_call(&stage.token, NOTES, json!({"order_id": id, "merchant_notes": "gone"}));
    assert!(tokio::time::timeout(Duration::from_millis(80), call).await.is_err());
    for _ in 0..100 {
        if stage.platform.ledger().calls.last().is_some_and(|c| c.ended > 0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let ledger = stage.platform.ledger();
    assert!(ledger.calls.last().unwrap().applied);
    assert_eq!(stage.types(&id), [3]);
}

#[tokio::test]
async fn the_ledger_names_tokens_and_holds_none() {
    let stage = Stage::manual().await;
    let id = stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
    stage.platform.drive(&id, Step::Pay).unwrap();
    let tokens = stage.platform.issue_tokens(&stage.shop.appid).unwrap();
    let component = stage.platform.component();
    stage.call_as(tokens.access(), "/channels/ec/order/get", json!({"order_id": id})).await;
    let refresh = json!({"component_appid": component.appid, "authorizer_appid": stage.shop.appid,
        "authorizer_refresh_token": tokens.refresh(), "component_appsecret": component.appsecret()});
    stage.call_as(tokens.access(), "/cgi-bin/component/api_authorizer_token", refresh).await;
    let ledger = stage.platform.ledger();
    let text = serde_json::to_string(&ledger).unwrap();
    for secret in [tokens.access(), tokens.refresh().unwrap(), component.appsecret(), stage.token.as_str()] {
        assert!(!text.contains(secret));
    }
    let read = ledger.calls_of("getorder")[0];
    assert_eq!(read.token_id.as_deref(), Some(tokens.access_id.as_str()));
    assert_eq!(read.appid.as_deref(), Some(stage.shop.appid.as_str()));
    assert_eq!((read.errcode, read.applied), (Some(0), false));
}

#[tokio::test]
async fn the_same_seed_makes_the_same_platform() {
    let make = || async {
        let stage = Stage::manual().await;
        let id = stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
        stage.platform.drive(&id, Step::Pay).unwrap();
        (stage.shop.appid.clone(), stage.token.clone(), stage.platform.order(&id))
    };
    assert_eq!(make().await, make().await);
}

#[tokio::test]
async fn a_refused_call_and_a_read_are_not_applied() {
    let stage = Stage::manual().await;
    let id = stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
    let send = json!({"order_id": id, "delivery_list": []});
    assert_eq!(stage.code("/channels/ec/order/delivery/send", send).await, 101100);
    assert_eq!(stage.code("/channels/ec/order/get", json!({"order_id": id})).await, 0);
    assert_eq!(stage.code(NOTES, json!({"order_id": "1", "merchant_notes": "x"})).await, 100002);
    assert_eq!(stage.code(NOTES, json!({"order_id": id, "merchant_notes": "x"})).await, 0);
    let ledger = stage.platform.ledger();
    let seen: Vec<(Option<i64>, bool)> = ledger.calls.iter().map(|c| (c.errcode, c.applied)).collect();
    assert_eq!(seen, [(Some(101100), false), (Some(0), false), (Some(100002), false), (Some(0), true)]);
    assert!(ledger.calls.iter().all(|c| c.began > 0 && c.ended > c.began));
}
