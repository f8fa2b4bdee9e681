//! The state machine by steps: every step from every status, and the events of each change.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)]
mod receiver;

use std::time::Duration;

use fangshi_platform::{Address, By, NewItem, NewOrder, NewPresent, Package, Packed, Step, chart};
use receiver::Stage;
use serde_json::json;

fn present() -> NewOrder {
    NewOrder {
        present: Some(NewPresent { giver_openid: "giver".to_owned(), ..NewPresent::default() }),
        ..NewOrder::default()
    }
}

fn two_units() -> NewOrder {
    NewOrder { items: vec![NewItem { sku_cnt: 2, ..NewItem::default() }], ..NewOrder::default() }
}

fn one_unit(waybill: &str) -> Step {
    Step::Ship {
        packages: vec![Package {
            delivery_id: "SF".to_owned(),
            waybill_id: waybill.to_owned(),
            deliver_type: 1,
            product_infos: vec![Packed {
                product_id: NewItem::default().product_id,
                sku_id: NewItem::default().sku_id,
                product_cnt: 1,
            }],
        }],
    }
}

fn ship_all() -> Step {
    Step::ShipAll { delivery_id: "SF".to_owned(), waybill_id: "SF0001".to_owned() }
}

/// An order of two units in this status.
fn in_status(stage: &Stage, status: i64) -> String {
    let kind = match status {
        chart::PRESENT => NewOrder { items: two_units().items, ..present() },
        chart::GROUP => NewOrder { group: true, ..two_units() },
        _ => two_units(),
    };
    let id = stage.platform.add_order(&stage.shop.appid, kind).unwrap();
    let steps: Vec<Step> = match status {
        chart::UNPAID => vec![],
        chart::PRESENT | chart::GROUP | chart::TO_SHIP => vec![Step::Pay],
        chart::PARTLY_SHIPPED => vec![Step::Pay, one_unit("SF0000")],
        chart::SHIPPED => vec![Step::Pay, ship_all()],
        chart::FINISHED => vec![Step::Pay, ship_all(), Step::Confirm { by: By::User }],
        chart::OVERSOLD => vec![Step::Pay, Step::Oversell],
        chart::REFUNDED => vec![Step::Pay, Step::RefundAll],
        chart::CANCELLED => vec![Step::Cancel { by: By::Timeout }],
        other => panic!("{other}"),
    };
    for step in steps {
        stage.platform.drive(&id, step).unwrap();
    }
    assert_eq!(stage.platform.order(&id).unwrap()["status"], status);
    id
}

#[tokio::test]
async fn every_step_from_every_status() {
    let stage = Stage::manual().await;
    // Step, the statuses that allow it with what follows, and the event.
    let table: Vec<(Step, &str, &str)> = vec![
        (Step::Pay, "10>20", "wait_shipping"),
        (Step::Cancel { by: By::User }, "10>250", "cancel"),
        (Step::RefusePresent, "12>200", "cancel"),
        (
            Step::AcceptPresent { openid: "friend".to_owned(), address: Address::default(), new_sku_id: None },
            "12>20",
            "wait_shipping",
        ),
        (Step::EndGroup { complete: true }, "13>20", "wait_shipping"),
        (Step::EndGroup { complete: false }, "13>200", "cancel"),
        (Step::Oversell, "20>190", "cancel"),
        (one_unit("SF0009"), "20>21 21>30", "deliver"),
        (ship_all(), "20>30 21>30", "deliver"),
        (Step::Confirm { by: By::Timeout }, "30>100", "confirm"),
        (Step::Settle, "100>100", "settle"),
        (Step::RefundAll, "20>200 21>200 30>200 100>200", "cancel"),
        (Step::Urge, "20>20 21>21", "ext_info_update"),
    ];
    for (step, allowed, event) in table {
        for from in chart::ALL {
            let id = in_status(&stage, from);
            let before = stage.platform.order(&id).unwrap();
            let pushed = stage.events(&id).len();
            let to = allowed.split(' ').find_map(|pair| {
                let (a, b) = pair.split_once('>').unwrap();
                (a == from.to_string()).then(|| b.parse::<i64>().unwrap())
            });
            let outcome = stage.platform.drive(&id, step.clone());
            let after = stage.platform.order(&id).unwrap();
            match to {
                Some(to) => {
                    outcome.unwrap_or_else(|e| panic!("{step:?} from {from}: {e}"));
                    assert_eq!(after["status"], to, "{step:?} from {from}");
                    assert_eq!(stage.events(&id).last().unwrap(), event, "{step:?} from {from}");
                }
                None => {
                    assert!(outcome.is_err(), "{step:?} from {from} must be refused");
                    assert_eq!(after, before, "{step:?} from {from} must change nothing");
                    assert_eq!(stage.events(&id).len(), pushed, "{step:?} from {from} must push nothing");
                }
            }
        }
    }
}

#[tokio::test]
async fn update_time_grows_with_every_change_even_within_a_second() {
    let stage = Stage::manual().await;
    let id = in_status(&stage, chart::TO_SHIP);
    let mut last = stage.platform.order(&id).unwrap()["update_time"].as_i64().unwrap();
    for n in 0..5 {
        stage.platform.drive(&id, Step::WriteNote { notes: n.to_string() }).unwrap();
        let now = stage.platform.order(&id).unwrap()["update_time"].as_i64().unwrap();
        assert!(now > last);
        last = now;
    }
}

#[tokio::test]
async fn a_whole_life_in_events() {
    let stage = Stage::manual().await;
    let id = stage.platform.add_order(&stage.shop.appid, two_units()).unwrap();
    for step in [Step::Pay, one_unit("SF0001"), one_unit("SF0002"), Step::Confirm { by: By::User }, Step::Settle] {
        stage.platform.drive(&id, step).unwrap();
    }
    assert_eq!(stage.events(&id), ["new", "pay", "wait_shipping", "deliver", "deliver", "confirm", "settle"]);
    let ledger = stage.platform.ledger();
    let codes: Vec<_> = ledger.pushes_of(&id).iter().map(|p| p.event.as_ref().unwrap().event.member()).collect();
    let now = stage.platform.now();
    assert_eq!(
        codes,
        [
            None,
            Some(("pay_time", now)),
            None,
            Some(("finish_delivery", 0)),
            Some(("finish_delivery", 1)),
            Some(("confirm_type", 1)),
            Some(("settle_time", now)),
        ]
    );
}

#[tokio::test]
async fn a_gift_has_no_recipient_until_it_is_accepted() {
    let stage = Stage::manual().await;
    let id = stage.platform.add_order(&stage.shop.appid, present()).unwrap();
    stage.platform.drive(&id, Step::Pay).unwrap();
    let order = stage.platform.order(&id).unwrap();
    assert_eq!(order["status"], 12);
    assert_eq!(order["order_detail"]["delivery_info"]["address_info"]["user_name"], "");
    stage
        .platform
        .drive(
            &id,
            Step::AcceptPresent {
                openid: "friend".to_owned(),
                address: Address::default(),
                new_sku_id: Some("77".to_owned()),
            },
        )
        .unwrap();
    let order = stage.platform.order(&id).unwrap();
    assert_eq!(order["openid"], "friend");
    assert_eq!(order["present_giver_openid"], "giver");
    assert_eq!(order["order_detail"]["product_infos"][0]["sku_id"], "77");
    assert_eq!(order["order_detail"]["delivery_info"]["address_info"]["user_name"], "杨**");
    assert_eq!(stage.events(&id), ["new", "pay", "wait_shipping", "ext_info_update"]);
    assert_eq!(stage.types(&id), [11]);
}

#[tokio::test]
async fn a_free_gift_shows_only_the_payment_method() {
    let stage = Stage::manual().await;
    let free = NewOrder { present: Some(NewPresent { free: true, ..NewPresent::default() }), ..NewOrder::default() };
    let id = stage.platform.add_order(&stage.shop.appid, free).unwrap();
    stage.platform.drive(&id, Step::Pay).unwrap();
    assert_eq!(stage.platform.order(&id).unwrap()["order_detail"]["pay_info"], json!({"payment_method": 1}));
}

#[tokio::test]
async fn any_type_can_come_with_any_patch_but_not_a_broken_order() {
    let stage = Stage::manual().await;
    let id = in_status(&stage, chart::TO_SHIP);
    let patch = json!({"order_detail": {"agent_info": {"x": 1}}, "is_flash_sale_order": null});
    stage.platform.drive(&id, Step::Extra { ext_type: 99, patch }).unwrap();
    let order = stage.platform.order(&id).unwrap();
    assert_eq!(order["order_detail"]["agent_info"]["x"], 1);
    assert!(order["is_flash_sale_order"].is_null());
    assert_eq!(stage.types(&id), [99]);
    for patch in [json!({"order_detail": {"delivery_info": null}}), json!({"order_id": "1"}), json!(7)] {
        assert!(stage.platform.drive(&id, Step::Extra { ext_type: 1, patch }).is_err());
    }
    assert_eq!(stage.types(&id), [99]);
}

#[tokio::test]
async fn the_status_can_lag_behind_the_payment() {
    let stage = Stage::manual().await;
    stage.platform.configure(|s| s.status_lag_s = 30);
    let id = stage.platform.add_order(&stage.shop.appid, NewOrder::default()).unwrap();
    stage.platform.drive(&id, Step::Pay).unwrap();
    let order = stage.platform.order(&id).unwrap();
    assert_eq!(order["status"], 10);
    assert!(order["order_detail"]["pay_info"]["pay_time"].is_i64());
    stage.platform.advance(Duration::from_secs(30)).await;
    assert_eq!(stage.platform.order(&id).unwrap()["status"], 20);
}
