//! Reading an answer of the platform: lax in form (numbers as text, ids as numbers, members left out), strict in what
//! the contract can't do without.

use serde_json::{Value, json};

/// An answer that the contract ignores (`_`).
pub(crate) fn nothing(_: Value) -> Result<Value, String> {
    Ok(Value::Null)
}

/// A member as text; "" if it is absent.
pub(crate) fn text(value: &Value, name: &str) -> String {
    match value.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// A member as text that must be there.
pub(crate) fn needed_text(value: &Value, name: &str) -> Result<String, String> {
    match text(value, name) {
        text if text.is_empty() => Err(format!("the platform's answer has no {name}")),
        text => Ok(text),
    }
}

/// A member as a whole number, also from text; none if it is absent or no number.
pub(crate) fn number(value: &Value, name: &str) -> Option<i64> {
    match value.get(name)? {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    }
}

/// A member as a whole number that must be there.
pub(crate) fn needed_number(value: &Value, name: &str) -> Result<i64, String> {
    number(value, name).ok_or_else(|| format!("the platform's answer has no whole number {name}"))
}

/// A list of ids as texts. The platform leaves empty lists out.
pub(crate) fn ids(value: &Value, name: &str) -> Result<Vec<String>, String> {
    let list = match value.get(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(format!("{name} of the platform's answer is no list")),
    };
    list.iter()
        .map(|id| match id {
            Value::String(id) if !id.is_empty() => Ok(id.clone()),
            Value::Number(id) if id.is_i64() || id.is_u64() => Ok(id.to_string()),
            _ => Err(format!("{name} of the platform's answer holds what is no id")),
        })
        .collect()
}

/// A page of order ids, whose list has this name on the platform.
pub(crate) fn page(value: &Value, list: &str) -> Result<Value, String> {
    let has_more = match value.get("has_more") {
        Some(Value::Bool(more)) => *more,
        Some(Value::Number(number)) => number.as_i64() == Some(1),
        Some(Value::String(text)) => text == "true" || text == "1",
        _ => false,
    };
    let next_key = text(value, "next_key");
    if has_more && next_key.is_empty() {
        return Err("the platform's answer says that there is more, but has no next_key".to_owned());
    }
    Ok(json!({"order_ids": ids(value, list)?, "next_key": next_key, "has_more": has_more}))
}
