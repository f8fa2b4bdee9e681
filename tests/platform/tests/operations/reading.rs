//! Reading: one order, lists, search.

use std::time::Duration;

use fangshi_platform::{Address, NewItem, NewOrder, NewShop, Step};
use serde_json::{Value, json};

use crate::GET;
use crate::receiver::Stage;

#[tokio::test]
async fn getorder_shows_own_orders_only() {
    let stage = Stage::manual().await;
    let id = stage.paid(NewOrder::default());
    let answer = stage.call(GET, json!({"order_id": id})).await;
    assert_eq!((&answer["errcode"], &answer["errmsg"]), (&json!(0), &json!("ok")));
    assert_eq!(answer["order"], stage.shown(&id));
    assert!(answer["order"]["order_id"].is_string());
    // A bare number is understood as well, with all its digits.
    let number: u64 = id.parse().unwrap();
    assert_eq!(stage.call(GET, json!({"order_id": number})).await["order"]["order_id"], id);

    let other = stage.platform.add_shop(NewShop::authorized()).unwrap();
    let token = stage.platform.issue_tokens(&other.appid).unwrap();
    assert_eq!(stage.call_as(token.access(), GET, json!({"order_id": id})).await["errcode"], 100002);
    let missing = stage.call(GET, json!({"order_id": "1"})).await;
    assert_eq!(missing["errcode"], 100002);
    let rid = missing["errmsg"].as_str().unwrap().split_once(" rid: ").unwrap().1.to_owned();
    assert_eq!(rid.split('-').map(str::len).collect::<Vec<_>>(), [8, 8, 8]);
    assert_eq!(stage.code(GET, json!({"order_id": 3.7e18})).await, 47001);
    assert_eq!(stage.code(GET, json!({})).await, 40097);
}

#[tokio::test]
async fn getorderlist_pages_through_ranges() {
    let stage = Stage::manual().await;
    let path = "/channels/ec/order/list/get";
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(stage.placed(NewOrder::default()));
        stage.platform.advance(Duration::from_secs(10)).await;
    }
    stage.drive(&ids[4], Step::Pay);
    let now = stage.platform.now();
    let range = json!({"start_time": now - 3600, "end_time": now});
    let (mut found, mut key) = (Vec::new(), String::new());
    loop {
        let page = stage.call(path, json!({"create_time_range": range, "page_size": 2, "next_key": key})).await;
        found.extend(page["order_id_list"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()));
        key = page["next_key"].as_str().unwrap().to_owned();
        if !page["has_more"].as_bool().unwrap() {
            break;
        }
    }
    assert_eq!(found, ids);

    let paid = stage.call(path, json!({"create_time_range": range, "page_size": 100, "status": 20})).await;
    assert_eq!(paid["order_id_list"], json!([ids[4]]));
    let updated = json!({"start_time": now - 5, "end_time": now});
    let updated = stage.call(path, json!({"update_time_range": updated, "page_size": 100})).await;
    assert_eq!(updated["order_id_list"], json!([ids[4]]));

    assert_eq!(stage.code(path, json!({"page_size": 10})).await, 40097);
    let long = json!({"start_time": now - 8 * 86_400, "end_time": now});
    assert_eq!(stage.code(path, json!({"create_time_range": long, "page_size": 10})).await, 40097);
    assert_eq!(stage.code(path, json!({"create_time_range": range, "page_size": 101})).await, 40097);
    assert_eq!(stage.code(path, json!({"create_time_range": range, "page_size": 1, "next_key": "?"})).await, 40097);
}

#[tokio::test]
async fn searchorder_finds_by_each_condition() {
    let stage = Stage::manual().await;
    let path = "/channels/ec/order/search";
    let wanted = stage.paid(NewOrder {
        items: vec![NewItem { title: "青花瓷碗".to_owned(), sku_code: "BOWL1".to_owned(), ..NewItem::default() }],
        address: Address { user_name: "李四".to_owned(), tel_number: "13800001234".to_owned(), ..Address::default() },
        customer_notes: "请轻放".to_owned(),
        ..NewOrder::default()
    });
    let other = stage.paid(NewOrder::default());
    stage.drive(&wanted, Step::WriteNote { notes: "加急处理".to_owned() });
    let search = async |condition: Value| {
        stage.call(path, json!({"search_condition": condition, "page_size": 10})).await["orders"].clone()
    };
    for condition in [
        json!({"title": "瓷"}),
        json!({"sku_code": "BOWL1"}),
        json!({"user_name": "李四"}),
        json!({"tel_number_last4": "1234"}),
        json!({"order_id": wanted}),
        json!({"merchant_notes": "加急"}),
        json!({"customer_notes": "轻放"}),
    ] {
        assert_eq!(search(condition.clone()).await, json!([wanted]), "{condition}");
    }
    stage.platform.advance(Duration::from_secs(7 * 3600)).await;
    stage.drive(&other, Step::AskAddress { address: Address { detail_info: "新".to_owned(), ..Address::default() } });
    let token = stage.platform.issue_tokens(&stage.shop.appid).unwrap();
    let under = json!({"search_condition": {"address_under_review": true}, "page_size": 10});
    assert_eq!(stage.call_as(token.access(), path, under).await["orders"], json!([other]));
    let none = stage.call_as(token.access(), path, json!({"search_condition": {}, "page_size": 10})).await;
    assert_eq!(none["errcode"], 40097);
}
