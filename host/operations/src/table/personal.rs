//! Where an order goes and whom it reaches: changing the address, decoding it, the virtual and the real number.

use serde_json::{Value, json};

use super::ORDERS;
use crate::answer;
use crate::evidence::{self, Proof};
use crate::members::{Body, ID, Members, NAME, NOTE, only_order_id};
use crate::operation::{Operation, Repeat, Sensitivity};

/// What all rows of this file share.
const ROW: Operation = Operation {
    interface: "",
    function: "",
    name: "",
    path: "",
    effect: true,
    repeat: Repeat::Verify,
    permission_set: ORDERS,
    sensitivity: Sensitivity::Personal,
    raises: &[],
    answered_by: &[],
    raises_events: &[],
    order_member: "order_id",
    limits: "",
    shown: &["order_id"],
    request: only_order_id,
    response: answer::nothing,
    proof: Proof::Order,
    verdict: evidence::unknowable,
};

pub(super) fn rows() -> [Operation; 6] {
    [
        Operation {
            interface: "address",
            function: "change",
            name: "changeorderaddress",
            path: "/channels/ec/order/address/update",
            raises: &[2],
            answered_by: &[16, 17, 18, 19, 20],
            limits: "Before shipping, at most 5 times an order. Success means that the buyer is asked.",
            request: address_request,
            verdict: evidence::address_change,
            ..ROW
        },
        Operation {
            interface: "decode",
            function: "sensitive-info",
            name: "decodesensitiveinfo",
            path: "/channels/ec/order/sensitiveinfo/decode",
            repeat: Repeat::Resend,
            raises: &[5],
            limits: "Scarce: the platform gives a small number a day. Decode once and keep the result.",
            shown: &["order_id", "expiration"],
            response: decoded,
            proof: Proof::None,
            verdict: evidence::decode,
            ..ROW
        },
        Operation {
            interface: "virtual-number",
            function: "apply-again",
            name: "applyvirtualnumberagain",
            path: "/channels/ec/order/virtualnumber/applyagain",
            raises: &[5],
            limits: "Only after expiry, once an order.",
            shown: &["order_id", "apply_quota"],
            response: |platform| {
                Ok(json!({
                    "virtual_number": answer::needed_text(&platform, "virtual_number")?,
                    "extension": answer::text(&platform, "extension"),
                    "apply_quota": answer::number(&platform, "apply_quota").unwrap_or(0),
                }))
            },
            verdict: evidence::apply_again,
            ..ROW
        },
        Operation {
            interface: "virtual-number",
            function: "delay",
            name: "delayvirtualnumber",
            path: "/channels/ec/order/virtualnumber/delay",
            raises: &[5],
            limits: "Within the last 7 days before expiry; `has_delay_times` must be the order's present value. \
                     After a crash `available_extend_num` is 0: the order does not show it.",
            shown: &["order_id", "has_delay_times", "expiration", "available_extend_num"],
            request: |request| {
                let members = Members::of(request)?;
                Ok(Body::default()
                    .with("order_id", members.order_id("order_id")?)
                    .with("has_delay_times", members.number("has_delay_times", 0, i64::from(u32::MAX))?)
                    .done())
            },
            response: |platform| {
                Ok(json!({
                    "expiration": answer::needed_number(&platform, "expiration")?,
                    "available_extend_num": answer::number(&platform, "available_extend_num").unwrap_or(0),
                }))
            },
            verdict: evidence::delay,
            ..ROW
        },
        Operation {
            interface: "real-number",
            function: "apply",
            name: "applyrealnumber",
            path: "/channels/ec/order/realnumber/apply",
            answered_by: &[13],
            limits: "The platform decides; it wants pictures as proof.",
            shown: &["", "order_id", "apply_type"],
            request: real_number_request,
            response: |platform| Ok(Value::String(answer::needed_text(&platform, "task_id")?)),
            proof: Proof::Operation { interface: "real-number", function: "audit" },
            verdict: evidence::real_number,
            ..ROW
        },
        Operation {
            interface: "real-number",
            function: "audit",
            name: "getrealnumberviewaudit",
            path: "/channels/ec/order/realnumberviewaudit/get",
            effect: false,
            repeat: Repeat::Read,
            limits: "`apply_time` is in milliseconds.",
            shown: &["order_id", "apply_time", "audit_state", "task_id"],
            response: |platform| {
                Ok(json!({
                    "apply_time": answer::number(&platform, "apply_time").unwrap_or(0),
                    "audit_state": answer::needed_number(&platform, "audit_state")?,
                    "apply_reason": answer::text(&platform, "apply_reason"),
                    "task_id": answer::text(&platform, "task_id"),
                }))
            },
            proof: Proof::None,
            verdict: evidence::read,
            ..ROW
        },
    ]
}

/// The members of an address, as they are written and, masked, shown (platform page 5.4).
pub(crate) const ADDRESS: [&str; 10] = [
    "user_name",
    "postal_code",
    "province_name",
    "city_name",
    "county_name",
    "detail_info",
    "national_code",
    "tel_number",
    "house_number",
    "virtual_order_tel_number",
];

fn address_request(request: &Value) -> Result<Value, String> {
    let members = Members::of(request)?;
    let address = members.object("user_address")?;
    let mut body = Body::default();
    for name in ADDRESS {
        body = body.with_text(name, address.maybe(name, NAME)?);
    }
    // Virtual goods (deliver_method 1) need one number alone; everything else needs a place.
    if address.maybe("virtual_order_tel_number", NAME)?.is_empty() {
        for name in ["user_name", "province_name", "city_name", "detail_info", "tel_number"] {
            address.text(name, NAME)?;
        }
    }
    Ok(Body::default().with("order_id", members.order_id("order_id")?).with("user_address", body.done()).done())
}

fn decoded(platform: Value) -> Result<Value, String> {
    let Some(address) = platform.get("address_info").filter(|address| address.is_object()) else {
        return Err("the platform's answer has no address_info".to_owned());
    };
    let mut clear = Body::default();
    for name in ADDRESS {
        clear = clear.with(name, answer::text(address, name));
    }
    let number = platform.get("virtual_number_info").and_then(|info| {
        let number = answer::text(info, "virtual_number");
        (!number.is_empty()).then(|| {
            json!({
                "virtual_number": number,
                "extension": answer::text(info, "extension"),
                "expiration": answer::number(info, "expiration").unwrap_or(0),
            })
        })
    });
    Ok(Body::default().with("address_info", clear.done()).with_some("virtual_number_info", number).done())
}

fn real_number_request(request: &Value) -> Result<Value, String> {
    let members = Members::of(request)?;
    let pictures = members.texts("pic_media_ids", NAME.max(ID))?;
    if pictures.is_empty() {
        return Err(members.wrong("pic_media_ids", "at least one picture"));
    }
    Ok(Body::default()
        .with("order_id", members.order_id("order_id")?)
        // 1 to 5 are known; the platform may grow more.
        .with("apply_type", members.number("apply_type", 1, i64::from(u32::MAX))?)
        .with("apply_reason", members.text("apply_reason", NOTE)?)
        .with("pic_media_ids", pictures)
        .done())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::find;

    #[test]
    fn an_address_needs_a_place_or_a_number_for_virtual_goods() {
        let op = find("address", "change").unwrap();
        let place = json!({"user_name": "张三", "postal_code": "", "province_name": "浙江省", "city_name": "杭州市",
            "county_name": "滨江区", "detail_info": "江南大道1号", "national_code": "", "tel_number": "13800000000",
            "house_number": "", "virtual_order_tel_number": ""});
        let body = op.body(&json!({"order_id": "1", "user_address": place})).unwrap();
        assert_eq!(
            body["user_address"],
            json!({"user_name": "张三", "province_name": "浙江省", "city_name": "杭州市", "county_name": "滨江区",
                "detail_info": "江南大道1号", "tel_number": "13800000000"})
        );
        let virtual_goods = json!({"order_id": "1", "user_address": {"virtual_order_tel_number": "13800000000"}});
        assert_eq!(op.body(&virtual_goods).unwrap(), virtual_goods);
        for missing in ["user_name", "province_name", "city_name", "detail_info", "tel_number"] {
            let mut place = place.clone();
            place[missing] = json!("");
            let refusal = op.body(&json!({"order_id": "1", "user_address": place})).unwrap_err();
            assert!(refusal.starts_with(&format!("user_address.{missing}")), "{refusal}");
        }
        assert!(op.body(&json!({"order_id": "1"})).unwrap_err().starts_with("user_address"));
    }

    #[test]
    fn decoding_gives_the_clear_address_and_the_number_if_there_is_one() {
        let op = find("decode", "sensitive-info").unwrap();
        let answer = op
            .answer(json!({"errcode": 0, "errmsg": "ok",
                "address_info": {"user_name": "张三", "postal_code": "310000", "province_name": "浙江省",
                    "city_name": "杭州市", "county_name": "滨江区", "detail_info": "江南大道1号", "national_code": "330108",
                    "tel_number": "138****0000", "house_number": ""},
                "virtual_number_info": {"virtual_number": 18400984191_u64, "extension": "0775", "expiration": "1767241651"}}))
            .unwrap();
        assert_eq!(answer["address_info"]["detail_info"], "江南大道1号");
        assert_eq!(answer["address_info"]["virtual_order_tel_number"], "");
        assert_eq!(
            answer["virtual_number_info"],
            json!({"virtual_number": "18400984191", "extension": "0775", "expiration": 1767241651})
        );
        let without = op.answer(json!({"address_info": {"user_name": "张三"}, "virtual_number_info": {}})).unwrap();
        assert_eq!(without.get("virtual_number_info"), None);
        assert!(op.answer(json!({"errcode": 0})).is_err());
    }

    #[test]
    fn virtual_numbers_are_renewed_and_extended() {
        let again = find("virtual-number", "apply-again").unwrap();
        assert_eq!(
            again.answer(json!({"virtual_number": "18400984192", "extension": "0775", "apply_quota": 0})).unwrap(),
            json!({"virtual_number": "18400984192", "extension": "0775", "apply_quota": 0})
        );
        assert!(again.answer(json!({"errcode": 0})).is_err());
        let delay = find("virtual-number", "delay").unwrap();
        let request = json!({"order_id": "3732676853715311104", "has_delay_times": 0});
        assert_eq!(delay.body(&request).unwrap(), request);
        assert!(delay.body(&json!({"order_id": "1"})).unwrap_err().starts_with("has_delay_times"));
        assert_eq!(
            delay.answer(json!({"expiration": 1769833651, "available_extend_num": 2})).unwrap(),
            json!({"expiration": 1769833651, "available_extend_num": 2})
        );
    }

    #[test]
    fn a_request_for_the_real_number_gives_its_task_as_text() {
        let apply = find("real-number", "apply").unwrap();
        let request = json!({"order_id": "1", "apply_type": 1, "apply_reason": "电话打不通", "pic_media_ids": ["m-1"]});
        assert_eq!(apply.body(&request).unwrap(), request);
        assert_eq!(apply.answer(json!({"task_id": 9007199254740993_u64})).unwrap(), "9007199254740993");
        assert_eq!(apply.answer(json!({"task_id": "77"})).unwrap(), "77");
        assert!(apply.answer(json!({})).is_err());
        for (name, value) in [("pic_media_ids", json!([])), ("apply_reason", json!("")), ("apply_type", json!(0))] {
            let mut wrong = request.clone();
            wrong[name] = value;
            assert!(apply.body(&wrong).unwrap_err().starts_with(name));
        }
        let audit = find("real-number", "audit").unwrap();
        assert_eq!(
            audit
                .answer(json!({"apply_time": 1768000000123_i64, "audit_state": 3, "apply_reason": "x", "task_id": 77}))
                .unwrap(),
            json!({"apply_time": 1768000000123_i64, "audit_state": 3, "apply_reason": "x", "task_id": "77"})
        );
    }
}
