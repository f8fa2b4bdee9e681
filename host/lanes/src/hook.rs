//! From the platform's Event to the hook of the contract, and from the message to what a hook reads of it.

use serde_json::Value;

/// The eight order events (platform page, section 3.2).
const HOOKS: [(&str, &str); 8] = [
    ("channels_ec_order_new", "on-new"),
    ("channels_ec_order_cancel", "on-cancel"),
    ("channels_ec_order_pay", "on-pay"),
    ("channels_ec_order_wait_shipping", "on-wait-shipping"),
    ("channels_ec_order_deliver", "on-deliver"),
    ("channels_ec_order_confirm", "on-confirm"),
    ("channels_ec_order_settle", "on-settle"),
    ("channels_ec_order_ext_info_update", "on-ext-info-update"),
];

/// The hook that an event calls; none for events that the contract does not know.
pub fn hook_of(event: &str) -> Option<&'static str> {
    HOOKS.iter().find(|(name, _)| *name == event).map(|(_, hook)| *hook)
}

/// The event's own members: `order_info` of its canonical JSON, or an empty object.
pub fn detail_of(body: &Value) -> Value {
    match body.get("order_info") {
        Some(Value::Object(members)) => Value::Object(members.clone()),
        _ => Value::Object(serde_json::Map::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_eight_order_events_have_hooks_and_others_none() {
        assert_eq!(hook_of("channels_ec_order_pay"), Some("on-pay"));
        assert_eq!(hook_of("product_order_status_update"), None);
        assert_eq!(HOOKS.len(), 8);
    }

    #[test]
    fn a_message_without_order_info_has_an_empty_detail() {
        assert_eq!(detail_of(&json!({"order_info": {"pay_time": "1"}})), json!({"pay_time": "1"}));
        assert_eq!(detail_of(&json!({"order_info": 7})), json!({}));
        assert_eq!(detail_of(&json!([])), json!({}));
    }
}
