//! What a page may show of a host call: the table of operations decides member by member; what is not in the table is
//! masked as a whole, but for the ids that say what the call was about.

use fangshi_journal::CallView;
use fangshi_operations::{MASK, delicate, named, redact, redact_refusal, redact_text};
use serde_json::Value;

/// A request as pages may show it. `name` is `interface/function`.
pub(crate) fn request(name: &str, request: &Value) -> Value {
    match named(name) {
        Some(operation) => redact(operation, request),
        None => masked("", request),
    }
}

/// An answer as pages may show it. A refusal holds the contract's error, which is made without buyer data, but may repeat what the
/// plugin asked for.
pub(crate) fn answer(name: &str, answered_ok: bool, answer: &Value) -> Value {
    if !answered_ok {
        return redact_refusal(answer);
    }
    match named(name) {
        Some(operation) => redact(operation, answer),
        None => masked("", answer),
    }
}

/// The words of one attempt: log lines and reasons. A plugin may repeat in them what it gave to its calls and got from
/// them, so what these may not show is masked here too, besides mobile numbers and what may be a token.
pub(crate) struct Words(Vec<String>);

impl Words {
    /// Of the attempt that made these calls.
    pub fn of(calls: &[CallView]) -> Words {
        let mut secrets = Vec::new();
        for call in calls {
            let Some(operation) = named(&call.name) else { continue };
            secrets.extend(delicate(operation, &call.request));
            if call.result.as_deref() == Some("ok") {
                secrets.extend(call.answer.iter().flat_map(|answer| delicate(operation, answer)));
            }
        }
        // The longest first, so that no part of one is left.
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Words(secrets)
    }

    /// A text as pages may show it.
    pub fn shown(&self, text: &str) -> String {
        redact_text(text, &self.0)
    }
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

    fn call(name: &str, request: serde_json::Value, answer: Option<serde_json::Value>) -> CallView {
        CallView {
            position: 0,
            name: name.to_owned(),
            kind: fangshi_journal::CallKind::Read,
            result: answer.as_ref().map(|_| "ok".to_owned()),
            request,
            answer,
            snapshot: None,
            origin: fangshi_journal::CallOrigin::Live,
            at_ms: 0,
            took_ms: None,
        }
    }

    #[test]
    fn words_lose_what_the_calls_beside_them_hide() {
        let calls = [
            call(
                "decode/sensitive-info",
                json!({"order_id": "37"}),
                Some(json!({"address_info": {"user_name": "欧阳锋"}})),
            ),
            call(
                "notes/set-merchant-notes",
                json!({"order_id": "3732676853715311104", "merchant_notes": "VIP gate 7"}),
                None,
            ),
            call("kv/set", json!({"key": "seen", "value": [1]}), Some(json!(null))),
        ];
        let words = Words::of(&calls);
        assert_eq!(
            words.shown("order 3732676853715311104: VIP gate 7 for 欧阳锋, 13800138000, 138****8000"),
            "order 3732676853715311104: [masked] for [masked], [masked], 138****8000"
        );
        assert_eq!(Words::of(&[]).shown("VIP gate 7"), "VIP gate 7");
    }

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
        let order = json!({"order_id": "37", "status": 20, "openid": "CANARY"});
        assert_eq!(answer("orders/get", true, &order), json!({"order_id": "37", "status": 20, "openid": MASK}));
        let refusal = json!({"kind": "conflict", "detail": "closed"});
        assert_eq!(answer("notes/set-merchant-notes", false, &refusal), refusal);
    }

    #[test]
    fn what_a_plugin_made_up_of_a_request_is_shown_within_bounds() {
        let made_up = "carried.out.".repeat(19);
        let asked = json!({"method": "CANARY\r\n", "url": format!("https://{made_up}example/CANARY"),
            "headers": [{"name": "x-CANARY", "value": "CANARY"}], "body": ""});
        let shown = request("http/send", &asked);
        assert_eq!((&shown["method"], &shown["headers"]), (&json!("other"), &json!(MASK)));
        assert!(
            shown["host"].as_str().unwrap().chars().count() <= 64 && !shown.to_string().contains("CANARY"),
            "{shown}"
        );
        let denied = answer("http/send", false, &json!({"kind": "denied", "detail": format!("http:{made_up}example")}));
        assert!(denied["detail"].as_str().unwrap().chars().count() < 70, "{denied}");
    }
}
