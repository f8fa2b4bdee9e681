//! Answers files: what operations answer in an offline run.
//!
//! `{"decode.sensitive-info": {…answer…}, "search.list-orders": [{…first…}, {…second…}]}`: an operation's name to its
//! answer in the contract's names, or to a list of answers, of which the last one is repeated. Where the answer itself is a
//! list, answers are always given as a list of them: `{"sku-decision.waiting": [["37…"]]}`. An answer
//! `{"error": {"kind": "conflict", "detail": "…"}}` is a refusal. An outside host answers as `http.send`:
//! `{"http.send": {"status": 200, "headers": [{"name": "…", "value": "…"}], "body": "…"}}`, `body_base64` for bytes.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use fangshi_runtime::CallError;
use serde::Deserialize;
use serde_json::Value;

/// Answers by operation, and how many of each were taken.
#[derive(Debug, Default)]
pub struct Answers {
    lists: BTreeMap<String, Vec<Value>>,
    taken: BTreeMap<String, usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    error: CallError,
}

impl Answers {
    /// Reads an answers file.
    pub fn read(file: &Path) -> anyhow::Result<Answers> {
        let bytes = std::fs::read(file).with_context(|| format!("answers file {}", file.display()))?;
        let by_name: BTreeMap<String, Value> = serde_json::from_slice(&bytes).with_context(|| {
            format!(
                "answers file {}: expected a JSON object of operation (interface.function) to answer",
                file.display()
            )
        })?;
        Answers::new(by_name).with_context(|| format!("answers file {}", file.display()))
    }

    pub(super) fn new(by_name: BTreeMap<String, Value>) -> anyhow::Result<Answers> {
        let mut lists = BTreeMap::new();
        for (name, answer) in by_name {
            let list = match answer {
                Value::Array(list) => list,
                single => vec![single],
            };
            // One list would be read as answers one after another: whoever forgot the outer one is told.
            if gives_list(&name)
                && (list.is_empty() || !list.iter().all(|answer| answer.is_array() || refusal_of(answer).is_some()))
            {
                bail!("{name} answers a list: give a list of its answers, such as [[…]], or [[]] for an empty one");
            }
            lists.insert(name, list);
        }
        Ok(Answers { lists, taken: BTreeMap::new() })
    }

    /// Names that are no operation of the contract, to tell of a typing error.
    pub fn unknown(&self, known: impl Fn(&str, &str) -> bool) -> Vec<&str> {
        let names = self.lists.keys().map(String::as_str);
        names
            .filter(|name| !name.split_once('.').is_some_and(|(interface, function)| known(interface, function)))
            .collect()
    }

    /// The next answer for an operation, or `None` if the file has none for it.
    pub fn take(&mut self, name: &str) -> Option<Result<Value, CallError>> {
        let list = self.lists.get(name)?;
        let taken = self.taken.entry(name.to_owned()).or_default();
        let answer = list.get(*taken).or_else(|| list.last())?.clone();
        *taken += 1;
        Some(refusal_of(&answer).map_or(Ok(answer), Err))
    }
}

/// Whether the answer of an operation, named as in the file, is a list.
fn gives_list(name: &str) -> bool {
    let functions = fangshi_runtime::contract_functions();
    functions.iter().any(|one| one.gives_list && name == format!("{}.{}", one.interface, one.function))
}

fn refusal_of(answer: &Value) -> Option<CallError> {
    Refused::deserialize(answer).ok().map(|refused| refused.error)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_taken_in_order_and_the_last_is_repeated() {
        let by_name = json!({
            "search.list-orders": [{"has_more": true}, {"has_more": false}],
            "notes.set-merchant-notes": {"error": {"kind": "conflict", "detail": "closed"}},
        });
        let mut answers = Answers::new(serde_json::from_value(by_name).unwrap()).unwrap();
        for expected in [true, false, false] {
            let answer = answers.take("search.list-orders").unwrap().unwrap();
            assert_eq!(answer["has_more"], expected);
        }
        let refusal = answers.take("notes.set-merchant-notes").unwrap().unwrap_err();
        assert_eq!(refusal, CallError::Conflict("closed".to_owned()));
        assert!(answers.take("price.change").is_none());
        assert_eq!(answers.unknown(|interface, _| interface == "notes"), ["search.list-orders"]);
    }

    #[test]
    fn an_answer_that_is_a_list_stands_in_a_list_of_answers() {
        let read = |answer: Value| Answers::new(BTreeMap::from([("sku-decision.waiting".to_owned(), answer)]));
        let mut answers = read(json!([["37"], []])).unwrap();
        for expected in [json!(["37"]), json!([]), json!([])] {
            assert_eq!(answers.take("sku-decision.waiting"), Some(Ok(expected)));
        }
        assert!(read(json!({"error": {"kind": "unavailable", "detail": "busy"}})).is_ok());
        for bare in [json!(["37"]), json!([]), json!("37"), json!([{"order_id": "37"}])] {
            let refused = read(bare.clone()).unwrap_err().to_string();
            assert!(
                refused.contains("sku-decision.waiting answers a list") && refused.contains("[[…]]"),
                "{bare}: {refused}"
            );
        }
    }
}
