//! The order data groups: projections of a snapshot, by the table in [`crate::order_data`] and the contract's types.

use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, ResourceAny, Val};

use super::orders::Order;
use crate::contract::{Function, Interface, Shape};
use crate::convert::{Mismatch, View, from_json};
use crate::order_data::{Select, Selected, find};
use crate::state::{RunState, Stop};

pub(super) fn link(instance: &mut LinkerInstance<'_, RunState>, interface: &'static Interface) -> wasmtime::Result<()> {
    for function in &interface.functions {
        let Some(select) = find(&interface.name, &function.name) else {
            wasmtime::bail!("`{}#{}` has no row in the table of order data", interface.name, function.name);
        };
        instance.func_new_async(&function.name, move |mut store, _, params, results| {
            Box::new(async move {
                let answer = read(&mut store, interface, function, select, params).await?;
                if let Some(slot) = results.first_mut() {
                    *slot = answer;
                }
                Ok(())
            })
        })?;
    }
    Ok(())
}

async fn read(
    store: &mut StoreContextMut<'_, RunState>,
    interface: &Interface,
    function: &Function,
    select: &Select,
    params: &[Val],
) -> wasmtime::Result<Val> {
    let (order, argument) = arguments(params)?;
    let rep = order.try_into_resource::<Order>(&mut *store)?.rep();
    let state = store.data_mut();
    // No plugin is installed without the grants it asks for; `order-raw` holds all the others.
    if !state.granted(&interface.name) && !state.granted("order-raw") {
        return Err(Stop::Fault(format!("the installation has no grant `{}`", interface.name)).into());
    }
    let mut bytes = argument.map_or(0, str::len) as u64;
    let snapshot = state.orders.get(rep)?.snapshot.clone();
    let snapshot = snapshot.ok_or_else(|| Stop::Fault("the order was not read before the hook was called".into()))?;
    let shape = function.ok.as_ref().ok_or_else(|| Stop::Fault("order data without a result".into()))?;
    let val = project(select.pick(&snapshot.json, argument, &mut bytes), shape, &mut bytes).map_err(|mismatch| {
        Stop::Fault(format!("the platform's order does not fit `{}#{}`: {mismatch}", interface.name, function.name))
    })?;
    state.cross(bytes).await?;
    Ok(val)
}

fn arguments(params: &[Val]) -> Result<(ResourceAny, Option<&str>), Stop> {
    match params {
        [Val::Resource(order)] => Ok((*order, None)),
        [Val::Resource(order), Val::String(text)] => Ok((*order, Some(text))),
        _ => Err(Stop::Fault("order data is read with an order and at most one text".into())),
    }
}

fn project(selected: Selected<'_>, shape: &Shape, bytes: &mut u64) -> Result<Val, Mismatch> {
    match (selected, shape) {
        (Selected::One(value), _) => from_json(View::of(value), shape, bytes),
        (Selected::Many(found), Shape::List(element)) => {
            let list = found
                .into_iter()
                .map(|(own, outer)| from_json(View { own: Some(own), outer: Some(outer) }, element, bytes));
            Ok(Val::List(list.collect::<Result<_, _>>()?))
        }
        (Selected::Many(_), _) => from_json(View::of(None), shape, bytes),
        (Selected::Text(text), _) => {
            *bytes += text.len() as u64;
            Ok(Val::String(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::contract::Contract;
    use crate::convert::to_json;
    use crate::order_data::ROWS;

    /// What a guest gets of an order, as JSON.
    fn read(order: &Value, interface: &str, function: &str, argument: Option<&str>) -> Value {
        let contract = Contract::get().unwrap();
        let interface = &contract.imports[&format!("fangshi:store/{interface}@0.1.0")];
        let function = interface.functions.iter().find(|it| it.name == function).unwrap();
        let shape = function.ok.as_ref().unwrap();
        let select = find(&interface.name, &function.name).unwrap();
        let val = project(select.pick(order, argument, &mut 0), shape, &mut 0).unwrap();
        to_json(&val, shape, &mut 0).unwrap().unwrap_or(Value::Null)
    }

    fn shipped() -> Value {
        let answer = include_str!("../../../../tests/platform/fixtures/getorder-after.json");
        serde_json::from_str::<Value>(answer).unwrap()["order"].take()
    }

    const LINE: &str = "3732676853715311104_001";

    #[test]
    fn every_group_of_a_real_order() {
        let order = shipped();
        let read = |interface, function, argument| read(&order, interface, function, argument);
        assert_eq!(
            read("order-summary", "summary", None),
            json!({"status": 30, "create_time": 1764642390, "update_time": 1764656487, "is_present": false,
                "is_flash_sale_order": false, "order_scene": 1, "on_aftersale_order_cnt": 0})
        );
        assert_eq!(read("order-summary", "merchant-notes", None), json!(""));
        assert_eq!(read("order-summary", "confirm-receipt-time", None), Value::Null);
        assert_eq!(read("order-summary", "aftersale-order-ids", None), json!([]));
        let items = read("order-items", "items", None);
        assert_eq!(items[0]["title"], "Xbox无线控制器");
        assert_eq!(items[0]["sku_cnt"], 1);
        assert_eq!(items[0]["delivery_deadline"], 1764815203);
        assert_eq!(items[0]["product_unique_id"], LINE);
        let attributes =
            json!([{"attr_key": "颜色", "attr_value": "浪漫粉"}, {"attr_key": "配件", "attr_value": "无配件"}]);
        assert_eq!(read("order-items", "attributes", Some(LINE)), attributes);
        assert_eq!(read("order-items", "attributes", Some("another")), json!([]));
        assert_eq!(read("order-items", "sku-changes", None), json!([]));
        assert_eq!(
            read("order-items", "coupons", None),
            json!([{"product_unique_id": LINE, "user_coupon_id": "150000000054382919", "coupon_id": "",
                "coupon_type": 3, "discounted_price": 1000}])
        );
        assert!(read("order-items", "thumb-img", Some(LINE)).as_str().unwrap().starts_with("https://"));
        assert_eq!(
            read("order-items", "line-discounts", None),
            json!([{"product_unique_id": LINE, "estimate_price": 38800, "merchant_discounted_price": 0,
                "finder_discounted_price": 0, "cash_coupon_discounted_price": 1000}])
        );
        assert_eq!(
            read("order-items", "extra-services", None),
            json!([{"product_unique_id": LINE, "seven_day_return": 1, "freight_insurance": 1}])
        );
        assert_eq!(read("order-summary", "commission-handling-progress", None), json!(1));
        let price = read("order-price", "price", None);
        assert_eq!((&price["order_price"], &price["merchant_receive_price"]), (&json!(38800), &json!(39800)));
        assert_eq!(price["cash_coupon_discounted_price"], 1000);
        assert_eq!(read("order-price", "settlement", None)["predict_commission_fee"], 776);
        assert_eq!(read("order-price", "commissions", None), json!([]));
        assert_eq!(read("order-payment", "payment", None)["pay_time"], 1764642403);
        assert_eq!(read("order-payment", "openid", None), "oWRGA7eC8hTdngzEnBSbFKBTVFcQ");
        assert_eq!(read("order-payment", "unionid", None), Value::Null);
        let parcels = read("order-delivery", "parcels", None);
        assert_eq!(parcels[0]["waybill_id"], "SF3262259346637");
        assert_eq!(parcels[0]["product_infos"][0]["product_cnt"], 1);
        let delivery = read("order-delivery", "delivery", None);
        assert_eq!((&delivery["ship_done_time"], &delivery["inspect_status"]), (&json!(1764656486), &json!("")));
        assert_eq!(read("order-address", "address", None)["hash_code"], "ad2282a0291c01b17cfb3fa893710c57");
        assert_eq!(read("order-address", "address-under-review", None), Value::Null);
        assert_eq!(read("order-phone", "phone", None)["use_tel_number"], 1);
        assert_eq!(read("order-phone", "phone-under-review", None), Value::Null);
        assert_eq!(read("order-phone", "virtual-number", None)["virtual_tel_number"], "18400984191-0775");
        assert_eq!(read("order-present", "present", None), Value::Null);
        let raw: Value = serde_json::from_str(read("order-raw", "json", None).as_str().unwrap()).unwrap();
        assert_eq!(raw, order, "unknown members included");
    }

    #[test]
    fn members_that_the_real_order_does_not_have() {
        let mut order = shipped();
        order["order_detail"]["product_infos"][0]["change_sku_info"] = json!({
            "preshipment_change_sku_state": "3", "old_sku_id": 1, "new_sku_id": "2", "ddl_time_stamp": "1764815203"});
        assert_eq!(
            read(&order, "order-items", "sku-changes", None),
            json!([{"product_unique_id": LINE, "preshipment_change_sku_state": 3, "old_sku_id": "1",
                "new_sku_id": "2", "ddl_time_stamp": 1764815203}])
        );
        order["order_detail"]["delivery_info"]["address_under_review"] = json!({"user_name": "李**",
            "tel_number": "138****0001", "use_tel_number": 0});
        order["order_detail"]["delivery_info"]["address_apply_time"] = json!(1764650000);
        assert_eq!(read(&order, "order-address", "address-under-review", None)["user_name"], "李**");
        assert_eq!(
            read(&order, "order-phone", "phone-under-review", None),
            json!({"tel_number": "138****0001", "virtual_order_tel_number": "", "use_tel_number": 0})
        );
        assert_eq!(read(&order, "order-address", "address-apply-time", None), json!(1764650000));
        for status in [json!(2), json!("2")] {
            order["order_detail"]["delivery_info"]["quality_inspect_info"] = json!({"inspect_status": status});
            assert_eq!(read(&order, "order-delivery", "delivery", None)["inspect_status"], "2");
        }
        order["aftersale_detail"]["aftersale_order_list"] = json!([{"aftersale_order_id": 2000000000000000001u64}]);
        assert_eq!(read(&order, "order-summary", "aftersale-order-ids", None), json!(["2000000000000000001"]));
        order["order_detail"]["ext_info"]["confirm_receipt_time"] = json!(0);
        assert_eq!(read(&order, "order-summary", "confirm-receipt-time", None), Value::Null);
        for told in [json!(0), Value::Null] {
            order["order_detail"]["ext_info"]["commission_handling_progress"] = told.clone();
            assert_eq!(read(&order, "order-summary", "commission-handling-progress", None), told, "0 is an answer");
        }
    }

    #[test]
    fn a_gift_in_its_new_and_its_old_form() {
        let mut new = shipped();
        new["is_present"] = json!(true);
        new["order_present_info"] = json!({"present_order_id_str": "3700000000000000001", "present_note": "谢谢",
            "present_send_type": 10, "is_b2c_free_present": true});
        let present = read(&new, "order-present", "present", None);
        assert_eq!(present["present_order_id"], "3700000000000000001");
        assert_eq!((&present["present_send_type"], &present["is_b2c_free_present"]), (&json!(10), &json!(true)));
        let mut old = shipped();
        old["present_order_id_str"] = json!("3700000000000000001");
        old["present_note"] = json!("谢谢");
        assert_eq!(read(&old, "order-present", "present", None)["present_note"], "谢谢");
    }

    #[test]
    fn what_one_place_leaves_empty_another_may_say() {
        let id = |order: Value| read(&order, "order-present", "present", None)["present_order_id"].clone();
        for empty in [json!(""), json!("0"), json!(0), Value::Null] {
            let order = json!({"is_present": true, "order_present_info": {"present_order_id_str": empty},
                "present_order_id_str": "37"});
            assert_eq!(id(order), "37", "{empty}");
        }
        assert_eq!(id(json!({"is_present": true, "order_present_info": {"present_order_id_str": ""}})), "");
        let note = |new: &str, old: &str| {
            let order =
                json!({"present_order_id_str": "37", "order_present_info": {"present_note": new}, "present_note": old});
            read(&order, "order-present", "present", None)["present_note"].clone()
        };
        assert_eq!((note("", "谢谢"), note("谢谢", ""), note("0", "")), (json!("谢谢"), json!("谢谢"), json!("0")));
        // A count of 0 is an answer: the older name of it is not asked.
        let number = json!({"virtual_tel_number": "18400984191-0775", "has_delay_times": 0, "get_virtual_tel_cnt": 2});
        let order = json!({"order_detail": {"delivery_info": {"address_info": {"tel_number_ext_info": number}}}});
        assert_eq!(read(&order, "order-phone", "virtual-number", None)["has_delay_times"], 0);
    }

    #[test]
    fn objects_of_empty_members_are_none() {
        let void = json!({"user_name": "", "tel_number": "", "use_tel_number": 0, "tel_number_ext_info": {"real_tel_number": ""}});
        let wish = json!({"preshipment_change_sku_state": 0, "old_sku_id": "", "new_sku_id": "", "ddl_time_stamp": 0});
        let order = json!({
            "order_present_info": {"present_order_id_str": "", "present_send_type": 0, "is_b2c_free_present": false},
            "order_detail": {
                "product_infos": [{"product_unique_id": LINE, "change_sku_info": wish,
                    "extra_service": {"seven_day_return": 0, "freight_insurance": 0}},
                    {"product_unique_id": "2", "extra_service": {"seven_day_return": ""}}],
                "delivery_info": {"address_under_review": void,
                    "address_info": {"tel_number_ext_info": {"virtual_tel_number": "", "virtual_tel_expire_time": 0}}}}});
        for (interface, function) in [
            ("order-address", "address-under-review"),
            ("order-phone", "phone-under-review"),
            ("order-phone", "virtual-number"),
            ("order-present", "present"),
        ] {
            assert_eq!(read(&order, interface, function, None), Value::Null, "{interface} {function}");
        }
        assert_eq!(read(&order, "order-items", "sku-changes", None), json!([]));
        // A line without these services is one of which the platform tells.
        assert_eq!(
            read(&order, "order-items", "extra-services", None),
            json!([{"product_unique_id": LINE, "seven_day_return": 0, "freight_insurance": 0}])
        );
    }

    #[test]
    fn an_empty_order_gives_empty_groups() {
        let order = json!({});
        assert_eq!(read(&order, "order-items", "items", None), json!([]));
        assert_eq!(read(&order, "order-price", "price", None)["order_price"], 0);
        assert_eq!(read(&order, "order-phone", "virtual-number", None), Value::Null);
        assert_eq!(read(&order, "order-delivery", "parcels", None), json!([]));
    }

    /// Members of the real orders that no function of the groups hands out, with the reason.
    const ELSEWHERE: &[(&str, &str)] = &[
        ("order_id", "`orders`: the order's own `id`"),
        ("order_detail.product_infos.0.voucher_list", "order-raw: empty in every order seen, its members are guesses"),
        ("order_detail.product_infos.0.package_sku_list", "order-raw: as above"),
        ("order_detail.sku_sharer_infos", "order-raw: as above"),
        ("order_detail.source_infos", "order-raw: as above"),
    ];

    /// Ways to the values without members, as the order has them: texts, numbers, flags and empty lists.
    fn leaves(value: &Value, way: &str, found: &mut Vec<String>) {
        let under = |step: &str| if way.is_empty() { step.to_owned() } else { format!("{way}.{step}") };
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| leaves(value, &under(name), found)),
            Value::Array(list) if !list.is_empty() => {
                list.iter().enumerate().for_each(|(at, value)| leaves(value, &under(&at.to_string()), found));
            }
            _ => found.push(way.to_owned()),
        }
    }

    /// Whether the way of an empty list is where a function looks for one.
    fn is_read_as_a_list(way: &str) -> bool {
        ROWS.iter().any(|row| match row.select {
            Select::Each(list, then) | Select::EachTold(list, then) => {
                way == list || way.strip_prefix(&format!("{list}.0.")) == Some(then)
            }
            _ => false,
        })
    }

    /// What all functions but `order-raw` hand out.
    fn everything(order: &Value) -> Vec<Value> {
        let rows = ROWS.iter().filter(|row| row.interface != "order-raw");
        rows.map(|row| {
            let argument = matches!(row.select, Select::Of(..)).then_some(LINE);
            read(order, row.interface, row.function, argument)
        })
        .collect()
    }

    #[test]
    fn every_member_of_the_real_orders_has_a_place_in_the_contract() {
        let before = include_str!("../../../../tests/platform/fixtures/getorder-before.json");
        let before = serde_json::from_str::<Value>(before).unwrap()["order"].take();
        let mut elsewhere = std::collections::BTreeSet::new();
        for order in [before, shipped()] {
            let (mut ways, plain) = (Vec::new(), everything(&order));
            leaves(&order, "", &mut ways);
            assert!(ways.len() > 60, "{ways:?}");
            for way in ways {
                let mut other = order.clone();
                let value = other.pointer_mut(&format!("/{}", way.replace('.', "/"))).unwrap();
                let has_a_place = match value {
                    Value::Array(_) => is_read_as_a_list(&way),
                    Value::Bool(flag) => {
                        *flag = !*flag;
                        everything(&other) != plain
                    }
                    Value::Number(number) => {
                        *value = json!(number.as_i64().unwrap() + 1);
                        everything(&other) != plain
                    }
                    Value::String(text) => {
                        text.push('x');
                        everything(&other) != plain
                    }
                    _ => false,
                };
                if ELSEWHERE.iter().any(|(member, _)| *member == way) {
                    assert!(!has_a_place, "{way} has a place and is listed as without one");
                    elsewhere.insert(way);
                } else {
                    assert!(has_a_place, "no function hands out {way}: give it one, or list it with the reason");
                }
            }
        }
        assert_eq!(elsewhere.len(), ELSEWHERE.len(), "a listed member is in no order");
    }
}
