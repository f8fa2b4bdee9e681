//! Decisions on a buyer's wish: is it still pending, was it granted, was it refused?

use serde_json::Value;

use super::{ADDRESS, Evidence, REVIEW, Verdict, filled, same_place, text};

/// What became of a buyer's wish.
enum Wish {
    Pending,
    Granted,
    Refused,
    Unclear,
}

fn address_wish(evidence: &Evidence<'_>) -> Wish {
    if evidence.now_at(REVIEW).is_some_and(filled) {
        return Wish::Pending;
    }
    let (Some(asked), Some(old), Some(now)) =
        (evidence.before_at(REVIEW), evidence.before_at(ADDRESS), evidence.now_at(ADDRESS))
    else {
        return Wish::Unclear;
    };
    let hash = |address: &Value| text(address, "/hash_code");
    let equal = |one: &Value, other: &Value| {
        if hash(one).is_empty() || hash(other).is_empty() { same_place(one, other) } else { hash(one) == hash(other) }
    };
    match (equal(now, asked), equal(now, old)) {
        (true, false) => Wish::Granted,
        (false, true) => Wish::Refused,
        _ => Wish::Unclear,
    }
}

/// address-decision.accept
pub(crate) fn address_accept(evidence: &Evidence<'_>) -> Verdict {
    decided(evidence, address_wish(evidence), true)
}

/// address-decision.reject
pub(crate) fn address_reject(evidence: &Evidence<'_>) -> Verdict {
    decided(evidence, address_wish(evidence), false)
}

fn decided(evidence: &Evidence<'_>, wish: Wish, approve: bool) -> Verdict {
    match (wish, approve) {
        (Wish::Pending, _) => Verdict::Again,
        (Wish::Granted, true) | (Wish::Refused, false) => Verdict::done(),
        (Wish::Granted, false) => Verdict::changed("the buyer's wish was granted meanwhile"),
        (Wish::Refused, true) => Verdict::changed("the buyer's wish was refused or withdrawn meanwhile"),
        (Wish::Unclear, _) => evidence.untouched_or("the order does not show what became of the buyer's wish"),
    }
}

fn sku_wish(evidence: &Evidence<'_>) -> Wish {
    let lines = |order: Option<&Value>| -> Vec<Value> {
        order
            .and_then(|order| order.pointer("/order_detail/product_infos"))
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let now = lines(evidence.now);
    let before = lines(evidence.before);
    let asked = |line: &&Value| line.get("change_sku_info").is_some_and(filled);
    let Some(wish) = before.iter().find(asked).or_else(|| now.iter().find(asked)) else { return Wish::Unclear };
    let (old, new) = (text(wish, "/change_sku_info/old_sku_id"), text(wish, "/change_sku_info/new_sku_id"));
    let unique = text(wish, "/product_unique_id");
    let line = now.iter().find(|line| {
        let id = text(line, "/product_unique_id");
        if id.is_empty() || unique.is_empty() { [&old, &new].contains(&&text(line, "/sku_id")) } else { id == unique }
    });
    let Some(line) = line else { return Wish::Unclear };
    let sku = text(line, "/sku_id");
    if sku == new && new != old {
        return Wish::Granted;
    }
    if sku != old || before.iter().find(asked).is_none() {
        return Wish::Unclear;
    }
    let state = |line: &Value| text(line, "/change_sku_info/preshipment_change_sku_state");
    if line.get("change_sku_info").is_some_and(filled) && state(line) == state(wish) {
        Wish::Pending
    } else {
        Wish::Refused
    }
}

/// sku-decision.approve
pub(crate) fn sku_approve(evidence: &Evidence<'_>) -> Verdict {
    decided(evidence, sku_wish(evidence), true)
}

/// sku-decision.reject
pub(crate) fn sku_reject(evidence: &Evidence<'_>) -> Verdict {
    decided(evidence, sku_wish(evidence), false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::find;
    use serde_json::json;

    fn judge(interface: &str, function: &str, before: Option<Value>, now: Value) -> Verdict {
        let request = json!({"order_id": "1"});
        let op = find(interface, function).unwrap();
        op.judge(&Evidence { request: &request, before: before.as_ref(), now: Some(&now), intended_at: 1000 })
    }

    const DONE: Verdict = Verdict::Applied(Value::Null);

    fn at(hash: &str, asked: Option<&str>) -> Value {
        let mut info = json!({"address_info": {"city_name": "杭州市", "hash_code": hash}});
        if let Some(asked) = asked {
            info["address_under_review"] = json!({"city_name": "杭州市", "hash_code": asked});
        }
        let update_time = if asked.is_some() { 900 } else { 2000 };
        json!({"update_time": update_time, "order_detail": {"delivery_info": info}})
    }

    #[test]
    fn an_address_wish_is_pending_granted_or_refused() {
        let before = || Some(at("old", Some("new")));
        for function in ["accept", "reject"] {
            assert_eq!(judge("address-decision", function, before(), at("old", Some("new"))), Verdict::Again);
            assert_eq!(judge("address-decision", function, None, at("old", Some("new"))), Verdict::Again);
            assert!(matches!(judge("address-decision", function, None, at("new", None)), Verdict::Unclear(_)));
            // A third address: neither what was asked for nor what it was.
            assert!(matches!(judge("address-decision", function, before(), at("third", None)), Verdict::Unclear(_)));
        }
        assert_eq!(judge("address-decision", "accept", before(), at("new", None)), DONE);
        assert!(matches!(judge("address-decision", "accept", before(), at("old", None)), Verdict::Changed(_)));
        assert_eq!(judge("address-decision", "reject", before(), at("old", None)), DONE);
        assert!(matches!(judge("address-decision", "reject", before(), at("new", None)), Verdict::Changed(_)));
    }

    fn line(sku: &str, state: Option<i64>) -> Value {
        let mut line = json!({"product_unique_id": "1_001", "sku_id": sku});
        if let Some(state) = state {
            line["change_sku_info"] =
                json!({"preshipment_change_sku_state": state, "old_sku_id": "20", "new_sku_id": 21});
        }
        json!({"update_time": 2000,
            "order_detail": {"product_infos": [{"product_unique_id": "1_000", "sku_id": "21"}, line]}})
    }

    #[test]
    fn a_sku_wish_is_pending_granted_or_refused() {
        let before = || Some(line("20", Some(3)));
        for function in ["approve", "reject"] {
            assert_eq!(judge("sku-decision", function, before(), line("20", Some(3))), Verdict::Again);
            assert!(matches!(judge("sku-decision", function, None, line("20", None)), Verdict::Unclear(_)));
            assert!(matches!(judge("sku-decision", function, None, line("20", Some(3))), Verdict::Unclear(_)));
        }
        assert_eq!(judge("sku-decision", "approve", before(), line("21", Some(4))), DONE);
        assert_eq!(judge("sku-decision", "approve", before(), line("21", None)), DONE);
        assert!(matches!(judge("sku-decision", "approve", before(), line("20", Some(5))), Verdict::Changed(_)));
        assert_eq!(judge("sku-decision", "reject", before(), line("20", None)), DONE);
        assert_eq!(judge("sku-decision", "reject", before(), line("20", Some(5))), DONE);
        assert!(matches!(judge("sku-decision", "reject", before(), line("21", Some(4))), Verdict::Changed(_)));
    }
}
