//! Integers of 64 bits in JavaScript, both ways, at the edges of what the language holds.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
use fangshi_guest_checks::{ORDER_ID, Stage};
use fangshi_runtime::{CallError, Outcome};
use serde_json::{Value, json};

/// 2^53 - 1.
const EDGE: i64 = 9_007_199_254_740_991;

fn script(name: &str, request: &Value) -> Result<Value, CallError> {
    match name {
        "virtual-number.delay" => Ok(json!({ "expiration": EDGE, "available_extend_num": 1 })),
        "search.list-orders" => Ok(json!({ "order_ids": [ORDER_ID], "next_key": "", "has_more": false })),
        "price.change" => match request["change_order_infos"][0]["sku_id"].as_str() {
            Some("limited") => Err(CallError::Limited { retry_after: Some(2_147_483_647) }),
            Some("platform") => Err(CallError::Platform { code: -2_147_483_648, message: "系统繁忙".into() }),
            Some("conflict") => Err(CallError::Conflict("paid".into())),
            Some("not-found") => Err(CallError::NotFound("gone".into())),
            _ => Ok(Value::Null),
        },
        other => Err(CallError::Invalid(other.into())),
    }
}

#[tokio::test]
async fn javascript_sees_and_gives_64_bit_integers_exactly_up_to_its_edge() {
    let mut stage = Stage::new().unwrap();
    stage.script = script;
    stage.detail = json!({ "order_id": ORDER_ID, "pay_time": EDGE });
    stage.order["order_detail"]["price_info"]["order_price"] = json!(-EDGE);
    stage.order["order_detail"]["ext_info"]["confirm_receipt_time"] = json!(4_294_967_296_i64);
    stage.order["order_detail"]["product_infos"][0]["sale_price"] = json!(EDGE);
    let played = stage.play("numbers-js", "on-pay").await.unwrap();
    assert_eq!(played.report.outcome, Outcome::Done, "{:#?}", played.log);
    let expected = [
        "method s64 number 1764642403",
        "member s64 number 9007199254740991",
        "field s64 number -9007199254740991",
        "option s64 number 4294967296",
        "list s64 number 9007199254740991",
        "field u32 number 20",
        "own resource string 3732676853715311104",
        "result s64 number 9007199254740991",
        r#"refused {"tag":"limited","val":2147483647}"#,
        r#"refused {"tag":"platform","val":{"code":-2147483648,"message":"系统繁忙"}}"#,
        r#"refused {"tag":"conflict","val":"paid"}"#,
        r#"refused {"tag":"not-found"}"#,
        "random in range boolean true",
        "Date string 1970-01-01T00:00:00.000Z",
        "now number 1764642405678",
        "fractions in range boolean true",
        "fractions differ boolean true",
        "parts string 2025-12-02T00:00:00.000Z",
    ];
    assert_eq!(played.log, expected);

    let requests: Vec<_> = played.calls.iter().map(|(name, request)| (name.as_str(), request)).collect();
    assert_eq!(requests[0], ("virtual-number.delay", &json!({ "order_id": ORDER_ID, "has_delay_times": 2 })));
    let (name, change) = requests[1];
    assert_eq!(name, "price.change");
    assert_eq!(change["change_order_infos"][0]["change_price"], json!(EDGE));
    assert_eq!(change["express_fee"], json!(-EDGE));
    let (name, query) = requests[2];
    assert_eq!(name, "search.list-orders");
    let range = json!({ "start_time": EDGE - 1, "end_time": 4_102_444_800_i64 });
    assert_eq!(query["query"]["create_time_range"], range, "{query}");
    assert_eq!(query["query"].get("status"), None, "{query}");
}

#[tokio::test]
async fn a_javascript_run_can_be_repeated_exactly() {
    let mut stage = Stage::new().unwrap();
    stage.script = script;
    let first = stage.play("numbers-js", "on-pay").await.unwrap();
    let second = stage.play("numbers-js", "on-pay").await.unwrap();
    assert_eq!((first.log, first.calls), (second.log, second.calls));
    assert_eq!(first.report.fuel_used, second.report.fuel_used);
}
