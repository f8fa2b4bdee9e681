//! Digests of parts of an order: told apart without being kept.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A digest of a part; none if the part is absent, null or empty. It lies sealed: a masked address could be guessed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark(String);

/// Bytes of the digest that are kept.
const KEPT: usize = 16;

impl Mark {
    /// The mark of a JSON value, whatever the order of its members.
    pub fn of(value: Option<&Value>) -> Option<Mark> {
        let value = value.filter(|value| !is_void(value))?;
        let mut sha = Sha256::new();
        put(&mut sha, value);
        Some(Mark(hex::encode(&sha.finalize()[..KEPT])))
    }

    /// The mark of several parts; none if all of them are void.
    pub fn of_all<'v>(parts: impl IntoIterator<Item = (&'static str, Option<&'v Value>)>) -> Option<Mark> {
        let some: serde_json::Map<String, Value> = parts
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value.filter(|value| !is_void(value))?.clone())))
            .collect();
        Mark::of(Some(&Value::Object(some)))
    }
}

/// Absent, null and empty are the same: real answers have all three (platform page, section 5).
fn is_void(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(is_void),
        Value::Object(members) => members.values().all(is_void),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn put(sha: &mut Sha256, value: &Value) {
    match value {
        Value::Array(items) => {
            sha.update(b"[");
            items.iter().for_each(|item| put(sha, item));
            sha.update(b"]");
        }
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().filter(|name| !is_void(&members[*name])).collect();
            names.sort_unstable();
            sha.update(b"{");
            for name in names {
                text(sha, name);
                put(sha, &members[name]);
            }
            sha.update(b"}");
        }
        // A number and its text are one: the platform sends both.
        Value::String(words) => text(sha, words),
        other => text(sha, &other.to_string()),
    }
}

fn text(sha: &mut Sha256, words: &str) {
    sha.update((words.len() as u64).to_be_bytes());
    sha.update(words.as_bytes());
}

// A digest of buyer data has no place in a log.
impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mark")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn spelling_does_not_count_and_content_does() {
        let mark = |value: Value| Mark::of(Some(&value));
        assert_eq!(
            mark(json!({"a": 1, "b": [{"c": "x"}], "d": ""})),
            mark(json!({"b": [{"c": "x", "e": null}], "a": "1"}))
        );
        assert_ne!(mark(json!({"a": 1})), mark(json!({"a": 2})));
        assert_ne!(mark(json!(["ab", "c"])), mark(json!(["a", "bc"])));
        for void in [json!(null), json!(""), json!([]), json!({"x": {"y": []}})] {
            assert_eq!(mark(void), None);
        }
        assert_ne!(mark(json!(0)), None);
    }
}
