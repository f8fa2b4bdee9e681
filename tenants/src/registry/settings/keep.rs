//! What becomes of settings when others are given, or when another version reads them.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::SettingsSchema;

/// Settings as they are to be written.
pub(in crate::registry) struct Kept {
    pub settings: Arc<Value>,
    /// Names of those whose values are never shown again.
    pub secrets: BTreeSet<String>,
}

/// The settings after a change. `given` replaces all; none leaves them as they are.
///
/// With a schema, a secret that is left out or empty stays, and a member that is null is removed. A value that was given
/// as a secret stays one whatever a later schema says, until another value takes its place.
pub(in crate::registry) fn keep(
    schema: Option<&SettingsSchema>,
    before: &Arc<Value>,
    secrets: &BTreeSet<String>,
    given: Option<Value>,
) -> Kept {
    let is_secret = |name: &str| schema.is_some_and(|schema| schema.property(name).is_some_and(|one| one.secret));
    let Some(given) = given else {
        let all = before.as_object().map(Map::keys).into_iter().flatten();
        let secrets = all.filter(|name| secrets.contains(*name) || is_secret(name)).cloned().collect();
        return Kept { settings: Arc::clone(before), secrets };
    };
    let (Value::Object(mut members), Some(schema)) = (given.clone(), schema) else {
        return Kept { settings: Arc::new(given), secrets: BTreeSet::new() };
    };
    for name in schema.secrets() {
        let left_out = match members.get(name) {
            None => true,
            Some(value) => value.as_str() == Some(""),
        };
        if left_out {
            members.remove(name);
            if let Some(value) = before.get(name) {
                members.insert(name.to_owned(), value.clone());
            }
        }
    }
    members.retain(|_, value| !value.is_null());
    let secrets = members.keys().filter(|name| is_secret(name)).cloned().collect();
    Kept { settings: Arc::new(Value::Object(members)), secrets }
}
