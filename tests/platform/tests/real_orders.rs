//! The two real orders: the first's life ends in the second payload, the second never gets a number.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)]
mod receiver;

use fangshi_platform::real_orders::{self, FIRST, NUMBER_AT, PAID_AT, SECOND, SHIPPED_AT};
use fangshi_platform::{PushState, Settings};
use receiver::{Receiver, Stage};
use serde_json::json;

#[tokio::test]
async fn the_first_real_order_ends_as_the_second_payload_shows_it() {
    let stage = Stage::new(Settings { ticket_every_s: None, ..Settings::manual(PAID_AT) }).await;
    stage.platform.load_real_orders(&stage.shop.appid).unwrap();
    let get = "/channels/ec/order/get";
    assert_eq!(stage.call(get, json!({"order_id": FIRST})).await, real_orders::before());

    stage.platform.play_first_real_order().await.unwrap();
    assert_eq!(stage.platform.now(), SHIPPED_AT);
    // Tokens live two hours; the life took four.
    let token = stage.platform.issue_tokens(&stage.shop.appid).unwrap();
    assert_eq!(stage.call_as(token.access(), get, json!({"order_id": FIRST})).await, real_orders::after());
}

#[tokio::test]
async fn its_events_are_a_number_then_a_shipment_and_the_second_has_no_number() {
    let stage = Stage::new(Settings { ticket_every_s: None, ..Settings::manual(PAID_AT) }).await;
    let receiver = Receiver::start().await;
    stage.platform.point_at(&receiver.url());
    stage.platform.load_real_orders(&stage.shop.appid).unwrap();
    stage.platform.play_first_real_order().await.unwrap();
    stage.platform.play_second_real_order().await.unwrap();

    let ledger = stage.platform.ledger();
    let first = ledger.pushes_of(FIRST);
    assert_eq!(
        first.iter().map(|p| (p.name.as_str(), p.ext_type())).collect::<Vec<_>>(),
        [("channels_ec_order_ext_info_update", Some(5)), ("channels_ec_order_deliver", None),]
    );
    assert_eq!(first[0].event.as_ref().unwrap().create_time, NUMBER_AT);
    assert!(first.iter().all(|p| p.state == PushState::Delivered));
    assert_eq!(stage.types(SECOND), [0_i64; 0]);
    assert_eq!(stage.events(SECOND), ["deliver"]);
    let second = stage.platform.order(SECOND).unwrap();
    assert_eq!(second["status"], 30);
    assert!(second["order_detail"]["delivery_info"]["address_info"]["tel_number_ext_info"].is_null());
}

#[tokio::test]
async fn decoding_by_call_gives_the_same_number() {
    let stage = Stage::new(Settings { ticket_every_s: None, ..Settings::manual(NUMBER_AT) }).await;
    stage.platform.load_real_orders(&stage.shop.appid).unwrap();
    let answer = stage.call("/channels/ec/order/sensitiveinfo/decode", json!({"order_id": FIRST})).await;
    assert_eq!(answer["errcode"], 0);
    assert_eq!(
        answer["virtual_number_info"],
        json!({
            "virtual_number": "18400984191", "extension": "0775", "expiration": 1_767_241_651
        })
    );
    assert_eq!(answer["address_info"]["tel_number"], "139****0775");
    assert_eq!(answer["address_info"]["user_name"], "杨小坊");
    let shown = &stage.platform.order(FIRST).unwrap()["order_detail"]["delivery_info"]["address_info"];
    assert_eq!(*shown, real_orders::after()["order"]["order_detail"]["delivery_info"]["address_info"]);
}
