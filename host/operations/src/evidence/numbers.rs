//! Virtual and real numbers.

use serde_json::{Value, json};

use super::{Evidence, SKEW, Verdict, member, number, text};

/// decode.sensitive-info: the same again gives the same, at the price of one more of the day's few.
pub(crate) fn decode(_: &Evidence<'_>) -> Verdict {
    Verdict::Again
}

const NUMBER: &str = "/order_detail/delivery_info/address_info/tel_number_ext_info";

/// virtual-number.apply-again: possible once an order and only after expiry, so a new live number is ours.
pub(crate) fn apply_again(evidence: &Evidence<'_>) -> Verdict {
    let live = |order: Option<&Value>| -> Option<(String, i64)> {
        let number_info = order?.pointer(NUMBER)?;
        let expiry = number(number_info, "/virtual_tel_expire_time")?;
        (expiry > evidence.intended_at).then(|| (text(number_info, "/virtual_tel_number"), expiry))
    };
    match live(evidence.now) {
        Some(now) if live(evidence.before).as_ref() != Some(&now) => {
            let (main, extension) = now.0.split_once('-').unwrap_or((&now.0, ""));
            Verdict::Applied(json!({"virtual_number": main, "extension": extension, "apply_quota": 0}))
        }
        _ => Verdict::Again,
    }
}

/// virtual-number.delay: `has_delay_times` is a lock, so it grew if and only if an extension with this value was done.
pub(crate) fn delay(evidence: &Evidence<'_>) -> Verdict {
    let wanted = number(evidence.request, "/has_delay_times").unwrap_or_default();
    let Some(info) = evidence.now_at(NUMBER) else { return Verdict::Again };
    if number(info, "/has_delay_times").unwrap_or_default() <= wanted {
        return Verdict::Again;
    }
    let expiration = number(info, "/virtual_tel_expire_time").unwrap_or_default();
    // How many are left is told in the lost answer alone.
    Verdict::Applied(json!({"expiration": expiration, "available_extend_num": 0}))
}

/// real-number.apply: by the audit's time and reason.
pub(crate) fn real_number(evidence: &Evidence<'_>) -> Verdict {
    let Some(audit) = evidence.now else { return Verdict::Again };
    let task = text(audit, "/task_id");
    let at = number(audit, "/apply_time").unwrap_or_default() / 1000;
    if task.is_empty() || task == "0" || at + SKEW < evidence.intended_at {
        return Verdict::Again;
    }
    if text(audit, "/apply_reason") == member(evidence.request, "/apply_reason") {
        return Verdict::Applied(Value::String(task));
    }
    Verdict::changed("another request for the real number was made meanwhile")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::find;

    fn judge(op: (&str, &str), request: Value, before: Option<Value>, now: Option<Value>) -> Verdict {
        let op = find(op.0, op.1).unwrap();
        let evidence =
            Evidence { request: &request, before: before.as_ref(), now: now.as_ref(), intended_at: 1_000_000 };
        op.judge(&evidence)
    }

    fn numbered(number: &str, expiry: i64, times: i64) -> Value {
        json!({"order_detail": {"delivery_info": {"address_info": {"tel_number_ext_info":
            {"virtual_tel_number": number, "virtual_tel_expire_time": expiry, "has_delay_times": times}}}}})
    }

    #[test]
    fn a_new_live_number_is_ours() {
        let op = ("virtual-number", "apply-again");
        let request = json!({"order_id": "1"});
        let old = numbered("18400984191-0775", 999_000, 0);
        let new = numbered("18400984192-1234", 3_000_000, 0);
        let answer = json!({"virtual_number": "18400984192", "extension": "1234", "apply_quota": 0});
        assert_eq!(judge(op, request.clone(), Some(old.clone()), Some(new.clone())), Verdict::Applied(answer.clone()));
        assert_eq!(judge(op, request.clone(), None, Some(new.clone())), Verdict::Applied(answer));
        assert_eq!(judge(op, request.clone(), Some(old.clone()), Some(old)), Verdict::Again);
        // It was alive before the call: the platform will refuse, and the plugin should hear that.
        assert_eq!(judge(op, request.clone(), Some(new.clone()), Some(new)), Verdict::Again);
        assert_eq!(judge(op, request, None, Some(json!({}))), Verdict::Again);
    }

    #[test]
    fn an_extension_shows_by_its_count() {
        let op = ("virtual-number", "delay");
        let request = json!({"order_id": "1", "has_delay_times": 1});
        assert_eq!(judge(op, request.clone(), None, Some(numbered("x", 5, 1))), Verdict::Again);
        assert_eq!(
            judge(op, request.clone(), None, Some(numbered("x", 5, 2))),
            Verdict::Applied(json!({"expiration": 5, "available_extend_num": 0}))
        );
        assert_eq!(judge(op, request, None, Some(json!({}))), Verdict::Again);
    }

    #[test]
    fn a_request_for_the_real_number_shows_in_the_audit() {
        let op = ("real-number", "apply");
        let request = json!({"order_id": "1", "apply_reason": "why"});
        let audit = |at: i64, why: &str| Some(json!({"task_id": "77", "apply_time": at, "apply_reason": why}));
        assert_eq!(judge(op, request.clone(), None, audit(1_000_005_000, "why")), Verdict::Applied(json!("77")));
        assert!(matches!(judge(op, request.clone(), None, audit(1_000_005_000, "other")), Verdict::Changed(_)));
        assert_eq!(judge(op, request.clone(), None, audit(900_000_000, "why")), Verdict::Again);
        assert_eq!(judge(op, request, None, None), Verdict::Again);
    }

    #[test]
    fn decoding_again_does_no_harm_and_codes_and_phones_stay_unknown() {
        assert_eq!(judge(("decode", "sensitive-info"), json!({}), None, None), Verdict::Again);
        for function in ["send-verify-code", "add-phone"] {
            assert!(matches!(judge(("shop-phone", function), json!({}), None, None), Verdict::Unclear(_)));
        }
    }
}
