//! `http.send` as an operation, so that grants, journal, replay and pages treat it as they treat all others. It stands in no
//! table of the platform's operations: it goes elsewhere, with no token, and its method decides whether it is an effect.

use serde_json::Value;

use super::request::{self, Request};
use crate::evidence::{self, Proof};
use crate::operation::{Operation, Repeat, Sensitivity};

/// The contract's interface.
const INTERFACE: &str = "http";
/// Its one function.
const FUNCTION: &str = "send";

/// Its name in the journal.
pub const OUTSIDE_CALL: &str = "http/send";

/// What may change something where it goes. Nobody here can look whether it did.
const ROW: Operation = Operation {
    interface: INTERFACE,
    function: FUNCTION,
    name: "http",
    path: "",
    effect: true,
    repeat: Repeat::Unknown,
    permission_set: 0,
    sensitivity: Sensitivity::Outside,
    raises: &[],
    answered_by: &[],
    raises_events: &[],
    order_member: "",
    limits: "http_requests, http_request_bytes and http_answer_bytes of the installation.",
    shown: &["method", "status"],
    request: checked,
    response: answered,
    proof: Proof::None,
    verdict: evidence::unknowable,
};

static CHANGE: Operation = ROW;
static READ: Operation = Operation { effect: false, repeat: Repeat::Read, verdict: evidence::read, ..ROW };

/// The row of a call's name in the journal, where the request is not at hand.
pub(crate) fn row(interface: &str, function: &str) -> Option<&'static Operation> {
    (interface == INTERFACE && function == FUNCTION).then_some(&CHANGE)
}

/// The row of a call.
pub(crate) fn of_request(interface: &str, function: &str, request: &Value) -> Option<&'static Operation> {
    let change = row(interface, function)?;
    Some(if request::is_read(request) { &READ } else { change })
}

/// Whether an operation goes to an outside host, and not to the platform.
pub fn is_outside(op: &Operation) -> bool {
    op.interface == INTERFACE
}

/// The grant that a request to an outside host needs and does not have: `http:HOST`. A request that can't be read needs
/// none: it is refused as it is.
pub fn not_approved<'a>(grants: impl IntoIterator<Item = &'a str>, op: &Operation, request: &Value) -> Option<String> {
    if !is_outside(op) {
        return None;
    }
    let needed = Request::read(request).ok()?.host.grant();
    (!grants.into_iter().any(|grant| grant == needed)).then_some(needed)
}

fn checked(request: &Value) -> Result<Value, String> {
    Request::read(request).map(|_| Value::Null)
}

fn answered(answer: Value) -> Result<Value, String> {
    match answer.get("status").and_then(Value::as_u64) {
        Some(_) => Ok(answer),
        None => Err("the answer of an outside host has no status".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{named, redact, table};

    fn request(method: &str, url: &str) -> Value {
        json!({"method": method, "url": url, "headers": [{"name": "x-key", "value": "CANARY"}], "body": "CANARY"})
    }

    #[test]
    fn the_method_decides_what_is_an_effect() {
        let of = |method: &str| of_request("http", "send", &request(method, "https://a.example/")).unwrap();
        for (method, effect, repeat) in [
            ("GET", false, Repeat::Read),
            ("HEAD", false, Repeat::Read),
            ("POST", true, Repeat::Unknown),
            ("PUT", true, Repeat::Unknown),
            ("DELETE", true, Repeat::Unknown),
            ("OPTIONS", true, Repeat::Unknown),
            ("nonsense", true, Repeat::Unknown),
        ] {
            assert_eq!((of(method).effect, of(method).repeat), (effect, repeat), "{method}");
        }
        assert!(of_request("http", "open", &json!({})).is_none());
        assert!(!table().iter().any(is_outside), "it is no operation of the platform");
    }

    #[test]
    fn a_host_is_approved_by_its_own_name_and_port_alone() {
        let needed = |grants: &[&str], url: &str| not_approved(grants.iter().copied(), &CHANGE, &request("POST", url));
        let grants = ["notes", "http:a.example", "http:b.example:8443"];
        assert_eq!(needed(&grants, "https://a.example/x"), None);
        assert_eq!(needed(&grants, "https://A.EXAMPLE:443/x"), None);
        assert_eq!(needed(&grants, "https://b.example:8443/"), None);
        for (url, grant) in [
            ("https://b.example/", "http:b.example"),
            ("https://a.example:8443/", "http:a.example:8443"),
            ("https://x.a.example/", "http:x.a.example"),
            ("https://a.example.evil.example/", "http:a.example.evil.example"),
        ] {
            assert_eq!(needed(&grants, url).as_deref(), Some(grant), "{url}");
        }
        assert_eq!(needed(&["http", "http:"], "https://a.example/").as_deref(), Some("http:a.example"));
        assert_eq!(needed(&[], "https://127.0.0.1/"), None, "refused as it is");
        let note = named("notes/set-merchant-notes").unwrap();
        assert_eq!(not_approved([], note, &json!({})), None);
    }

    #[test]
    fn pages_show_where_it_went_and_what_came_and_nothing_else() {
        assert_eq!(OUTSIDE_CALL, format!("{INTERFACE}/{FUNCTION}"));
        let op = named(OUTSIDE_CALL).unwrap();
        let shown = redact(op, &request("POST", "https://a.example:8443/CANARY?key=CANARY"));
        assert_eq!((&shown["method"], &shown["host"]), (&json!("POST"), &json!("a.example:8443")));
        assert!(!shown.to_string().contains("CANARY"), "{shown}");
        let answer = json!({"status": 201, "headers": [{"name": "set-cookie", "value": "CANARY"}], "body": "CANARY"});
        let shown = redact(op, &answer);
        assert_eq!(shown["status"], 201);
        assert!(!shown.to_string().contains("CANARY"), "{shown}");
    }
}
