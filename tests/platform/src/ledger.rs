//! What really happened, for tests to compare with what the host says: every call and every push.

use serde::Serialize;
use serde_json::Value;

use crate::faults::Fault;
use crate::message::{EventMessage, PushForm};

/// One call of the API, written when it began and completed when its answer was ready.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// Position in the ledger.
    pub id: u64,
    /// Ticks of a counter that rises at each call's begin and end: two calls overlapped if their spans do.
    pub began: u64,
    /// Tick of the end; 0 while under way.
    pub ended: u64,
    /// Platform's unix milliseconds.
    pub at_ms: i64,
    /// The shop that the token belongs to, or that the request names.
    pub appid: Option<String>,
    /// Name of the token that was used (never its value).
    pub token_id: Option<String>,
    /// Path without query.
    pub path: String,
    /// Name of the operation, if the path is known.
    pub operation: Option<&'static str>,
    /// The request with secrets taken out.
    pub request: Value,
    /// `order_id` (or `present_order_id`) of the request.
    pub order_id: Option<String>,
    /// The errcode that was decided; none if a fault answered without deciding one.
    pub errcode: Option<i64>,
    /// Whether something changed.
    pub applied: bool,
    /// Name of the token that the answer issued.
    pub issued: Option<String>,
    /// The fault that was played.
    pub fault: Option<Fault>,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PushState {
    /// Still to be sent, or sent again.
    Waiting,
    /// Answered `success` or empty with 200 in time.
    Delivered,
    /// Not answered after the last retry.
    GivenUp,
    /// Never sent, by a fault.
    Dropped,
    /// No URL was set.
    NoUrl,
}

/// How one attempt of a push ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptEnd {
    /// `success` or empty, 200, in time.
    Accepted,
    /// Any other answer.
    Refused,
    /// No answer in time.
    Timeout,
    /// No connection, or it broke.
    NoConnection,
}

/// One attempt of a push.
#[derive(Clone, Debug, Serialize)]
pub struct PushAttempt {
    /// From 1.
    pub number: u32,
    /// Platform's unix milliseconds.
    pub at_ms: i64,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The first 256 bytes of the answer.
    pub answer: String,
    /// How it ended.
    pub end: AttemptEnd,
}

/// One push.
#[derive(Clone, Debug, Serialize)]
pub struct Push {
    /// Position in the ledger, from 1.
    pub id: u64,
    /// The shop; none for the ticket.
    pub appid: Option<String>,
    /// `Event`, or `InfoType` for authorization events.
    pub name: String,
    /// The order event, if it is one.
    pub event: Option<EventMessage>,
    /// How it was spelt.
    pub form: PushForm,
    /// Platform's unix milliseconds at which it was raised.
    pub raised_ms: i64,
    /// What became of it.
    pub state: PushState,
    /// Its attempts so far.
    pub attempts: Vec<PushAttempt>,
}

impl Push {
    /// The order, if it is an order event.
    pub fn order_id(&self) -> Option<&str> {
        self.event.as_ref().map(|e| e.order_id.as_str())
    }

    /// `type` of an ext_info_update.
    pub fn ext_type(&self) -> Option<i64> {
        match self.event.as_ref()?.event {
            crate::message::OrderEvent::ExtInfo { ext_type } => Some(ext_type),
            _ => None,
        }
    }
}

/// A copy of the ledger.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ledger {
    /// Calls in the order in which they began.
    pub calls: Vec<Call>,
    /// Pushes in the order in which they were raised.
    pub pushes: Vec<Push>,
}

impl Ledger {
    /// The calls of one operation, by its name.
    pub fn calls_of(&self, operation: &str) -> Vec<&Call> {
        self.calls.iter().filter(|c| c.operation == Some(operation)).collect()
    }

    /// The applied calls on one order.
    pub fn applied_on(&self, order_id: &str) -> Vec<&Call> {
        self.calls.iter().filter(|c| c.applied && c.order_id.as_deref() == Some(order_id)).collect()
    }

    /// The pushes about one order.
    pub fn pushes_of(&self, order_id: &str) -> Vec<&Push> {
        self.pushes.iter().filter(|p| p.order_id() == Some(order_id)).collect()
    }
}

/// Takes secrets out of a request before it is kept.
pub(crate) fn without_secrets(request: &Value) -> Value {
    const SECRET: [&str; 9] = [
        "component_appsecret",
        "component_secret",
        "component_verify_ticket",
        "authorizer_refresh_token",
        "authorization_code",
        "secret",
        "appsecret",
        "verify_code",
        "component_access_token",
    ];
    match request {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let kept =
                    if SECRET.contains(&name.as_str()) { Value::from("(secret)") } else { without_secrets(value) };
                (name.clone(), kept)
            })
            .collect(),
        Value::Array(items) => items.iter().map(without_secrets).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_never_enter_the_ledger() {
        let kept = without_secrets(&json!({
            "component_appid": "wx1", "component_appsecret": "CANARY", "nested": [{"authorizer_refresh_token": "CANARY"}]
        }));
        assert!(!kept.to_string().contains("CANARY"));
        assert_eq!(kept["component_appid"], "wx1");
    }
}
