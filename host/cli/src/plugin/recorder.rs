//! The world of an offline run: one order from a file, kv in memory, and operations that are written down instead of
//! sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use fangshi_operations::{is_outside, not_approved};
use fangshi_runtime::{CallError, RunHost, Snapshot};
use serde_json::Value;

use super::answers::Answers;

/// What happened, in order, for the print at the end.
#[derive(Debug, Default)]
pub struct Record {
    /// Host calls: what was called, and what was answered.
    pub calls: Vec<(String, String)>,
    /// Log lines: level and text.
    pub log: Vec<(u8, String)>,
    /// What the plugin left in its own store.
    pub kv: BTreeMap<String, Vec<u8>>,
}

/// Answers a plugin's calls and keeps the record.
pub struct Recorder {
    /// The order of the order file.
    pub order: Option<Arc<Snapshot>>,
    /// What the installation would be granted.
    pub grants: BTreeSet<String>,
    /// Answers of the answers file.
    pub answers: Answers,
    /// Shared with the caller, since the run consumes the recorder.
    pub record: Arc<Mutex<Record>>,
}

impl Recorder {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, call: String, answer: impl Into<String>) {
        self.record().calls.push((call, answer.into()));
    }

    /// Grants and requests are checked here as the host does, so that what is wrong shows at the author's desk.
    fn answer(&mut self, interface: &str, function: &str, request: &Value) -> (Result<Value, CallError>, String) {
        if !fangshi_operations::covers(self.grants.iter().map(String::as_str), interface) {
            let refusal = format!("the grant `{interface}` is needed");
            return (Err(CallError::Denied(refusal)), "refused".to_owned());
        }
        let Some(operation) = fangshi_operations::of_call(interface, function, request) else {
            let refusal = format!("no operation {interface}.{function}");
            return (Err(CallError::Invalid(refusal)), "refused".to_owned());
        };
        let body = match operation.body(request) {
            Ok(body) => body,
            Err(wrong) => return (Err(CallError::Invalid(wrong)), "refused".to_owned()),
        };
        if let Some(grant) = not_approved(self.grants.iter().map(String::as_str), operation, request) {
            let refusal = format!("the grant `{grant}` is needed");
            return (Err(CallError::Denied(refusal)), "refused".to_owned());
        }
        let call = match is_outside(operation) {
            true => format!("would send {}", request["method"].as_str().unwrap_or_default()),
            false => format!("would call POST {} {body}", operation.path),
        };
        let name = format!("{interface}.{function}");
        // What the platform says at least. Where the contract reads more of it than that it is done, nothing is made up.
        let bare = || serde_json::json!({"errcode": 0, "errmsg": "ok"});
        match self.answers.take(&name) {
            Some(answer) => (answer, format!("{call} → the answers file:")),
            None if operation.effect && operation.answer(bare()) == Ok(Value::Null) => {
                (Ok(Value::Null), format!("{call} → ok"))
            }
            None => {
                let refusal = format!("offline: no answer for {name}, give one with --answers");
                (Err(CallError::Unavailable(refusal)), format!("{call} →"))
            }
        }
    }
}

#[async_trait]
impl RunHost for Recorder {
    async fn operation(&mut self, interface: &str, function: &str, request: Value) -> Result<Value, CallError> {
        let (answer, how) = self.answer(interface, function, &request);
        let shown = match &answer {
            Ok(Value::Null) => how,
            Ok(answer) => format!("{how} {answer}"),
            Err(refusal) => format!("{how} {refusal}"),
        };
        self.note(format!("{interface}.{function} {request}"), shown);
        answer
    }

    async fn read_order(&mut self, order_id: &str) -> Result<Arc<Snapshot>, CallError> {
        let call = format!("orders.get {order_id}");
        if let Some(order) = self.order.clone().filter(|order| order.order_id == order_id) {
            self.note(call, "the order of the order file");
            return Ok(order);
        }
        self.note(call, "not found: no order file holds it");
        Err(CallError::NotFound(format!("order {order_id}")))
    }

    async fn kv_get(&mut self, key: &str) -> Result<Option<Vec<u8>>, CallError> {
        let value = self.record().kv.get(key).cloned();
        let shown = match &value {
            Some(value) => format!("{} bytes", value.len()),
            None => "none".to_owned(),
        };
        self.note(format!("kv.get {key:?}"), shown);
        Ok(value)
    }

    async fn kv_set(&mut self, key: &str, value: Option<Vec<u8>>) -> Result<(), CallError> {
        let shown = match &value {
            Some(value) => format!("kept {} bytes", value.len()),
            None => "removed".to_owned(),
        };
        self.note(format!("kv.set {key:?}"), shown);
        match value {
            Some(value) => self.record().kv.insert(key.to_owned(), value),
            None => self.record().kv.remove(key),
        };
        Ok(())
    }

    fn log(&mut self, level: u8, text: &str) {
        self.record().log.push((level, text.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn recorder() -> Recorder {
        let order = Snapshot { order_id: "37".to_owned(), json: json!({}), digest: [0; 32] };
        Recorder {
            order: Some(Arc::new(order)),
            grants: ["notes", "real-number", "virtual-number", "http:a.example"].map(str::to_owned).into(),
            answers: Answers::default(),
            record: Arc::default(),
        }
    }

    #[test]
    fn an_outside_host_is_checked_as_by_the_host_and_nothing_is_sent() {
        let to = |method: &str, url: &str| json!({"method": method, "url": url, "headers": [], "body": ""});
        for method in ["GET", "POST"] {
            let (answer, how) = recorder().answer("http", "send", &to(method, "https://a.example/x"));
            let Err(CallError::Unavailable(text)) = answer else { panic!("{method} was made up: {answer:?}") };
            assert!(text.contains("http.send") && text.contains("--answers"), "{text}");
            assert_eq!(how, format!("would send {method} →"));
        }
        let (answer, _) = recorder().answer("http", "send", &to("GET", "https://b.example/"));
        assert_eq!(answer, Err(CallError::Denied("the grant `http:b.example` is needed".into())));
        let (answer, _) = recorder().answer("http", "send", &to("GET", "http://a.example/"));
        assert!(matches!(answer, Err(CallError::Invalid(_))), "{answer:?}");
        let mut told = recorder();
        let answer = json!({"status": 200, "body": "{}"});
        told.answers = Answers::new([("http.send".to_owned(), answer)].into()).unwrap();
        let (answer, _) = told.answer("http", "send", &to("POST", "https://a.example/"));
        assert_eq!(answer, Ok(json!({"status": 200, "body": "{}"})));
    }

    #[test]
    fn an_effect_is_answered_ok_only_if_its_answer_says_no_more() {
        let note = json!({"order_id": "37", "merchant_notes": "packed"});
        let (answer, how) = recorder().answer("notes", "set-merchant-notes", &note);
        assert_eq!(answer, Ok(Value::Null));
        assert!(how.starts_with("would call POST") && how.ends_with("→ ok"), "{how}");
        let apply = json!({"order_id": "37", "apply_type": 1, "apply_reason": "x", "pic_media_ids": ["m"]});
        let delay = json!({"order_id": "37", "has_delay_times": 0});
        for (interface, function, request) in [("real-number", "apply", apply), ("virtual-number", "delay", delay)] {
            let (answer, how) = recorder().answer(interface, function, &request);
            let Err(CallError::Unavailable(text)) = answer else {
                panic!("{interface}.{function} was made up: {answer:?}")
            };
            assert!(text.contains(&format!("{interface}.{function}")) && text.contains("--answers"), "{text}");
            assert!(how.starts_with("would call POST") && !how.ends_with("ok"), "{how}");
        }
    }
}
