//! The shop's own phones, registered with the carrier so that they may call virtual numbers.

use serde_json::json;

use super::SHOP;
use crate::answer;
use crate::evidence::{self, Proof};
use crate::members::{Body, ID, Members, NAME};
use crate::operation::{Operation, Repeat, Sensitivity};

const ROW: Operation = Operation {
    interface: "shop-phone",
    function: "",
    name: "",
    path: "",
    effect: true,
    // Nothing tells later whether a code was sent or a phone was added by this very call.
    repeat: Repeat::Unknown,
    permission_set: SHOP,
    sensitivity: Sensitivity::Personal,
    raises: &[],
    answered_by: &[],
    raises_events: &[],
    order_member: "",
    limits: "",
    shown: &[],
    request: |request| {
        let members = Members::of(request)?;
        Ok(Body::default().with("mobile", members.phone("mobile")?).done())
    },
    response: answer::nothing,
    proof: Proof::None,
    verdict: evidence::unknowable,
};

pub(super) fn rows() -> [Operation; 3] {
    [
        Operation {
            function: "send-verify-code",
            name: "privatenumbersendverifycode",
            path: "/channels/ec/merchant/privatenumber/sendverifycode",
            limits: "The code is good for 5 minutes; not too often for one phone.",
            ..ROW
        },
        Operation {
            function: "add-phone",
            name: "privatenumberaddphone",
            path: "/channels/ec/merchant/privatenumber/addphone",
            limits: "With the code that was sent to the phone.",
            shown: &["status"],
            request: |request| {
                let members = Members::of(request)?;
                Ok(Body::default()
                    .with("mobile", members.phone("mobile")?)
                    .with("verify_code", members.text("verify_code", ID)?)
                    .with("wxusername", members.text("wxusername", NAME)?)
                    .done())
            },
            response: |platform| {
                Ok(json!({
                    "qrcode_url": answer::text(&platform, "qrcode_url"),
                    "status": answer::needed_number(&platform, "status")?,
                }))
            },
            ..ROW
        },
        Operation {
            function: "get-phone",
            name: "privatenumbergetshopphone",
            path: "/channels/ec/merchant/privatenumber/getphone",
            effect: false,
            repeat: Repeat::Read,
            limits: "With status 3 a phone can usually call already.",
            shown: &["status"],
            response: |platform| {
                Ok(json!({
                    "status": answer::needed_number(&platform, "status")?,
                    "fail_reason": answer::text(&platform, "fail_reason"),
                }))
            },
            verdict: evidence::read,
            ..ROW
        },
    ]
}

#[cfg(test)]
mod tests {
    use crate::operation::Repeat;
    use crate::table::find;
    use serde_json::json;

    #[test]
    fn phones_are_registered_with_a_code() {
        let send = find("shop-phone", "send-verify-code").unwrap();
        assert_eq!(send.body(&json!({"mobile": "13800000000"})).unwrap(), json!({"mobile": "13800000000"}));
        assert!(send.body(&json!({"mobile": "call me"})).unwrap_err().starts_with("mobile"));
        let add = find("shop-phone", "add-phone").unwrap();
        let request = json!({"mobile": "13800000000", "verify_code": "1234", "wxusername": "staff_1"});
        assert_eq!(add.body(&request).unwrap(), request);
        assert!(add.body(&json!({"mobile": "13800000000", "verify_code": "1"})).unwrap_err().starts_with("wxusername"));
        assert_eq!(
            add.answer(json!({"qrcode_url": "https://x.invalid/q", "status": 3})).unwrap(),
            json!({"qrcode_url": "https://x.invalid/q", "status": 3})
        );
        let get = find("shop-phone", "get-phone").unwrap();
        assert_eq!(
            get.answer(json!({"status": "2", "fail_reason": "x"})).unwrap(),
            json!({"status": 2, "fail_reason": "x"})
        );
        assert!(get.answer(json!({})).is_err());
    }

    #[test]
    fn all_three_need_permission_set_130() {
        let sets: Vec<_> = crate::table().iter().filter(|op| op.permission_set == 130).map(|op| op.function).collect();
        assert_eq!(sets, ["send-verify-code", "add-phone", "get-phone"]);
        assert_eq!(find("shop-phone", "send-verify-code").unwrap().repeat, Repeat::Unknown);
    }
}
