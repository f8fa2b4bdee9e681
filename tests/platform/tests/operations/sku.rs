//! Sku changes before shipping.

use std::time::Duration;

use fangshi_platform::{NewItem, NewOrder, Step};
use serde_json::{Value, json};

use crate::receiver::Stage;
use crate::{SEND, pack};

#[tokio::test]
async fn sku_changes_are_listed_approved_refused_or_lapse() {
    let stage = Stage::manual().await;
    let base = "/channels/ec/order/preshipmentchangesku";
    let (list, approve, reject) = (format!("{base}/get"), format!("{base}/approve"), format!("{base}/reject"));
    let sku = NewItem::default().sku_id;
    let ids: Vec<String> = (0..3).map(|_| stage.paid(NewOrder::default())).collect();
    for id in &ids {
        stage.drive(id, Step::AskSku { sku_id: sku.clone(), new_sku_id: "88".to_owned(), within_s: 3600 });
    }
    assert_eq!(stage.call(&list, json!({"page": 1, "page_size": 10})).await["order_ids"], json!(ids));
    assert_eq!(stage.call(&list, json!({"page": 2, "page_size": 2})).await["order_ids"], json!([ids[2]]));
    assert_eq!(stage.code(&list, json!({"page": 0, "page_size": 2})).await, 10020277);
    assert_eq!(stage.code(&list, json!({"page": "1", "page_size": 2})).await, 10020277);
    assert_eq!(stage.code(&approve, json!({})).await, 10020277);

    assert_eq!(stage.code(&approve, json!({"order_id": ids[0]})).await, 0);
    assert_eq!(stage.code(&reject, json!({"order_id": ids[1]})).await, 0);
    assert_eq!(stage.code(&approve, json!({"order_id": ids[1]})).await, 10020116);
    stage.platform.advance(Duration::from_secs(3600)).await;
    assert_eq!(stage.code(&approve, json!({"order_id": ids[2]})).await, 10020116);
    let product = |id: &str| stage.shown(id)["order_detail"]["product_infos"][0].clone();
    let states: Vec<(Value, Value, Vec<i64>)> = ids
        .iter()
        .map(|id| {
            let product = product(id);
            let state = product["change_sku_info"]["preshipment_change_sku_state"].clone();
            (product["sku_id"].clone(), state, stage.types(id))
        })
        .collect();
    assert_eq!(
        states,
        [(json!("88"), json!(2), vec![9, 10]), (json!(sku), json!(3), vec![9]), (json!(sku), json!(4), vec![9]),]
    );
    // The new sku is what can be shipped now.
    let send = |sku: &str| json!({"order_id": ids[0], "delivery_list": [pack("SF0001", sku, 1)]});
    assert_eq!(stage.code(SEND, send(&sku)).await, 606031);
    assert_eq!(stage.code(SEND, send("88")).await, 0);
}
