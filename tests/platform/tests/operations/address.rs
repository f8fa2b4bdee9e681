//! Address changes: the merchant's, and the decision on a buyer's.

use std::time::Duration;

use fangshi_platform::{Address, NewOrder, Step};
use serde_json::{Value, json};

use crate::receiver::Stage;

fn new_address() -> Value {
    json!({"user_name": "王五", "province_name": "广东省", "city_name": "广州市", "county_name": "天河区",
        "detail_info": "新路 9 号", "tel_number": "13700005678"})
}

#[tokio::test]
async fn changeorderaddress_asks_the_buyer() {
    let stage = Stage::manual().await;
    let path = "/channels/ec/order/address/update";
    let change = |id: &str| json!({"order_id": id, "user_address": new_address()});
    let city = |id: &str| stage.shown(id)["order_detail"]["delivery_info"]["address_info"]["city_name"].clone();

    // Agreed: 16, and only then the address changes.
    let id = stage.paid(NewOrder::default());
    assert_eq!(stage.code(path, change(&id)).await, 0);
    assert_eq!((stage.types(&id), city(&id)), (vec![], json!("杭州市")));
    assert_eq!(stage.code(path, change(&id)).await, 10020116);
    stage.drive(&id, Step::AnswerAddress { agree: true });
    assert_eq!((stage.types(&id), city(&id)), (vec![16], json!("广州市")));
    // Refused: 17. Unanswered: 18. The buyer's own change: 19. Shipped meanwhile: 20.
    assert_eq!(stage.code(path, change(&id)).await, 0);
    stage.drive(&id, Step::AnswerAddress { agree: false });
    assert_eq!(stage.code(path, change(&id)).await, 0);
    stage.platform.advance(Duration::from_secs(12 * 3600)).await;
    let token = stage.platform.issue_tokens(&stage.shop.appid).unwrap().access().to_owned();
    assert_eq!(stage.call_as(&token, path, change(&id)).await["errcode"], 0);
    stage.drive(&id, Step::AskAddress { address: Address { city_name: "宁波市".to_owned(), ..Address::default() } });
    assert_eq!(city(&id), "宁波市");
    assert_eq!(stage.call_as(&token, path, change(&id)).await["errcode"], 0);
    stage.drive(&id, Step::ShipAll { delivery_id: "SF".to_owned(), waybill_id: "SF0001".to_owned() });
    assert_eq!(stage.types(&id), [16, 17, 18, 19, 20]);
    assert_eq!(city(&id), "宁波市");
    assert_eq!(stage.call_as(&token, path, change(&id)).await["errcode"], 101100);
}

#[tokio::test]
async fn changeorderaddress_has_required_members_and_five_tries() {
    let stage = Stage::manual().await;
    let path = "/channels/ec/order/address/update";
    let id = stage.paid(NewOrder::default());
    let mut incomplete = new_address();
    incomplete["tel_number"] = json!("");
    assert_eq!(stage.code(path, json!({"order_id": id, "user_address": incomplete})).await, 40097);
    assert_eq!(stage.code(path, json!({"order_id": id})).await, 40097);
    let mobile = stage.paid(NewOrder { deliver_method: 1, ..NewOrder::default() });
    assert_eq!(stage.code(path, json!({"order_id": mobile, "user_address": new_address()})).await, 40097);
    let phone = json!({"virtual_order_tel_number": "13700005678"});
    assert_eq!(stage.code(path, json!({"order_id": mobile, "user_address": phone})).await, 0);

    // Without the negotiation of Dec 2025 the change is at once, with type 2.
    stage.platform.configure(|s| s.address_negotiation = false);
    for _ in 0..5 {
        assert_eq!(stage.code(path, json!({"order_id": id, "user_address": new_address()})).await, 0);
    }
    assert_eq!(stage.code(path, json!({"order_id": id, "user_address": new_address()})).await, 10020116);
    assert_eq!(stage.types(&id), [2, 2, 2, 2, 2]);
}

#[tokio::test]
async fn a_buyers_address_request_is_accepted_refused_or_accepted_by_time() {
    let stage = Stage::manual().await;
    let (accept, reject) = ("/channels/ec/order/addressmodify/accept", "/channels/ec/order/addressmodify/reject");
    let asked = Address { city_name: "温州市".to_owned(), ..Address::default() };
    let orders: Vec<String> = (0..4).map(|_| stage.paid(NewOrder::default())).collect();
    let delivery = |id: &str| stage.shown(id)["order_detail"]["delivery_info"].clone();

    // A young order's address changes at once.
    let young = stage.paid(NewOrder::default());
    stage.drive(&young, Step::AskAddress { address: asked.clone() });
    assert_eq!(
        (stage.types(&young), delivery(&young)["address_info"]["city_name"].clone()),
        (vec![2], json!("温州市"))
    );
    assert_eq!(stage.code(accept, json!({"order_id": young})).await, 10020116);

    stage.platform.advance(Duration::from_secs(6 * 3600 + 1)).await;
    let token = stage.platform.issue_tokens(&stage.shop.appid).unwrap().access().to_owned();
    for id in &orders {
        stage.drive(id, Step::AskAddress { address: asked.clone() });
        let shown = delivery(id);
        assert_eq!(shown["address_under_review"]["city_name"], "温州市");
        assert_eq!(shown["address_apply_time"], stage.platform.now());
        assert_eq!(shown["address_info"]["city_name"], "杭州市");
        assert!(shown["address_under_review"]["tel_number"].as_str().unwrap().contains("****"));
    }
    assert_eq!(stage.call_as(&token, accept, json!({"order_id": orders[0]})).await["errcode"], 0);
    assert_eq!(stage.call_as(&token, reject, json!({"order_id": orders[1]})).await["errcode"], 0);
    stage.drive(&orders[2], Step::ShipAll { delivery_id: "SF".to_owned(), waybill_id: "SF0001".to_owned() });
    assert_eq!(stage.call_as(&token, accept, json!({"order_id": orders[2]})).await["errcode"], 101100);
    stage.platform.advance(Duration::from_secs(12 * 3600 - 1)).await;
    assert_eq!(stage.types(&orders[3]), [4]);
    stage.platform.advance(Duration::from_secs(1)).await;
    let outcomes: Vec<(Vec<i64>, Value)> =
        orders.iter().map(|id| (stage.types(id), delivery(id)["address_info"]["city_name"].clone())).collect();
    assert_eq!(
        outcomes,
        [
            (vec![4, 2], json!("温州市")),
            (vec![4], json!("杭州市")),
            (vec![4, 20], json!("杭州市")),
            (vec![4, 2], json!("温州市")),
        ]
    );
    assert!(orders.iter().all(|id| delivery(id)["address_under_review"].is_null()));
}
