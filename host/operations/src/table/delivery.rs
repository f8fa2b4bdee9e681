//! Shipping: sending parcels, correcting them, couriers, inspections.

use serde_json::{Value, json};

use super::ORDERS;
use crate::answer;
use crate::evidence::{self, Proof};
use crate::members::{Body, Members, NAME, NOTE};
use crate::operation::{Operation, Repeat, Sensitivity};

/// Own courier.
const COURIER: i64 = 1;
/// Virtual goods, nothing is carried.
const VIRTUAL: i64 = 3;

const ROW: Operation = Operation {
    interface: "delivery",
    function: "",
    name: "",
    path: "",
    effect: true,
    repeat: Repeat::Verify,
    permission_set: ORDERS,
    sensitivity: Sensitivity::Plain,
    raises: &[],
    answered_by: &[],
    raises_events: &[],
    order_member: "order_id",
    limits: "",
    shown: &["order_id", "delivery_id", "waybill_id", "deliver_type", "product_id", "sku_id", "product_cnt", "reason"],
    request: |_| Err(String::new()),
    response: answer::nothing,
    proof: Proof::Order,
    verdict: evidence::unknowable,
};

pub(super) fn rows() -> [Operation; 6] {
    [
        Operation {
            function: "send",
            name: "delivery/send",
            path: "/channels/ec/order/delivery/send",
            raises_events: &["channels_ec_order_deliver"],
            limits: "One unit goes into one parcel. A pending SKU change blocks shipping.",
            request: |request| {
                let members = Members::of(request)?;
                order_and_parcels(&members, Body::default())
            },
            verdict: evidence::send,
            ..ROW
        },
        Operation {
            function: "change-all",
            name: "changedeliveryinfo",
            path: "/channels/ec/order/deliveryinfo/update",
            limits: "At most 3 times an order, while it is not finished; together with change-some.",
            request: |request| {
                let members = Members::of(request)?;
                for parcel in members.objects("delivery_list")? {
                    own_courier(&parcel)?;
                }
                order_and_parcels(&members, Body::default())
            },
            verdict: evidence::change_all,
            ..ROW
        },
        Operation {
            function: "change-some",
            name: "changedeliveryinfo",
            path: "/channels/ec/order/deliveryinfo/update",
            limits: "At most 3 times an order, while it is not finished; together with change-all.",
            request: change_some_request,
            verdict: evidence::change_some,
            ..ROW
        },
        Operation {
            function: "compensate",
            name: "delivery/compensation",
            path: "/channels/ec/order/delivery/compensation",
            limits: "After shipping. Values of `reason` are not published.",
            request: |request| {
                let members = Members::of(request)?;
                let reason = members.number("reason", 0, i64::from(u32::MAX))?;
                order_and_parcels(&members, Body::default().with("reason", reason))
            },
            verdict: evidence::compensate,
            ..ROW
        },
        Operation {
            function: "companies",
            name: "deliverycompanylist/new",
            path: "/channels/ec/order/deliverycompanylist/new/get",
            effect: false,
            repeat: Repeat::Read,
            order_member: "",
            shown: &["ewaybill_only", "delivery_id", "delivery_name"],
            request: |request| {
                let only = Members::of(request)?.maybe_bool("ewaybill_only")?;
                Ok(Body::default().with_some("ewaybill_only", only).done())
            },
            response: companies,
            proof: Proof::None,
            verdict: evidence::read,
            ..ROW
        },
        Operation {
            function: "submit-inspection",
            name: "freshinspect/submit",
            path: "/channels/ec/order/freshinspect/submit",
            limits: "For orders whose quality_inspect_type is 2 (fresh goods).",
            shown: &["order_id", "item_name"],
            request: |request| {
                let members = Members::of(request)?;
                let items = members.objects("audit_items")?;
                if items.is_empty() {
                    return Err(members.wrong("audit_items", "at least one item"));
                }
                let mut audit = Vec::new();
                for item in items {
                    let (name, value) = (item.text("item_name", NAME)?, item.given("item_value", NOTE)?);
                    audit.push(json!({"item_name": name, "item_value": value}));
                }
                Ok(Body::default().with("order_id", members.order_id("order_id")?).with("audit_items", audit).done())
            },
            verdict: evidence::inspection,
            ..ROW
        },
    ]
}

fn order_and_parcels(members: &Members<'_>, body: Body) -> Result<Value, String> {
    let mut list = Vec::new();
    for parcel in members.objects("delivery_list")? {
        list.push(parcel_body(&parcel)?.done());
    }
    if list.is_empty() {
        return Err(members.wrong("delivery_list", "at least one parcel"));
    }
    Ok(body.with("order_id", members.order_id("order_id")?).with("delivery_list", list).done())
}

fn parcel_body(parcel: &Members<'_>) -> Result<Body, String> {
    let deliver_type = parcel.number("deliver_type", 0, i64::from(u32::MAX))?;
    let body = match deliver_type {
        VIRTUAL => {
            for name in ["delivery_id", "waybill_id"] {
                if !parcel.maybe(name, NAME)?.is_empty() {
                    return Err(parcel.wrong(name, "nothing, since virtual goods have neither courier nor waybill"));
                }
            }
            Body::default().with("delivery_id", "").with("waybill_id", "")
        }
        _ => {
            Body::default().with("delivery_id", parcel.id("delivery_id")?).with("waybill_id", parcel.id("waybill_id")?)
        }
    };
    Ok(body.with("deliver_type", deliver_type).with("product_infos", products(parcel)?))
}

fn products(parcel: &Members<'_>) -> Result<Vec<Value>, String> {
    let mut products = Vec::new();
    for item in parcel.objects("product_infos")? {
        let product = Body::default()
            .with("product_id", item.id("product_id")?)
            .with("sku_id", item.id("sku_id")?)
            .with("product_cnt", item.number("product_cnt", 1, i64::from(u32::MAX))?);
        products.push(product.done());
    }
    if products.is_empty() {
        return Err(parcel.wrong("product_infos", "at least one product"));
    }
    Ok(products)
}

fn own_courier(parcel: &Members<'_>) -> Result<(), String> {
    match parcel.number("deliver_type", 0, i64::from(u32::MAX))? {
        COURIER => Ok(()),
        _ => Err(parcel.wrong("deliver_type", "1 (own courier): nothing else can be corrected")),
    }
}

fn change_some_request(request: &Value) -> Result<Value, String> {
    let members = Members::of(request)?;
    let mut changes = Vec::new();
    for change in members.objects("change_infos")? {
        let (old, new) = (change.object("old")?, change.object("new")?);
        own_courier(&new)?;
        let old = Body::default()
            .with("delivery_id", old.id("delivery_id")?)
            .with("waybill_id", old.id("waybill_id")?)
            .with("product_infos", products(&old)?);
        changes.push(json!({"old": old.done(), "new": parcel_body(&new)?.done()}));
    }
    if changes.is_empty() {
        return Err(members.wrong("change_infos", "at least one change"));
    }
    Ok(Body::default().with("order_id", members.order_id("order_id")?).with("change_infos", changes).done())
}

fn companies(platform: Value) -> Result<Value, String> {
    let Some(list) = platform.get("company_list").and_then(Value::as_array) else {
        return Err("the platform's answer has no company_list".to_owned());
    };
    list.iter()
        .map(|company| {
            Ok(json!({
                "delivery_id": answer::needed_text(company, "delivery_id")?,
                "delivery_name": answer::text(company, "delivery_name"),
            }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::find;

    fn parcel() -> Value {
        json!({"delivery_id": "SF", "waybill_id": "SF3262259346637", "deliver_type": 1,
            "product_infos": [{"product_id": "10000154828123", "sku_id": "3616331648", "product_cnt": 1}]})
    }

    #[test]
    fn parcels_go_out_as_they_are_and_virtual_goods_without_courier() {
        let op = find("delivery", "send").unwrap();
        let request = json!({"order_id": "3732676853715311104", "delivery_list": [parcel()]});
        assert_eq!(op.body(&request).unwrap(), request);
        let mut virtual_goods = parcel();
        virtual_goods["deliver_type"] = json!(3);
        let refusal = op.body(&json!({"order_id": "1", "delivery_list": [virtual_goods]})).unwrap_err();
        assert!(refusal.starts_with("delivery_list[0].delivery_id"), "{refusal}");
        virtual_goods["delivery_id"] = json!("");
        virtual_goods["waybill_id"] = json!("");
        let request = json!({"order_id": "1", "delivery_list": [virtual_goods]});
        assert_eq!(op.body(&request).unwrap(), request);
    }

    #[test]
    fn a_wrong_parcel_is_named() {
        let op = find("delivery", "send").unwrap();
        for (name, value, named) in [
            ("waybill_id", json!(""), "delivery_list[1].waybill_id"),
            ("delivery_id", json!(7), "delivery_list[1].delivery_id"),
            ("product_infos", json!([]), "delivery_list[1].product_infos"),
            (
                "product_infos",
                json!([{"product_id": "1", "sku_id": "2", "product_cnt": 0}]),
                "delivery_list[1].product_infos[0].product_cnt",
            ),
        ] {
            let mut wrong = parcel();
            wrong[name] = value;
            let refusal = op.body(&json!({"order_id": "1", "delivery_list": [parcel(), wrong]})).unwrap_err();
            assert!(refusal.starts_with(named), "{refusal}");
        }
        assert!(op.body(&json!({"order_id": "1", "delivery_list": []})).unwrap_err().starts_with("delivery_list"));
    }

    #[test]
    fn corrections_are_of_all_or_of_some() {
        let all = find("delivery", "change-all").unwrap();
        let request = json!({"order_id": "1", "delivery_list": [parcel()]});
        assert_eq!(all.body(&request).unwrap(), request);
        let mut wrong = parcel();
        wrong["deliver_type"] = json!(3);
        assert!(all.body(&json!({"order_id": "1", "delivery_list": [wrong]})).unwrap_err().contains("deliver_type"));

        let some = find("delivery", "change-some").unwrap();
        let mut new = parcel();
        new["waybill_id"] = json!("SF2");
        let body = some.body(&json!({"order_id": "1", "change_infos": [{"old": parcel(), "new": new}]})).unwrap();
        let mut old = parcel();
        old.as_object_mut().unwrap().remove("deliver_type");
        assert_eq!(body, json!({"order_id": "1", "change_infos": [{"old": old, "new": new}]}));
        assert!(some.body(&json!({"order_id": "1"})).unwrap_err().starts_with("change_infos"));
        assert_eq!(all.path, some.path);
    }

    #[test]
    fn compensation_couriers_and_inspection() {
        let op = find("delivery", "compensate").unwrap();
        let request = json!({"order_id": "1", "reason": 2, "delivery_list": [parcel()]});
        assert_eq!(op.body(&request).unwrap(), request);

        let op = find("delivery", "companies").unwrap();
        assert_eq!(op.body(&json!({"ewaybill_only": true})).unwrap(), json!({"ewaybill_only": true}));
        assert_eq!(op.body(&json!({})).unwrap(), json!({}));
        let list = json!([{"delivery_id": "SF", "delivery_name": "顺丰速运"}]);
        assert_eq!(op.answer(json!({"errcode": 0, "company_list": list})).unwrap(), list);
        assert!(op.answer(json!({"errcode": 0})).is_err());

        let op = find("delivery", "submit-inspection").unwrap();
        let request = json!({"order_id": "1", "audit_items": [{"item_name": "重量", "item_value": "500g"}]});
        assert_eq!(op.body(&request).unwrap(), request);
        assert!(op.body(&json!({"order_id": "1", "audit_items": []})).unwrap_err().starts_with("audit_items"));
    }
}
