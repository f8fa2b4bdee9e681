//! The order itself: reading it, the merchant's note, the price.

use serde_json::{Value, json};

use super::ORDERS;
use crate::answer;
use crate::evidence::{self, Proof};
use crate::exact;
use crate::members::{Body, Members, NOTE, only_order_id};
use crate::operation::{Operation, Repeat, Sensitivity};

pub(super) fn rows() -> [Operation; 3] {
    [get(), notes(), price()]
}

pub(super) fn get() -> Operation {
    Operation {
        interface: "orders",
        function: "get",
        name: "getorder",
        path: "/channels/ec/order/get",
        effect: false,
        repeat: Repeat::Read,
        permission_set: ORDERS,
        sensitivity: Sensitivity::Personal,
        raises: &[],
        answered_by: &[],
        raises_events: &[],
        order_member: "order_id",
        limits: "Names, addresses and phones are masked by the platform; `status` can lag behind the payment.",
        shown: ORDER_SHOWN,
        request: only_order_id,
        response: order,
        proof: Proof::None,
        verdict: evidence::read,
    }
}

fn notes() -> Operation {
    Operation {
        interface: "notes",
        function: "set-merchant-notes",
        name: "changemerchantnotes",
        path: "/channels/ec/order/merchantnotes/update",
        effect: true,
        repeat: Repeat::Resend,
        permission_set: ORDERS,
        // Free text of people: it may name the buyer.
        sensitivity: Sensitivity::Personal,
        raises: &[3],
        answered_by: &[],
        raises_events: &[],
        order_member: "order_id",
        limits: "At most 2000 characters (a bound of the host).",
        shown: &["order_id"],
        request: |request| {
            let members = Members::of(request)?;
            Ok(Body::default()
                .with("order_id", members.order_id("order_id")?)
                // An empty note is a wish too, as the contract says: it removes the note.
                .with("merchant_notes", members.given("merchant_notes", NOTE)?)
                .done())
        },
        response: answer::nothing,
        proof: Proof::Order,
        verdict: evidence::merchant_notes,
    }
}

fn price() -> Operation {
    Operation {
        interface: "price",
        function: "change",
        name: "changeorderprice",
        path: "/channels/ec/order/price/update",
        effect: true,
        repeat: Repeat::Resend,
        permission_set: ORDERS,
        sensitivity: Sensitivity::Money,
        raises: &[12],
        answered_by: &[],
        raises_events: &[],
        order_member: "order_id",
        limits: "Only while unpaid, only lower, at most 50 times an order.",
        shown: &["order_id", "product_id", "sku_id", "change_express"],
        request: price_request,
        response: answer::nothing,
        proof: Proof::Order,
        verdict: evidence::price,
    }
}

fn price_request(request: &Value) -> Result<Value, String> {
    let members = Members::of(request)?;
    let mut changes = Vec::new();
    for change in members.objects("change_order_infos")? {
        let body = Body::default()
            .with("product_id", change.id("product_id")?)
            .with("sku_id", change.id("sku_id")?)
            // The platform refuses a total of 0 (108023).
            .with("change_price", change.number("change_price", 1, i64::MAX)?)
            .done();
        changes.push(body);
    }
    let fee = members.maybe_number("express_fee", 0, i64::MAX)?;
    if changes.is_empty() && fee.is_none() {
        return Err(members.wrong("change_order_infos", "at least one price, or an express_fee"));
    }
    Ok(Body::default()
        .with("order_id", members.order_id("order_id")?)
        .with("change_order_infos", changes)
        .with("change_express", fee.is_some())
        .with_some("express_fee", fee)
        .done())
}

fn order(mut platform: Value) -> Result<Value, String> {
    let mut order = platform.get_mut("order").map(Value::take).unwrap_or(json!(null));
    exact::ids_to_text(&mut order);
    if order.get("order_id").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err("the platform's answer has no order with an order_id".to_owned());
    }
    Ok(order)
}

/// Members of an order that name no person and no sum.
const ORDER_SHOWN: &[&str] = &[
    "order_id",
    "create_time",
    "update_time",
    "status",
    "is_present",
    "present_order_id_str",
    "present_send_type",
    "is_b2c_free_present",
    "is_flash_sale_order",
    "is_flash_sale",
    "product_id",
    "sku_id",
    "sku_cnt",
    "sku_code",
    "product_unique_id",
    "on_aftersale_sku_cnt",
    "finish_aftersale_sku_cnt",
    "on_aftersale_order_cnt",
    "aftersale_order_id",
    "delivery_deadline",
    "stock_type",
    "predict_delivery_time",
    "seven_day_return",
    "freight_insurance",
    "is_free_gift",
    "gift_cnt",
    "preshipment_change_sku_state",
    "old_sku_id",
    "new_sku_id",
    "ddl_time_stamp",
    "prepay_time",
    "pay_time",
    "payment_method",
    "delivery_time",
    "deliver_type",
    "delivery_id",
    "delivery_name",
    "product_cnt",
    "ship_done_time",
    "deliver_method",
    "address_apply_time",
    "quality_inspect_type",
    "inspect_status",
    "delivery_time_type",
    "dropship_flag",
    "ds_order_id",
    "use_tel_number",
    "has_delay_times",
    "virtual_tel_expire_time",
    "order_scene",
    "commission_handling_progress",
    "confirm_receipt_time",
    "settle_time",
    "type",
    "coupon_type",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::find;

    #[test]
    fn getorder_keeps_unknown_members_and_every_digit_of_ids() {
        let op = find("orders", "get").unwrap();
        assert_eq!(
            op.body(&json!({"order_id": "3732676853715311104"})),
            Ok(json!({"order_id": "3732676853715311104"}))
        );
        let answer = json!({"errcode": 0, "order": {"order_id": 3732676853715311104_u64, "brand_new": {"x": 1},
            "order_detail": {"product_infos": [{"sku_id": 3616331648_u64, "sale_price": 39800}]}}});
        let order = op.answer(answer).unwrap();
        assert_eq!(order["order_id"], "3732676853715311104");
        assert_eq!(order["brand_new"], json!({"x": 1}));
        assert_eq!(order["order_detail"]["product_infos"][0], json!({"sku_id": "3616331648", "sale_price": 39800}));
        assert!(op.answer(json!({"errcode": 0})).is_err());
        assert!(op.answer(json!({"order": {"status": 20}})).is_err());
    }

    #[test]
    fn notes_send_the_id_as_text_and_an_empty_note_as_it_is() {
        let op = find("notes", "set-merchant-notes").unwrap();
        let body = op.body(&json!({"order_id": "3705115058471208928", "merchant_notes": "大单 \"优先\""})).unwrap();
        assert_eq!(body, json!({"order_id": "3705115058471208928", "merchant_notes": "大单 \"优先\""}));
        assert_eq!(op.body(&json!({"order_id": "1", "merchant_notes": ""})).unwrap()["merchant_notes"], "");
        for (request, named) in [
            (json!({"merchant_notes": "x"}), "order_id"),
            (json!({"order_id": 3705115058471208928_u64, "merchant_notes": "x"}), "order_id"),
            (json!({"order_id": "37/../05", "merchant_notes": "x"}), "order_id"),
            (json!({"order_id": "1"}), "merchant_notes"),
            (json!({"order_id": "1", "merchant_notes": null}), "merchant_notes"),
            (json!({"order_id": "1", "merchant_notes": 5}), "merchant_notes"),
            (json!({"order_id": "1", "merchant_notes": "大".repeat(2001)}), "merchant_notes"),
            (json!([]), "object"),
        ] {
            let refusal = op.body(&request).unwrap_err();
            assert!(refusal.contains(named), "{refusal}");
        }
    }

    #[test]
    fn price_turns_a_given_fee_into_change_express() {
        let op = find("price", "change").unwrap();
        let changes = json!([{"product_id": "10000154828123", "sku_id": "3616331648", "change_price": 38000}]);
        assert_eq!(
            op.body(&json!({"order_id": "1", "change_order_infos": changes})).unwrap(),
            json!({"order_id": "1", "change_order_infos": changes, "change_express": false})
        );
        assert_eq!(
            op.body(&json!({"order_id": "1", "change_order_infos": [], "express_fee": 0})).unwrap(),
            json!({"order_id": "1", "change_order_infos": [], "change_express": true, "express_fee": 0})
        );
        for (request, named) in [
            (json!({"order_id": "1", "change_order_infos": []}), "change_order_infos"),
            (
                json!({"order_id": "1", "change_order_infos": [{"product_id": "1", "sku_id": "2", "change_price": 0}]}),
                "change_order_infos[0].change_price",
            ),
            (
                json!({"order_id": "1", "change_order_infos": [{"sku_id": "2", "change_price": 5}]}),
                "change_order_infos[0].product_id",
            ),
            (json!({"order_id": "1", "change_order_infos": [], "express_fee": -1}), "express_fee"),
        ] {
            let refusal = op.body(&request).unwrap_err();
            assert!(refusal.starts_with(named), "{refusal}");
        }
    }
}
