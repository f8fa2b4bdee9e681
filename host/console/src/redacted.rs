//! What a page may show of a host call: the table of operations decides member by member; what is not in the table is
//! masked as a whole, but for the ids that say what the call was about.

use fangshi_operations::{MASK, find, redact, redact_order};
use serde_json::Value;

/// A request as pages may show it. `name` is `interface/function`.
pub(crate) fn request(name: &str, request: &Value) -> Value {
    match operation(name) {
        Some(operation) => redact(operation, request),
        None => masked("", request),
    }
}

/// An answer as pages may show it. A refusal holds the contract's error, which is made without buyer data.
pub(crate) fn answer(name: &str, answered_ok: bool, answer: &Value) -> Value {
    if !answered_ok {
        return answer.clone();
    }
    match operation(name) {
        Some(operation) => redact(operation, answer),
        None if name == "orders/get" => redact_order(answer),
        None => masked("", answer),
    }
}

fn operation(name: &str) -> Option<&'static fangshi_operations::Operation> {
    let (interface, function) = name.split_once('/')?;
    find(interface, function)
}

/// Everything masked but the order's id and the key of a kv call.
fn masked(member: &str, value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), masked(name, value))).collect(),
        Value::Array(_) => Value::String(MASK.to_owned()),
        _ if matches!(member, "order_id" | "key") => value.clone(),
        _ => Value::String(MASK.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_table_decides_and_the_rest_is_masked() {
        let note = json!({"order_id": "37", "merchant_notes": "call 13800138000"});
        let shown = request("notes/set-merchant-notes", &note);
        assert_eq!(shown, json!({"order_id": "37", "merchant_notes": MASK}));
        let kv = json!({"key": "seen", "value": [1, 2, 3], "more": {"phone": "13800138000"}});
        let shown = request("kv/set", &kv);
        assert_eq!(shown, json!({"key": "seen", "value": MASK, "more": {"phone": MASK}}));
        assert_eq!(answer("kv/get", true, &json!("CANARY")), json!(MASK));
        assert_eq!(answer("decode/sensitive-info", true, &json!({"tel_number": "1"})), json!({"tel_number": MASK}));
        let refusal = json!({"kind": "conflict", "detail": "closed"});
        assert_eq!(answer("notes/set-merchant-notes", false, &refusal), refusal);
    }
}
