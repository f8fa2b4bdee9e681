//! What a hook reads of a message.

use serde_json::Value;

/// The event's own members: `order_info` of its canonical JSON, `tick` of a schedule's, or an empty object.
pub fn detail_of(body: &Value) -> Value {
    match body.get("order_info").or_else(|| body.get("tick")) {
        Some(Value::Object(members)) => Value::Object(members.clone()),
        _ => Value::Object(serde_json::Map::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_message_without_order_info_has_an_empty_detail() {
        assert_eq!(detail_of(&json!({"order_info": {"pay_time": "1"}})), json!({"pay_time": "1"}));
        assert_eq!(detail_of(&json!({"order_info": 7})), json!({}));
        assert_eq!(detail_of(&json!([])), json!({}));
        assert_eq!(detail_of(&json!({"tick": {"name": "nightly"}})), json!({"name": "nightly"}));
    }
}
