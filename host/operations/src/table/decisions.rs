//! Deciding on a buyer's wishes: another address, another SKU.

use serde_json::Value;

use super::ORDERS;
use crate::answer;
use crate::evidence::{self, Proof};
use crate::members::{Body, Members, only_order_id};
use crate::operation::{Operation, Repeat, Sensitivity};

const ROW: Operation = Operation {
    interface: "",
    function: "",
    name: "",
    path: "",
    effect: true,
    repeat: Repeat::Verify,
    permission_set: ORDERS,
    // A decision carries the order's id alone.
    sensitivity: Sensitivity::Plain,
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

pub(super) fn rows() -> [Operation; 5] {
    [
        Operation {
            interface: "address-decision",
            function: "accept",
            name: "acceptorderaddressmodifyapply",
            path: "/channels/ec/order/addressmodify/accept",
            raises: &[2],
            limits: "Undecided for 12 h, the wish is accepted by the platform.",
            verdict: evidence::address_accept,
            ..ROW
        },
        Operation {
            interface: "address-decision",
            function: "reject",
            name: "rejectorderaddressmodifyapply",
            path: "/channels/ec/order/addressmodify/reject",
            limits: "Undecided for 12 h, the wish is accepted by the platform.",
            verdict: evidence::address_reject,
            ..ROW
        },
        Operation {
            interface: "sku-decision",
            function: "waiting",
            name: "getpreshipmentchangeskuwaithandlelist",
            path: "/channels/ec/order/preshipmentchangesku/get",
            effect: false,
            repeat: Repeat::Read,
            order_member: "",
            limits: "Pages from 1; at most 100 a page (a bound of the host). Gives ids only.",
            shown: &["", "page", "page_size"],
            request: |request| {
                let members = Members::of(request)?;
                Ok(Body::default()
                    .with("page", members.number("page", 1, i64::from(u32::MAX))?)
                    .with("page_size", members.number("page_size", 1, 100)?)
                    .done())
            },
            response: |platform| Ok(answer::ids(&platform, "order_ids")?.into_iter().map(Value::from).collect()),
            proof: Proof::None,
            verdict: evidence::read,
            ..ROW
        },
        Operation {
            interface: "sku-decision",
            function: "approve",
            name: "approvepreshipmentchangesku",
            path: "/channels/ec/order/preshipmentchangesku/approve",
            raises: &[10],
            limits: "Before the deadline that the order shows (`ddl_time_stamp`).",
            verdict: evidence::sku_approve,
            ..ROW
        },
        Operation {
            interface: "sku-decision",
            function: "reject",
            name: "rejectpreshipmentchangesku",
            path: "/channels/ec/order/preshipmentchangesku/reject",
            limits: "Before the deadline that the order shows (`ddl_time_stamp`).",
            verdict: evidence::sku_reject,
            ..ROW
        },
    ]
}

#[cfg(test)]
mod tests {
    use crate::table::find;
    use serde_json::json;

    #[test]
    fn decisions_carry_the_order_alone() {
        for (interface, function) in [
            ("address-decision", "accept"),
            ("address-decision", "reject"),
            ("sku-decision", "approve"),
            ("sku-decision", "reject"),
        ] {
            let op = find(interface, function).unwrap();
            let request = json!({"order_id": "3732676853715311104"});
            assert_eq!(op.body(&request).unwrap(), request);
            assert_eq!(op.answer(json!({"errcode": 0, "errmsg": "ok"})).unwrap(), json!(null));
            assert!(op.body(&json!({})).unwrap_err().starts_with("order_id"));
            assert_eq!(op.order_of(&request), Some("3732676853715311104"));
        }
    }

    #[test]
    fn waiting_orders_come_as_texts() {
        let op = find("sku-decision", "waiting").unwrap();
        assert_eq!(op.body(&json!({"page": 1, "page_size": 10})).unwrap(), json!({"page": 1, "page_size": 10}));
        assert!(op.body(&json!({"page": 0, "page_size": 10})).unwrap_err().starts_with("page:"));
        assert!(op.body(&json!({"page": 1, "page_size": 101})).unwrap_err().starts_with("page_size:"));
        assert_eq!(
            op.answer(json!({"order_ids": [3732676853715311104_u64, "3705115058471208928"]})).unwrap(),
            json!(["3732676853715311104", "3705115058471208928"])
        );
        assert_eq!(op.answer(json!({"errcode": 0})).unwrap(), json!([]));
        assert!(op.answer(json!({"order_ids": [1.5]})).is_err());
    }
}
