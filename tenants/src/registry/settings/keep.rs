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

/// The settings after a change. `given` replaces all but secrets; none leaves them as they are.
///
/// A secret that is left out or empty stays, whether the schema knows it or an earlier version's did (there may be none now):
/// whoever sends the others can't know its value. Null removes it, and with a schema any member. A value that was given as a
/// secret stays one whatever a later schema says, until another value takes its place.
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
    let Value::Object(mut members) = given else {
        return Kept { settings: Arc::new(given), secrets: BTreeSet::new() };
    };
    let known = schema.into_iter().flat_map(SettingsSchema::secrets).map(str::to_owned);
    let names: BTreeSet<String> = known.chain(secrets.iter().cloned()).collect();
    let mut sealed = BTreeSet::new();
    for name in names {
        match members.get(&name) {
            Some(Value::Null) => {
                members.remove(&name);
            }
            Some(value) if value.as_str() != Some("") => {
                if is_secret(&name) {
                    sealed.insert(name);
                }
            }
            Some(_) | None => {
                members.remove(&name);
                if let Some(value) = before.get(&name) {
                    members.insert(name.clone(), value.clone());
                    sealed.insert(name);
                }
            }
        }
    }
    if schema.is_some() {
        members.retain(|_, value| !value.is_null());
    }
    Kept { settings: Arc::new(Value::Object(members)), secrets: sealed }
}
