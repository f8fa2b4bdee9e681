//! Gift orders.

use serde_json::Value;

use super::ORDERS;
use crate::answer;
use crate::evidence::{self, Proof};
use crate::members::{Body, Members, NOTE};
use crate::operation::{Operation, Repeat, Sensitivity};

pub(super) fn rows() -> [Operation; 2] {
    [
        Operation {
            interface: "presents",
            function: "set-note",
            name: "presentnote",
            path: "/channels/ec/order/presentnote/add",
            effect: true,
            repeat: Repeat::Resend,
            permission_set: ORDERS,
            sensitivity: Sensitivity::Personal,
            raises: &[8],
            answered_by: &[],
            raises_events: &[],
            order_member: "present_order_id",
            limits: "At most 2000 characters (a bound of the host).",
            shown: &["present_order_id"],
            request: |request| {
                let members = Members::of(request)?;
                Ok(Body::default()
                    .with("present_order_id", members.id("present_order_id")?)
                    .with("notes", members.given("notes", NOTE)?)
                    .done())
            },
            response: answer::nothing,
            proof: Proof::PresentOrder,
            verdict: evidence::present_note,
        },
        Operation {
            interface: "presents",
            function: "sub-orders",
            name: "getpresentsuborder",
            path: "/channels/ec/order/presentsuborder/get",
            effect: false,
            repeat: Repeat::Read,
            permission_set: ORDERS,
            sensitivity: Sensitivity::Plain,
            raises: &[],
            answered_by: &[],
            raises_events: &[],
            order_member: "present_order_id",
            limits: "",
            shown: &["", "present_order_id"],
            request: |request| {
                let members = Members::of(request)?;
                Ok(Body::default().with("present_order_id", members.id("present_order_id")?).done())
            },
            response: |platform| Ok(answer::ids(&platform, "order_ids")?.into_iter().map(Value::from).collect()),
            proof: Proof::None,
            verdict: evidence::read,
        },
    ]
}

#[cfg(test)]
mod tests {
    use crate::table::find;
    use serde_json::json;

    #[test]
    fn gift_notes_and_sub_orders_go_by_the_gift_orders_id() {
        let note = find("presents", "set-note").unwrap();
        let request = json!({"present_order_id": "3705115058471208928", "notes": "生日快乐"});
        assert_eq!(note.body(&request).unwrap(), request);
        assert!(note.body(&json!({"notes": "x"})).unwrap_err().starts_with("present_order_id"));
        assert!(note.body(&json!({"present_order_id": "12"})).unwrap_err().starts_with("notes"));
        assert_eq!(note.body(&json!({"present_order_id": "12", "notes": ""})).unwrap()["notes"], "");
        let sub = find("presents", "sub-orders").unwrap();
        assert_eq!(sub.body(&json!({"present_order_id": "12"})).unwrap(), json!({"present_order_id": "12"}));
        assert_eq!(
            sub.answer(json!({"order_ids": [3732676853715311104_u64]})).unwrap(),
            json!(["3732676853715311104"])
        );
    }
}
