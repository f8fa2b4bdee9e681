//! Values that were set: notes, prices, the address.

use serde_json::Value;

use super::{ADDRESS, Evidence, Verdict, member, number, same_place, text};

/// The same value again, unless the text at `pointer` is now neither what was wanted nor what it was.
fn resend_text(evidence: &Evidence<'_>, wanted: &str, places: &[&str]) -> Verdict {
    let text = |order: Option<&Value>| -> Option<String> {
        let order = order?;
        let told = |place: &&str| order.pointer(place)?.as_str().filter(|text| !text.is_empty());
        Some(places.iter().find_map(told).unwrap_or_default().to_owned())
    };
    let Some(now) = text(evidence.now) else { return Verdict::Again };
    if now == wanted {
        return Verdict::done();
    }
    match text(evidence.before) {
        Some(before) if before == now => Verdict::Again,
        Some(_) => Verdict::changed("the note was changed since by somebody else"),
        // Nobody wrote any, or whoever did took it away again, which can't be told without an earlier state.
        None if now.is_empty() || evidence.untouched() => Verdict::Again,
        None => Verdict::unclear("the order changed since, and there is no earlier state of the note to compare"),
    }
}

/// notes.set-merchant-notes
pub(crate) fn merchant_notes(evidence: &Evidence<'_>) -> Verdict {
    resend_text(evidence, member(evidence.request, "/merchant_notes"), &["/order_detail/ext_info/merchant_notes"])
}

/// presents.set-note
pub(crate) fn present_note(evidence: &Evidence<'_>) -> Verdict {
    resend_text(evidence, member(evidence.request, "/notes"), &["/order_present_info/present_note", "/present_note"])
}

/// price.change: to the same totals, unless another total shows.
pub(crate) fn price(evidence: &Evidence<'_>) -> Verdict {
    let lines = |order: Option<&Value>| -> Vec<(String, String, Option<i64>)> {
        let lines = order.and_then(|order| order.pointer("/order_detail/product_infos")).and_then(Value::as_array);
        let mut lines: Vec<_> = lines
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
            .map(|line| (text(line, "/product_id"), text(line, "/sku_id"), number(line, "/change_price")))
            .collect();
        lines.sort();
        lines
    };
    let freight = |order: Option<&Value>| {
        let price_info = order?.pointer("/order_detail/price_info")?;
        number(price_info, "/change_freight").or_else(|| number(price_info, "/freight"))
    };
    let now = lines(evidence.now);
    let wanted = evidence.request.get("change_order_infos").and_then(Value::as_array).map(Vec::as_slice);
    let shows = wanted.unwrap_or_default().iter().all(|change| {
        let line = (text(change, "/product_id"), text(change, "/sku_id"), number(change, "/change_price"));
        now.contains(&line)
    });
    let fee = number(evidence.request, "/express_fee");
    if shows && fee.is_none_or(|fee| freight(evidence.now) == Some(fee)) {
        return Verdict::done();
    }
    if evidence.before.is_some() && lines(evidence.before) == now && freight(evidence.before) == freight(evidence.now) {
        return Verdict::Again;
    }
    if evidence.untouched() { Verdict::Again } else { Verdict::changed("prices of the order were changed since") }
}

/// address.change: the change shows once the buyer agreed. While he is asked nothing does, and nobody says that asking
/// changes `update_time`: an order that is as it was tells nothing, and asking again would use up another of the five.
pub(crate) fn address_change(evidence: &Evidence<'_>) -> Verdict {
    let wanted = evidence.request.get("user_address").unwrap_or(&Value::Null);
    if let (Some(before), Some(now)) = (evidence.before_at(ADDRESS), evidence.now_at(ADDRESS)) {
        let moved = text(before, "/hash_code") != text(now, "/hash_code") || !same_place(before, now);
        if moved && same_place(now, wanted) {
            return Verdict::done();
        }
    }
    Verdict::unclear("a change of address does not show while the buyer is asked")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::find;
    use serde_json::json;

    fn judge(function: (&str, &str), request: Value, before: Option<Value>, now: Value) -> Verdict {
        let op = find(function.0, function.1).unwrap();
        op.judge(&Evidence { request: &request, before: before.as_ref(), now: Some(&now), intended_at: 1000 })
    }

    fn noted(note: &str, update_time: i64) -> Value {
        json!({"update_time": update_time, "order_detail": {"ext_info": {"merchant_notes": note}}})
    }

    const NOTES: (&str, &str) = ("notes", "set-merchant-notes");

    #[test]
    fn a_note_is_set_again_only_if_nobody_touched_it() {
        let request = json!({"order_id": "1", "merchant_notes": "big"});
        let with = |before: Option<Value>, now| judge(NOTES, request.clone(), before, now);
        assert_eq!(with(Some(noted("", 9)), noted("big", 10)), Verdict::Applied(Value::Null));
        assert_eq!(with(None, noted("big", 10)), Verdict::Applied(Value::Null));
        // Another change of the order is none of the note.
        assert_eq!(with(Some(noted("", 9)), noted("", 2000)), Verdict::Again);
        assert!(matches!(with(Some(noted("", 9)), noted("theirs", 10)), Verdict::Changed(_)));
        assert_eq!(with(None, noted("theirs", 10)), Verdict::Again);
        assert!(matches!(with(None, noted("theirs", 950)), Verdict::Unclear(_)));
    }

    #[test]
    fn a_gift_note_is_found_in_either_place() {
        let request = json!({"present_order_id": "1", "notes": "hi"});
        let op = ("presents", "set-note");
        let place = judge(op, request.clone(), None, json!({"order_present_info": {"present_note": "hi"}}));
        assert_eq!(place, Verdict::Applied(Value::Null));
        let emptied = json!({"order_present_info": {"present_note": ""}, "present_note": "hi"});
        assert_eq!(judge(op, request.clone(), None, emptied), Verdict::Applied(Value::Null));
        let old = json!({"present_note": "old"});
        assert_eq!(judge(op, request.clone(), Some(old.clone()), old.clone()), Verdict::Again);
        let other = json!({"present_note": "other"});
        assert!(matches!(judge(op, request, Some(old), other), Verdict::Changed(_)));
    }

    fn priced(change_price: Option<i64>, freight: i64, update_time: i64) -> Value {
        let mut line = json!({"product_id": "10", "sku_id": 20, "real_price": 100});
        if let Some(price) = change_price {
            line["change_price"] = json!(price);
        }
        json!({"update_time": update_time,
            "order_detail": {"product_infos": [line], "price_info": {"freight": freight}}})
    }

    #[test]
    fn a_price_is_set_again_only_if_nobody_touched_it() {
        let request = json!({"order_id": "1", "express_fee": 5,
            "change_order_infos": [{"product_id": "10", "sku_id": "20", "change_price": 90}]});
        let with = |before, now| judge(("price", "change"), request.clone(), before, now);
        assert_eq!(with(None, priced(Some(90), 5, 2000)), Verdict::Applied(Value::Null));
        let mut changed = priced(Some(90), 8, 2000);
        changed["order_detail"]["price_info"]["change_freight"] = json!(5);
        assert_eq!(with(None, changed), Verdict::Applied(Value::Null));
        assert_eq!(with(Some(priced(None, 8, 9)), priced(None, 8, 2000)), Verdict::Again);
        assert!(matches!(with(Some(priced(None, 8, 9)), priced(Some(80), 8, 2000)), Verdict::Changed(_)));
        // The price shows, the freight does not: not ours.
        assert!(matches!(with(Some(priced(None, 8, 9)), priced(Some(90), 8, 2000)), Verdict::Changed(_)));
    }

    #[test]
    fn a_change_of_address_is_never_asked_for_twice() {
        let at = |city: &str, hash: &str, update_time: i64| {
            json!({"update_time": update_time, "order_detail": {"delivery_info": {"address_info":
                {"province_name": "浙江省", "city_name": city, "postal_code": "000000", "hash_code": hash}}}})
        };
        let request = json!({"order_id": "1",
            "user_address": {"province_name": "浙江省", "city_name": "宁波市", "postal_code": "315000", "user_name": "x"}});
        let with = |before, now| judge(("address", "change"), request.clone(), before, now);
        assert_eq!(with(Some(at("杭州市", "a", 9)), at("宁波市", "b", 2000)), Verdict::Applied(Value::Null));
        let hangzhou = |update_time| at("杭州市", "a", update_time);
        for (before, now) in [
            (Some(hangzhou(9)), hangzhou(9)),
            (Some(hangzhou(999)), hangzhou(999)),
            (Some(hangzhou(9)), hangzhou(1001)),
            (Some(hangzhou(9)), at("温州市", "c", 1001)),
            (None, hangzhou(500)),
        ] {
            assert!(matches!(with(before.clone(), now.clone()), Verdict::Unclear(_)), "{before:?} {now}");
        }
    }
}
