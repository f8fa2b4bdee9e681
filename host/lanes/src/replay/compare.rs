//! Effects then and now. Pure.

use fangshi_operations::{MASK, named, redact};
use fangshi_tenants::SecretValues;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// An effect that was made, or would be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EffectSeen {
    /// `notes/set-merchant-notes`.
    pub operation: String,
    /// The request; redacted wherever it is shown.
    #[serde(serialize_with = "shown")]
    pub request: Request,
    /// Then: `applied`, `refused`, `refused-for-now`, `unknown`, `intent`. Now: `recorded` (answered as then) or
    /// `assumed` (the journal has no answer: taken as done).
    pub outcome: String,
}

/// A request with the operation that redacts it.
#[derive(Clone, PartialEq)]
pub struct Request {
    operation: String,
    value: Value,
}

// Requests are platform and merchant data.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("operation", &self.operation).finish_non_exhaustive()
    }
}

impl Request {
    /// The request as pages may show it.
    pub fn redacted(&self) -> Value {
        match named(&self.operation) {
            Some(op) => redact(op, &self.value),
            None => Value::from(MASK),
        }
    }

    fn order(&self) -> Option<&str> {
        named(&self.operation)?.order_of(&self.value)
    }
}

fn shown<S: Serializer>(request: &Request, serializer: S) -> Result<S::Ok, S::Error> {
    request.redacted().serialize(serializer)
}

impl EffectSeen {
    /// An effect of an operation.
    pub fn new(operation: &str, request: Value, outcome: impl Into<String>) -> EffectSeen {
        let request = Request { operation: operation.to_owned(), value: request };
        EffectSeen { operation: operation.to_owned(), request, outcome: outcome.into() }
    }

    /// Without the values of secret settings.
    pub(super) fn without(mut self, hidden: &SecretValues) -> EffectSeen {
        hidden.out_of_json(&mut self.request.value);
        self
    }
}

/// An effect that would be made with another request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Changed {
    /// The operation of both.
    pub operation: String,
    /// The members of the request that differ.
    pub members: Vec<String>,
    /// Then.
    pub then: EffectSeen,
    /// Now.
    pub now: EffectSeen,
}

/// What would be otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Difference {
    /// How many effects are the same.
    pub same: u32,
    /// Made now and not then.
    pub added: Vec<EffectSeen>,
    /// Made then and not now.
    pub lost: Vec<EffectSeen>,
    /// Made both times, with another request.
    pub changed: Vec<Changed>,
}

impl Difference {
    /// Whether nothing would be otherwise.
    pub fn is_none(&self) -> bool {
        self.added.is_empty() && self.lost.is_empty() && self.changed.is_empty()
    }
}

/// Compares two lists of effects, each in the order in which they were made. Equal requests of an operation are the same
/// effect, however often and whenever they were made; what is left of the same operation on the same order is taken as
/// changed, first with first.
pub fn compare(then: Vec<EffectSeen>, mut now: Vec<EffectSeen>) -> Difference {
    let mut difference = Difference::default();
    let mut left = Vec::new();
    for old in then {
        match now.iter().position(|new| new.request == old.request) {
            Some(at) => {
                now.remove(at);
                difference.same += 1;
            }
            None => left.push(old),
        }
    }
    for then in left {
        let same_place =
            |new: &EffectSeen| new.operation == then.operation && new.request.order() == then.request.order();
        match now.iter().position(same_place) {
            Some(at) => {
                let now = now.remove(at);
                let members = members(&then.request.value, &now.request.value);
                difference.changed.push(Changed { operation: then.operation.clone(), members, then, now });
            }
            None => difference.lost.push(then),
        }
    }
    difference.added = now;
    difference
}

/// Names of the members that differ.
fn members(then: &Value, now: &Value) -> Vec<String> {
    let (Some(then), Some(now)) = (then.as_object(), now.as_object()) else { return Vec::new() };
    let mut names: Vec<String> =
        then.keys().chain(now.keys()).filter(|name| then.get(*name) != now.get(*name)).cloned().collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn note(order: &str, text: &str) -> EffectSeen {
        let request = json!({"order_id": order, "merchant_notes": text});
        EffectSeen::new("notes/set-merchant-notes", request, "applied")
    }

    #[test]
    fn equal_effects_are_the_same_whatever_their_order_and_count_as_often_as_they_are() {
        let found = compare(vec![note("1", "a"), note("1", "b")], vec![note("1", "b"), note("1", "a")]);
        assert_eq!((found.same, found.is_none()), (2, true));
        let found = compare(vec![note("1", "a")], vec![note("1", "a"), note("1", "a")]);
        assert_eq!((found.same, found.added.len()), (1, 1), "twice now is one more");
    }

    #[test]
    fn another_request_on_the_same_order_is_a_change_and_on_another_order_is_not() {
        let found = compare(vec![note("1", "a")], vec![note("1", "b")]);
        assert_eq!((found.changed.len(), &found.changed[0].members), (1, &vec!["merchant_notes".to_owned()]));
        let found = compare(vec![note("1", "a")], vec![note("2", "a")]);
        assert_eq!((found.lost.len(), found.added.len(), found.changed.len()), (1, 1, 0));
        assert_eq!(compare(vec![note("1", "a")], Vec::new()).lost, [note("1", "a")]);
        assert_eq!(compare(Vec::new(), vec![note("1", "a")]).added, [note("1", "a")]);
    }

    #[test]
    fn what_is_told_is_redacted() {
        let text = serde_json::to_string(&compare(Vec::new(), vec![note("1", "CANARY")])).unwrap();
        assert!(!text.contains("CANARY") && text.contains("set-merchant-notes"), "{text}");
        assert!(!format!("{:?}", note("1", "CANARY")).contains("CANARY"));
    }
}
