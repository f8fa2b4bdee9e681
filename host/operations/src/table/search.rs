//! Finding orders: pages of ids.

use serde_json::{Value, json};

use super::ORDERS;
use crate::answer;
use crate::evidence::{self, Proof};
use crate::members::{Body, ID, Members, NAME, NOTE};
use crate::operation::{Operation, Repeat, Sensitivity};

/// The longest span of a time range, seconds.
const SPAN: i64 = 7 * 86_400;

pub(super) fn rows() -> [Operation; 2] {
    [
        Operation {
            interface: "search",
            function: "list-orders",
            name: "getorderlist",
            path: "/channels/ec/order/list/get",
            effect: false,
            repeat: Repeat::Read,
            permission_set: ORDERS,
            sensitivity: Sensitivity::Personal,
            raises: &[],
            answered_by: &[],
            raises_events: &[],
            order_member: "",
            limits: "A range of at most 7 days; at most 100 a page.",
            shown: SHOWN,
            request: list_request,
            response: |platform| answer::page(&platform, "order_id_list"),
            proof: Proof::None,
            verdict: evidence::read,
        },
        Operation {
            interface: "search",
            function: "search-orders",
            name: "searchorder",
            path: "/channels/ec/order/search",
            effect: false,
            repeat: Repeat::Read,
            permission_set: ORDERS,
            sensitivity: Sensitivity::Personal,
            raises: &[],
            answered_by: &[],
            raises_events: &[],
            order_member: "",
            limits: "At most 100 a page.",
            shown: SHOWN,
            request: search_request,
            response: |platform| answer::page(&platform, "orders"),
            proof: Proof::None,
            verdict: evidence::read,
        },
    ]
}

const SHOWN: &[&str] = &[
    "start_time",
    "end_time",
    "status",
    "page_size",
    "has_more",
    "order_ids",
    "order_id",
    "sku_code",
    "address_under_review",
    "on_aftersale_order_exist",
];

fn list_request(request: &Value) -> Result<Value, String> {
    let query = Members::of(request)?.object("query")?;
    let mut body = Body::default();
    let mut ranges = 0;
    for name in ["create_time_range", "update_time_range"] {
        let Some(range) = query.maybe_object(name)? else { continue };
        let start = range.number("start_time", 0, i64::MAX)?;
        let end = range.number("end_time", start, i64::MAX)?;
        if end - start > SPAN {
            return Err(query.wrong(name, "a span of at most 7 days"));
        }
        body = body.with(name, json!({"start_time": start, "end_time": end}));
        ranges += 1;
    }
    if ranges == 0 {
        return Err(query.wrong("create_time_range", "this range or update_time_range"));
    }
    let body = body
        .with_some("status", query.maybe_number("status", 0, i64::from(u32::MAX))?)
        .with_text("openid", query.maybe("openid", NAME)?);
    paged(&query, body)
}

fn search_request(request: &Value) -> Result<Value, String> {
    let query = Members::of(request)?.object("query")?;
    let wanted = query.object("search_condition")?;
    let mut condition = Body::default();
    for (name, most) in
        [("title", NAME), ("sku_code", NAME), ("user_name", NAME), ("merchant_notes", NOTE), ("customer_notes", NOTE)]
    {
        condition = condition.with_text(name, wanted.maybe(name, most)?);
    }
    let last4 = wanted.maybe("tel_number_last4", ID)?;
    if !last4.is_empty() && (last4.len() != 4 || !last4.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(wanted.wrong("tel_number_last4", "four digits"));
    }
    condition = condition.with_text("tel_number_last4", last4);
    if !wanted.maybe("order_id", ID)?.is_empty() {
        condition = condition.with("order_id", wanted.order_id("order_id")?);
    }
    let condition = condition.with_some("address_under_review", wanted.maybe_bool("address_under_review")?).done();
    if condition.as_object().is_some_and(serde_json::Map::is_empty) {
        return Err(query.wrong("search_condition", "at least one condition"));
    }
    let body = Body::default()
        .with("search_condition", condition)
        .with_some("on_aftersale_order_exist", query.maybe_number("on_aftersale_order_exist", 0, 1)?)
        .with_some("status", query.maybe_number("status", 0, i64::from(u32::MAX))?);
    paged(&query, body)
}

fn paged(query: &Members<'_>, body: Body) -> Result<Value, String> {
    Ok(body
        .with("page_size", query.number("page_size", 1, 100)?)
        .with_text("next_key", query.maybe("next_key", 4096)?)
        .done())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::find;

    #[test]
    fn a_list_needs_a_range_of_at_most_seven_days_and_a_small_page() {
        let op = find("search", "list-orders").unwrap();
        let range = json!({"start_time": 1764642390, "end_time": 1764642390 + 7 * 86_400});
        let body = op.body(&json!({"query": {"update_time_range": range, "status": 20, "page_size": 100}})).unwrap();
        assert_eq!(body, json!({"update_time_range": range, "status": 20, "page_size": 100}));
        let next = op
            .body(&json!({"query": {"create_time_range": range, "openid": "o1", "page_size": 1, "next_key": "k"}}))
            .unwrap();
        assert_eq!(next, json!({"create_time_range": range, "openid": "o1", "page_size": 1, "next_key": "k"}));
        for (query, named) in [
            (json!({"page_size": 1}), "query.create_time_range"),
            (json!({"create_time_range": range, "page_size": 101}), "query.page_size"),
            (json!({"create_time_range": range, "page_size": 0}), "query.page_size"),
            (
                json!({"create_time_range": {"start_time": 0, "end_time": 604801}, "page_size": 1}),
                "query.create_time_range",
            ),
            (
                json!({"create_time_range": {"start_time": 9, "end_time": 8}, "page_size": 1}),
                "query.create_time_range.end_time",
            ),
        ] {
            let refusal = op.body(&json!({"query": query})).unwrap_err();
            assert!(refusal.starts_with(named), "{refusal}");
        }
    }

    #[test]
    fn pages_hold_ids_as_text() {
        let list = find("search", "list-orders").unwrap();
        assert_eq!(
            list.answer(json!({"order_id_list": ["3732676853715311104", 3705115058471208928_u64],
                "next_key": "abc", "has_more": true}))
                .unwrap(),
            json!({"order_ids": ["3732676853715311104", "3705115058471208928"], "next_key": "abc", "has_more": true})
        );
        let search = find("search", "search-orders").unwrap();
        assert_eq!(
            search.answer(json!({"orders": ["1"], "has_more": false})).unwrap(),
            json!({"order_ids": ["1"], "next_key": "", "has_more": false})
        );
        assert!(search.answer(json!({"orders": {}, "has_more": false})).is_err());
        assert!(list.answer(json!({"order_id_list": ["1"], "has_more": true})).is_err());
    }

    #[test]
    fn a_search_needs_a_condition() {
        let op = find("search", "search-orders").unwrap();
        let query = json!({"search_condition": {"title": "手柄", "tel_number_last4": "0775", "address_under_review": true},
            "on_aftersale_order_exist": 0, "page_size": 10});
        assert_eq!(op.body(&json!({"query": query})).unwrap(), query);
        for (query, named) in [
            (json!({"search_condition": {}, "page_size": 1}), "query.search_condition"),
            (json!({"search_condition": {"title": ""}, "page_size": 1}), "query.search_condition"),
            (
                json!({"search_condition": {"tel_number_last4": "77"}, "page_size": 1}),
                "query.search_condition.tel_number_last4",
            ),
            (json!({"search_condition": {"order_id": "x"}, "page_size": 1}), "query.search_condition.order_id"),
            (
                json!({"search_condition": {"title": "x"}, "on_aftersale_order_exist": 2, "page_size": 1}),
                "query.on_aftersale_order_exist",
            ),
        ] {
            let refusal = op.body(&json!({"query": query})).unwrap_err();
            assert!(refusal.starts_with(named), "{refusal}");
        }
    }
}
