//! The merchant's note, the price, gifts.

use fangshi_platform::{NewItem, NewOrder, NewPresent, Step};
use serde_json::json;

use crate::receiver::Stage;
use crate::{item, order_of};

#[tokio::test]
async fn changemerchantnotes_writes_the_note_and_raises_3() {
    let stage = Stage::manual().await;
    let path = "/channels/ec/order/merchantnotes/update";
    let id = stage.paid(NewOrder::default());
    let before = stage.shown(&id)["update_time"].as_i64().unwrap();
    assert_eq!(stage.code(path, json!({"order_id": id, "merchant_notes": "大单"})).await, 0);
    let order = stage.shown(&id);
    assert_eq!(order["order_detail"]["ext_info"]["merchant_notes"], "大单");
    assert!(order["update_time"].as_i64().unwrap() > before);
    assert_eq!(stage.types(&id), [3]);
    assert_eq!(stage.code(path, json!({"order_id": id})).await, 40097);
    assert_eq!(stage.code(path, json!({"order_id": id, "merchant_notes": 5})).await, 47001);
    assert_eq!(stage.code(path, json!({"order_id": "9", "merchant_notes": "x"})).await, 100002);
    assert_eq!(stage.types(&id), [3]);
}

#[tokio::test]
async fn changeorderprice_only_lowers_and_only_before_payment() {
    let stage = Stage::manual().await;
    let path = "/channels/ec/order/price/update";
    let id = stage.placed(NewOrder {
        freight: 500,
        cash_coupon: 1000,
        ..order_of(vec![item("1", 2, 10_000), item("2", 1, 5_000)])
    });
    let product = NewItem::default().product_id;
    let change = |sku: &str, price: i64| json!({"order_id": id, "change_order_infos": [{"product_id": product, "sku_id": sku, "change_price": price}]});
    assert_eq!(stage.code(path, change("1", 15_000)).await, 0);
    let price = stage.shown(&id)["order_detail"]["price_info"].clone();
    assert_eq!(price["order_price"], 15_000 + 5_000 + 500 - 1000);
    assert_eq!(price["change_down_price"], 5_000);
    assert_eq!(price["merchant_receieve_price"], 25_500 - 5_000);
    // The last change wins, the sku left out keeps its price.
    assert_eq!(stage.code(path, change("2", 4_000)).await, 0);
    let price = stage.shown(&id)["order_detail"]["price_info"].clone();
    assert_eq!(price["order_price"], 15_000 + 4_000 + 500 - 1000);
    let free = json!({"order_id": id, "change_express": true});
    assert_eq!(stage.code(path, free).await, 0);
    let shown = stage.shown(&id);
    assert_eq!(shown["order_detail"]["price_info"]["order_price"], 15_000 + 4_000 - 1000);
    assert_eq!(shown["order_detail"]["price_info"]["change_freight"], 0);
    assert_eq!(shown["order_detail"]["product_infos"][0]["change_price"], 15_000);
    assert_eq!(stage.types(&id), [12, 12, 12]);

    assert_eq!(stage.code(path, change("1", 20_001)).await, 108021);
    assert_eq!(stage.code(path, json!({"order_id": id, "change_express": true, "express_fee": 501})).await, 108021);
    let zero = json!({"order_id": id, "change_order_infos": [
        {"product_id": product, "sku_id": "1", "change_price": 0}, {"product_id": product, "sku_id": "2", "change_price": 1000}]});
    assert_eq!(stage.code(path, zero).await, 108023);
    assert_eq!(stage.code(path, change("9", 1)).await, 40097);
    assert_eq!(stage.code(path, json!({"order_id": id})).await, 40097);
    for _ in 0..47 {
        assert_eq!(stage.code(path, change("1", 14_000)).await, 0);
    }
    assert_eq!(stage.code(path, change("1", 14_000)).await, 108022);
    stage.drive(&id, Step::Pay);
    assert_eq!(stage.code(path, change("1", 14_000)).await, 101100);
}

#[tokio::test]
async fn gifts_have_notes_and_orders() {
    let stage = Stage::manual().await;
    let (note, orders) = ("/channels/ec/order/presentnote/add", "/channels/ec/order/presentsuborder/get");
    let present = NewPresent { present_order_id: "3732700000000000777".to_owned(), ..NewPresent::default() };
    let ids: Vec<String> =
        (0..2).map(|_| stage.paid(NewOrder { present: Some(present.clone()), ..NewOrder::default() })).collect();
    stage.paid(NewOrder::default());
    let request = json!({"present_order_id": "3732700000000000777", "notes": "生日快乐"});
    assert_eq!(stage.code(note, request).await, 0);
    for id in &ids {
        assert_eq!(stage.types(id), [8]);
        assert_eq!(stage.shown(id)["present_note"], "生日快乐");
    }
    let found = stage.call(orders, json!({"present_order_id": "3732700000000000777"})).await;
    assert_eq!(found["order_ids"], json!(ids));
    assert_eq!(stage.code(orders, json!({"present_order_id": "1"})).await, 100002);
    assert_eq!(stage.code(note, json!({"present_order_id": "1", "notes": "x"})).await, 100002);
}
