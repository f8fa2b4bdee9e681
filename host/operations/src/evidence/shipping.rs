//! Parcels that were sent or corrected.

use serde_json::Value;

use super::{Evidence, Verdict};
use crate::parcels;

/// delivery.send: by waybill; virtual goods by the products shipped without one.
pub(crate) fn send(evidence: &Evidence<'_>) -> Verdict {
    let Some(now) = evidence.now else { return Verdict::unclear("the order can't be read") };
    let wanted = parcels::listed(evidence.request.get("delivery_list"));
    let shown = parcels::of_order(now);
    let before = evidence.before.map(parcels::of_order);
    let shows = |parcel: &parcels::Parcel| shown.iter().any(|one| one.is(parcel));
    if !wanted.is_empty() && wanted.iter().all(shows) {
        return Verdict::done();
    }
    if wanted.iter().any(shows) {
        return Verdict::unclear("some of the parcels show, some don't");
    }
    // Not one of them shows; other parcels that came meanwhile are no reason not to send these.
    match before {
        Some(before) if before == shown => Verdict::Again,
        _ if wanted.iter().all(|parcel| !parcel.waybill_id.is_empty()) => Verdict::Again,
        _ => evidence.untouched_or("parcels without a waybill can't be told apart, and the order changed since"),
    }
}

/// delivery.compensate: nobody says where it shows, except perhaps as a parcel.
pub(crate) fn compensate(evidence: &Evidence<'_>) -> Verdict {
    let wanted = parcels::listed(evidence.request.get("delivery_list"));
    let shown = evidence.now.map(parcels::of_order).unwrap_or_default();
    let by_waybill = |parcel: &parcels::Parcel| !parcel.waybill_id.is_empty() && shown.iter().any(|one| one.is(parcel));
    if !wanted.is_empty() && wanted.iter().all(by_waybill) {
        return Verdict::done();
    }
    evidence.untouched_or("a compensation need not show in the order, and the order changed since")
}

/// delivery.change-all: the parcels are exactly those wanted.
pub(crate) fn change_all(evidence: &Evidence<'_>) -> Verdict {
    let wanted = parcels::listed(evidence.request.get("delivery_list"));
    let shown = evidence.now.map(parcels::of_order).unwrap_or_default();
    let same = wanted.len() == shown.len() && wanted.iter().all(|parcel| shown.iter().any(|one| one.is(parcel)));
    corrected(evidence, same, &shown)
}

/// delivery.change-some: every new parcel shows, and no old one is as it was. A split leaves the old waybill with less.
pub(crate) fn change_some(evidence: &Evidence<'_>) -> Verdict {
    let changes = evidence.request.get("change_infos").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let side = |name: &str| -> Vec<parcels::Parcel> {
        changes.iter().filter_map(|change| change.get(name)).map(parcels::one).collect()
    };
    let shown = evidence.now.map(parcels::of_order).unwrap_or_default();
    let before = evidence.before.map(parcels::of_order).unwrap_or_default();
    let new = side("new");
    let there = |parcel: &parcels::Parcel| shown.iter().any(|one| one.is(parcel));
    let as_it_was = |old: &parcels::Parcel| before.iter().any(|one| one.is(old) && shown.contains(one));
    let shows = !new.is_empty() && new.iter().all(there) && !side("old").iter().any(as_it_was);
    corrected(evidence, shows, &shown)
}

fn corrected(evidence: &Evidence<'_>, shows: bool, shown: &[parcels::Parcel]) -> Verdict {
    if shows {
        return Verdict::done();
    }
    match evidence.before.map(parcels::of_order) {
        Some(before) if before == shown => Verdict::Again,
        Some(_) => Verdict::changed("the parcels were changed since by somebody else"),
        None => evidence.untouched_or("the order changed since, and there are no earlier parcels to compare"),
    }
}

/// delivery.submit-inspection: the order shows at most that something was handed in.
pub(crate) fn inspection(evidence: &Evidence<'_>) -> Verdict {
    evidence.untouched_or("the order does not show which inspection was handed in, and it changed since")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::find;
    use serde_json::json;

    fn judge(function: &str, request: Value, before: Option<&[Value]>, now: &[Value], update_time: i64) -> Verdict {
        let order = |parcels: &[Value], time: i64| json!({"update_time": time, "order_detail": {"delivery_info": {"delivery_product_info": parcels}}});
        let before = before.map(|parcels| order(parcels, 9));
        let now = order(now, update_time);
        let op = find("delivery", function).unwrap();
        op.judge(&Evidence { request: &request, before: before.as_ref(), now: Some(&now), intended_at: 1000 })
    }

    const DONE: Verdict = Verdict::Applied(Value::Null);

    fn parcel(waybill: &str, deliver_type: i64) -> Value {
        json!({"waybill_id": waybill, "delivery_id": if waybill.is_empty() { "" } else { "SF" },
            "deliver_type": deliver_type, "product_infos": [{"product_id": 10, "sku_id": "20", "product_cnt": 1}]})
    }

    #[test]
    fn a_shipment_shows_by_its_waybill() {
        let with = |list: &[&str], before: &[&str], now: &[&str]| {
            let parcels = |ids: &[&str]| -> Vec<Value> { ids.iter().map(|id| parcel(id, 1)).collect() };
            let request = json!({"order_id": "1", "delivery_list": parcels(list)});
            judge("send", request, Some(&parcels(before)), &parcels(now), 2000)
        };
        assert_eq!(with(&["A"], &[], &["A"]), DONE);
        assert_eq!(with(&["B", "A"], &["C"], &["A", "B", "C"]), DONE);
        assert_eq!(with(&["A"], &[], &[]), Verdict::Again);
        assert_eq!(with(&["A"], &[], &["C"]), Verdict::Again);
        assert!(matches!(with(&["A", "B"], &[], &["A"]), Verdict::Unclear(_)));
    }

    #[test]
    fn virtual_goods_show_by_what_was_shipped() {
        let request = json!({"order_id": "1", "delivery_list": [parcel("", 3)]});
        assert_eq!(judge("send", request.clone(), Some(&[]), &[parcel("", 3)], 2000), DONE);
        assert_eq!(judge("send", request.clone(), Some(&[]), &[], 2000), Verdict::Again);
        assert!(matches!(judge("send", request.clone(), Some(&[]), &[parcel("X", 1)], 2000), Verdict::Unclear(_)));
        assert_eq!(judge("send", request, None, &[], 500), Verdict::Again);
    }

    #[test]
    fn corrections_show_when_new_parcels_stand_for_the_old() {
        let all = json!({"order_id": "1", "delivery_list": [parcel("B", 1)]});
        let some = json!({"order_id": "1", "change_infos": [{"old": parcel("A", 1), "new": parcel("B", 1)}]});
        for (function, request) in [("change-all", &all), ("change-some", &some)] {
            let with = |now: &[Value]| judge(function, request.clone(), Some(&[parcel("A", 1)]), now, 2000);
            assert_eq!(with(&[parcel("B", 1)]), DONE, "{function}");
            assert_eq!(with(&[parcel("A", 1)]), Verdict::Again, "{function}");
            assert!(matches!(with(&[parcel("C", 1)]), Verdict::Changed(_)), "{function}");
            let without = judge(function, request.clone(), None, &[parcel("A", 1)], 2000);
            assert!(matches!(without, Verdict::Unclear(_)), "{function}");
        }
        let left = judge("change-some", some, Some(&[parcel("A", 1)]), &[parcel("A", 1), parcel("B", 1)], 2000);
        assert!(matches!(left, Verdict::Changed(_)));
        // Split: the old waybill stays with less in it.
        let items = |waybill: &str, count: i64| {
            let mut parcel = parcel(waybill, 1);
            parcel["product_infos"][0]["product_cnt"] = json!(count);
            parcel
        };
        let split = json!({"order_id": "1", "change_infos": [{"old": items("A", 3), "new": items("B", 1)}]});
        let with = |now: &[Value]| judge("change-some", split.clone(), Some(&[items("A", 3)]), now, 2000);
        assert_eq!(with(&[items("A", 2), items("B", 1)]), DONE);
        assert_eq!(with(&[items("A", 3)]), Verdict::Again);
    }

    #[test]
    fn what_need_not_show_is_repeated_only_on_an_untouched_order() {
        let inspection = json!({"order_id": "1", "audit_items": [{"item_name": "a", "item_value": "b"}]});
        let compensation = json!({"order_id": "1", "reason": 1, "delivery_list": [parcel("A", 1)]});
        for (function, request) in [("submit-inspection", &inspection), ("compensate", &compensation)] {
            assert_eq!(judge(function, request.clone(), Some(&[]), &[], 9), Verdict::Again, "{function}");
            let touched = judge(function, request.clone(), Some(&[]), &[], 2000);
            assert!(matches!(touched, Verdict::Unclear(_)), "{function}");
        }
        assert_eq!(judge("compensate", compensation.clone(), None, &[parcel("A", 1)], 2000), DONE);
        // Changed within the second of the snapshot it would show the same time.
        for (update_time, again) in [(9, true), (879, true), (880, false), (1000, false)] {
            let order = json!({"update_time": update_time});
            for (function, request) in [("submit-inspection", &inspection), ("compensate", &compensation)] {
                for before in [Some(&order), None] {
                    let evidence = Evidence { request, before, now: Some(&order), intended_at: 1000 };
                    let verdict = find("delivery", function).unwrap().judge(&evidence);
                    assert_eq!(verdict == Verdict::Again, again, "{function} {update_time} {verdict:?}");
                }
            }
        }
    }
}
