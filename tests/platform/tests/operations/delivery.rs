//! Fulfilment, and a life to its end.

use fangshi_platform::{By, NewItem, NewOrder, Step};
use serde_json::{Value, json};

use crate::receiver::Stage;
use crate::{GET, SEND, item, order_of, pack};

#[tokio::test]
async fn delivery_send_ships_in_parts_and_checks_packages() {
    let stage = Stage::manual().await;
    let id = stage.paid(order_of(vec![item("1", 2, 100), item("2", 1, 100)]));
    let send = |list: Value| json!({"order_id": id, "delivery_list": list});
    let refused = [
        (json!([pack("SF0001", "9", 1)]), 606031),
        (json!([pack("SF0001", "1", 3)]), 606042),
        (json!([pack("SF0001", "1", 0)]), 606042),
        (json!([pack("SF0001", "1", 2), pack("SF0002", "1", 1)]), 606042),
        (json!([pack("", "1", 1)]), 606005),
        (json!([{"delivery_id": "NOBODY", "waybill_id": "X0001", "deliver_type": 1, "product_infos": []}]), 606004),
        (json!([{"delivery_id": "SF", "waybill_id": "X0001", "deliver_type": 7, "product_infos": []}]), 40097),
        (json!([{"delivery_id": "", "waybill_id": "", "deliver_type": 3, "product_infos": []}]), 40097),
        (json!([]), 40097),
        (json!({}), 47001),
    ];
    for (list, code) in refused {
        assert_eq!(stage.code(SEND, send(list.clone())).await, code, "{list}");
    }
    assert_eq!(stage.shown(&id)["status"], 20);
    assert_eq!(stage.code(SEND, send(json!([pack("SF0001", "1", 1)]))).await, 0);
    assert_eq!(stage.shown(&id)["status"], 21);
    assert_eq!(stage.shown(&id)["order_detail"]["delivery_info"]["ship_done_time"], 0);
    let mut other = pack("X-0002", "2", 1);
    other["delivery_id"] = json!("OTHER");
    assert_eq!(stage.code(SEND, send(json!([pack("SF0002", "1", 1), other]))).await, 0);
    let order = stage.shown(&id);
    assert_eq!(order["status"], 30);
    let delivery = &order["order_detail"]["delivery_info"];
    assert_eq!(delivery["delivery_product_info"].as_array().unwrap().len(), 3);
    assert_eq!(delivery["delivery_product_info"][0]["delivery_name"], "顺丰速运");
    assert_eq!(delivery["ship_done_time"], stage.platform.now());
    assert_eq!(stage.code(SEND, send(json!([pack("SF0003", "1", 1)]))).await, 101100);
    assert_eq!(stage.events(&id), ["new", "pay", "wait_shipping", "deliver", "deliver"]);
}

#[tokio::test]
async fn delivery_send_of_virtual_goods_dropshipped_and_pending_orders() {
    let stage = Stage::manual().await;
    let product = NewItem::default();
    let virtual_goods = stage.paid(NewOrder { deliver_method: 1, ..NewOrder::default() });
    let list = json!([{"deliver_type": 3, "product_infos": [
        {"product_id": product.product_id, "sku_id": product.sku_id, "product_cnt": 1}]}]);
    assert_eq!(stage.code(SEND, json!({"order_id": virtual_goods, "delivery_list": list})).await, 0);
    assert_eq!(stage.shown(&virtual_goods)["status"], 30);

    let dropped = stage.paid(NewOrder::default());
    let mut products = stage.shown(&dropped)["order_detail"]["product_infos"].clone();
    products[0]["dropship_info"] = json!({"ds_order_id": "1"});
    stage.drive(&dropped, Step::Extra { ext_type: 14, patch: json!({"order_detail": {"product_infos": products}}) });
    let send = |id: &str| json!({"order_id": id, "delivery_list": [pack("SF0001", &product.sku_id, 1)]});
    assert_eq!(stage.code(SEND, send(&dropped)).await, 606034);

    let pending = stage.paid(NewOrder::default());
    stage.drive(&pending, Step::AskSku { sku_id: product.sku_id.clone(), new_sku_id: "88".to_owned(), within_s: 3600 });
    let answer = stage.call(SEND, send(&pending)).await;
    assert_eq!(answer["errcode"], 101100);
    assert!(answer["errmsg"].as_str().unwrap().contains("存在换款请求禁止发货"));
}

#[tokio::test]
async fn changedeliveryinfo_replaces_or_splits_packages_three_times() {
    let stage = Stage::manual().await;
    let path = "/channels/ec/order/deliveryinfo/update";
    let id = stage.paid(order_of(vec![item("1", 3, 100)]));
    let whole = |waybill: &str| json!({"order_id": id, "delivery_list": [pack(waybill, "1", 3)]});
    assert_eq!(stage.code(path, whole("SF0009")).await, 101100);
    assert_eq!(stage.code(SEND, json!({"order_id": id, "delivery_list": [pack("SF0001", "1", 3)]})).await, 0);
    let split = |old: &str| json!({"order_id": id, "change_infos": [{"old": pack(old, "1", 3), "new": pack("SF0002", "1", 1)}]});
    assert_eq!(stage.code(path, split("SF9999")).await, 606040);
    assert_eq!(stage.code(path, split("SF0001")).await, 0);
    let packages = stage.shown(&id)["order_detail"]["delivery_info"]["delivery_product_info"].clone();
    assert_eq!(packages[0]["product_infos"][0]["product_cnt"], 2);
    assert_eq!(
        (&packages[1]["waybill_id"], &packages[1]["product_infos"][0]["product_cnt"]),
        (&json!("SF0002"), &json!(1))
    );
    let two = json!({"order_id": id, "delivery_list": [pack("SF0001", "1", 2), pack("SF0002", "1", 1)]});
    assert_eq!(stage.code(path, two).await, 40097);
    assert_eq!(stage.code(path, json!({"order_id": id, "delivery_list": [pack("SF0003", "1", 1)]})).await, 606042);
    assert_eq!(stage.code(path, json!({"order_id": id})).await, 40097);
    assert_eq!(stage.code(path, whole("SF0003")).await, 0);
    assert_eq!(stage.code(path, whole("SF0004")).await, 0);
    let packages = stage.shown(&id)["order_detail"]["delivery_info"]["delivery_product_info"].clone();
    assert_eq!((packages.as_array().unwrap().len(), &packages[0]["waybill_id"]), (1, &json!("SF0004")));
    assert_eq!(stage.code(path, whole("SF0005")).await, 606041);
}

#[tokio::test]
async fn couriers_compensation_and_fresh_goods() {
    let stage = Stage::manual().await;
    let new = "/channels/ec/order/deliverycompanylist/new/get";
    let count = |answer: &Value| answer["company_list"].as_array().unwrap().len();
    let all = stage.call(new, json!({})).await;
    assert!(
        all["company_list"].as_array().unwrap().contains(&json!({"delivery_id": "SF", "delivery_name": "顺丰速运"}))
    );
    assert!(count(&stage.call(new, json!({"ewaybill_only": true})).await) < count(&all));
    let old = stage.call("/channels/ec/order/deliverycompanylist/get", json!({})).await;
    assert_eq!(count(&old), count(&all));
    assert_eq!(stage.code(new, json!({"ewaybill_only": 1})).await, 47001);

    let compensation = "/channels/ec/order/delivery/compensation";
    let id = stage.paid(NewOrder::default());
    let request = json!({"order_id": id, "reason": 1, "delivery_list": [pack("SF0008", "3616331648", 1)]});
    assert_eq!(stage.code(compensation, request.clone()).await, 101100);
    stage.drive(&id, Step::ShipAll { delivery_id: "SF".to_owned(), waybill_id: "SF0001".to_owned() });
    assert_eq!(stage.code(compensation, request).await, 0);
    assert_eq!(stage.shown(&id)["order_detail"]["delivery_info"]["delivery_product_info"][1]["waybill_id"], "SF0008");

    let fresh = "/channels/ec/order/freshinspect/submit";
    let items = json!([{"item_name": "weight", "item_value": "500g"}]);
    assert_eq!(stage.code(fresh, json!({"order_id": id, "audit_items": items})).await, 10020116);
    let fish = stage.paid(NewOrder { quality_inspect_type: 2, ..NewOrder::default() });
    assert_eq!(stage.code(fresh, json!({"order_id": fish, "audit_items": []})).await, 40097);
    assert_eq!(stage.code(fresh, json!({"order_id": fish, "audit_items": items})).await, 0);
    assert_eq!(stage.shown(&fish)["order_detail"]["delivery_info"]["quality_inspect_info"]["inspect_status"], 1);
}

#[tokio::test]
async fn a_life_ends_with_receipt_and_settlement() {
    let stage = Stage::manual().await;
    let id = stage.paid(NewOrder::default());
    assert_eq!(stage.code(SEND, json!({"order_id": id, "delivery_list": [pack("SF0001", "3616331648", 1)]})).await, 0);
    stage.drive(&id, Step::Confirm { by: By::User });
    stage.drive(&id, Step::Settle);
    let order = stage.call(GET, json!({"order_id": id})).await["order"].clone();
    assert_eq!(order["status"], 100);
    assert_eq!(order["order_detail"]["settle_info"]["settle_time"], stage.platform.now());
}
