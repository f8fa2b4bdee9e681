//! Decoding, virtual and real numbers, the shop's own phones.

use std::time::Duration;

use fangshi_platform::{Address, NewOrder, NewPresent, NewShop, Step};
use serde_json::json;

use crate::DECODE;
use crate::receiver::Stage;

#[tokio::test]
async fn decode_unmasks_and_allocates_once_in_the_rollout() {
    let stage = Stage::manual().await;
    let id = stage.paid(NewOrder::default());
    let first = stage.call(DECODE, json!({"order_id": id})).await;
    assert_eq!(first["address_info"]["detail_info"], Address::default().detail_info);
    assert_eq!(first["address_info"]["tel_number"], "139****0775");
    assert_eq!(first["virtual_number_info"]["extension"], "0775");
    assert_eq!(first["virtual_number_info"]["expiration"], stage.platform.now() + 30 * 86_400);
    assert_eq!(stage.types(&id), [5]);
    // getorder stays masked; decoding again gives the same and raises nothing.
    let shown = stage.shown(&id)["order_detail"]["delivery_info"]["address_info"].clone();
    assert_eq!((&shown["detail_info"], &shown["use_tel_number"]), (&json!("****"), &json!(1)));
    assert_eq!(stage.call(DECODE, json!({"order_id": id})).await, first);
    assert_eq!(stage.types(&id), [5]);

    let mut outside = NewShop::authorized();
    outside.virtual_numbers = false;
    let outside = stage.platform.add_shop(outside).unwrap();
    let token = stage.platform.issue_tokens(&outside.appid).unwrap();
    let other = stage.platform.add_order(&outside.appid, NewOrder::default()).unwrap();
    stage.platform.drive(&other, Step::Pay).unwrap();
    let clear = stage.call_as(token.access(), DECODE, json!({"order_id": other})).await;
    assert_eq!(clear["address_info"]["tel_number"], "13900000775");
    assert!(clear["virtual_number_info"].is_null());
    assert_eq!(stage.types(&other), [0_i64; 0]);
    let gift = stage.paid(NewOrder { present: Some(NewPresent::default()), ..NewOrder::default() });
    assert_eq!(stage.code(DECODE, json!({"order_id": gift})).await, 10020116);
}

#[tokio::test]
async fn a_virtual_number_is_extended_in_its_last_week_and_given_once_more() {
    let stage = Stage::manual().await;
    let (again, delay) = ("/channels/ec/order/virtualnumber/applyagain", "/channels/ec/order/virtualnumber/delay");
    let id = stage.paid(NewOrder::default());
    let request = json!({"order_id": id, "has_delay_times": 0});
    assert_eq!(stage.code(delay, request.clone()).await, 10020116);
    let number = stage.call(DECODE, json!({"order_id": id})).await["virtual_number_info"].clone();
    assert_eq!(stage.code(delay, request.clone()).await, 10020116);
    assert_eq!(stage.code(again, json!({"order_id": id})).await, 10020116);

    stage.platform.advance(Duration::from_secs(23 * 86_400)).await;
    let token = stage.platform.issue_tokens(&stage.shop.appid).unwrap().access().to_owned();
    let stale = json!({"order_id": id, "has_delay_times": 1});
    assert_eq!(stage.call_as(&token, delay, stale).await["errcode"], 10020116);
    let delayed = stage.call_as(&token, delay, request.clone()).await;
    assert_eq!(delayed["expiration"], number["expiration"].as_i64().unwrap() + 30 * 86_400);
    assert_eq!(delayed["available_extend_num"], 2);
    // The same request again is not the current count any more.
    assert_eq!(stage.call_as(&token, delay, request).await["errcode"], 10020116);

    stage.drive(&id, Step::ExpireNumber);
    let second = stage.call_as(&token, again, json!({"order_id": id})).await;
    assert_eq!((&second["errcode"], &second["apply_quota"]), (&json!(0), &json!(0)));
    assert_ne!(second["virtual_number"], number["virtual_number"]);
    stage.drive(&id, Step::ExpireNumber);
    assert_eq!(stage.call_as(&token, again, json!({"order_id": id})).await["errcode"], 10020116);
    assert_eq!(stage.types(&id), [5, 5, 5]);
}

#[tokio::test]
async fn the_real_number_shows_after_an_audit() {
    let stage = Stage::manual().await;
    let (apply, audit) = ("/channels/ec/order/realnumber/apply", "/channels/ec/order/realnumberviewaudit/get");
    let id = stage.paid(NewOrder::default());
    let request = json!({"order_id": id, "apply_type": 1, "apply_reason": "无法联系", "pic_media_ids": ["m1"]});
    assert_eq!(stage.code(apply, request.clone()).await, 10020116);
    stage.call(DECODE, json!({"order_id": id})).await;
    assert_eq!(stage.code(audit, json!({"order_id": id})).await, 10020116);
    for (member, value) in [("apply_type", json!(6)), ("pic_media_ids", json!([])), ("apply_reason", json!(""))] {
        let mut wrong = request.clone();
        wrong[member] = value;
        assert_eq!(stage.code(apply, wrong).await, 40097, "{member}");
    }
    let task = stage.call(apply, request.clone()).await["task_id"].clone();
    assert!(task.is_i64());
    assert_eq!(stage.code(apply, request.clone()).await, 10020116);
    let state = async || stage.call(audit, json!({"order_id": id})).await;
    let pending = state().await;
    assert_eq!((&pending["audit_state"], &pending["task_id"]), (&json!(1), &task));
    assert_eq!(pending["apply_time"], stage.platform.now() * 1000);
    stage.drive(&id, Step::AuditRealNumber { approve: false });
    assert_eq!(state().await["audit_state"], 2);
    assert_eq!(stage.code(apply, request).await, 0);
    stage.drive(&id, Step::AuditRealNumber { approve: true });
    assert_eq!(state().await["audit_state"], 3);
    assert_eq!(stage.shown(&id)["order_detail"]["delivery_info"]["address_info"]["tel_number"], "13900000775");
    assert_eq!(stage.types(&id), [5, 13, 13]);
}

#[tokio::test]
async fn a_phone_is_registered_with_a_code() {
    let stage = Stage::manual().await;
    let base = "/channels/ec/merchant/privatenumber";
    let (send, add, get) = (format!("{base}/sendverifycode"), format!("{base}/addphone"), format!("{base}/getphone"));
    let mobile = json!({"mobile": "13600000001"});
    assert_eq!(stage.code(&get, mobile.clone()).await, 10021207);
    assert_eq!(stage.code(&send, json!({"mobile": "123"})).await, 40097);
    assert_eq!(stage.code(&send, mobile.clone()).await, 0);
    assert_eq!(stage.code(&send, mobile.clone()).await, 10021203);
    let code = stage.platform.sms_code(&stage.shop.appid, "13600000001").unwrap();
    let request = |code: &str, name: &str| json!({"mobile": "13600000001", "verify_code": code, "wxusername": name});
    assert_eq!(stage.code(&add, request(&code, "?")).await, 40132);
    assert_eq!(stage.call(&add, request("wrong", "staff_01")).await["status"], 2);
    assert_eq!(stage.call(&get, mobile.clone()).await["status"], 2);
    let added = stage.call(&add, request(&code, "staff_01")).await;
    assert_eq!(added["status"], 3);
    assert!(added["qrcode_url"].as_str().unwrap().starts_with("https://"));
    // A code works once.
    assert_eq!(stage.call(&add, request(&code, "staff_01")).await["status"], 2);
    stage.platform.advance(Duration::from_secs(600)).await;
    assert_eq!(stage.call(&get, mobile.clone()).await["status"], 1);
    // The code of another phone is over after five minutes.
    assert_eq!(stage.code(&send, json!({"mobile": "13600000002"})).await, 0);
    let late = stage.platform.sms_code(&stage.shop.appid, "13600000002").unwrap();
    stage.platform.advance(Duration::from_secs(301)).await;
    let late = json!({"mobile": "13600000002", "verify_code": late, "wxusername": "staff_02"});
    assert_eq!(stage.call(&add, late).await["status"], 2);
    stage.platform.configure(|s| s.max_phones = 1);
    assert_eq!(stage.code(&send, json!({"mobile": "13600000003"})).await, 10021204);
}
