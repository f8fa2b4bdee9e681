//! One message in the spellings that the wire may have.

use serde_json::{Map, Value};

/// XML or JSON, with numbers or strings. In XML the two differ by CDATA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    JsonNumbers,
    JsonStrings,
    XmlPlain,
    XmlCdata,
}

pub const SPELLINGS: [Spelling; 4] =
    [Spelling::JsonNumbers, Spelling::JsonStrings, Spelling::XmlPlain, Spelling::XmlCdata];

pub fn spell(message: &Value, spelling: Spelling) -> String {
    match spelling {
        Spelling::JsonNumbers => json(message, &|text| text.parse::<u64>().map_or(Value::from(text), Value::from)),
        Spelling::JsonStrings => json(message, &|text| Value::from(text)),
        Spelling::XmlPlain => xml("xml", message, &|text| text.replace('&', "&amp;").replace('<', "&lt;")),
        Spelling::XmlCdata => xml("xml", message, &|text| format!("<![CDATA[{text}]]>")),
    }
}

fn json(message: &Value, scalar: &dyn Fn(&str) -> Value) -> String {
    fn turned(value: &Value, scalar: &dyn Fn(&str) -> Value) -> Value {
        match value {
            Value::Object(members) => {
                let members = members.iter().map(|(name, value)| (name.clone(), turned(value, scalar)));
                Value::Object(members.collect::<Map<_, _>>())
            }
            Value::String(text) => scalar(text),
            other => scalar(&other.to_string()),
        }
    }
    turned(message, scalar).to_string()
}

fn xml(name: &str, value: &Value, scalar: &dyn Fn(&str) -> String) -> String {
    let inner = match value {
        // Backwards, so that no spelling relies on the order of members.
        Value::Object(members) => {
            members.iter().rev().map(|(name, value)| xml(name, value, scalar)).collect::<Vec<_>>().join("\n")
        }
        Value::String(text) => scalar(text),
        other => scalar(&other.to_string()),
    };
    format!("<{name}>{inner}</{name}>")
}

/// Every form of every event in the fixture, as (name, message).
pub fn order_events() -> Vec<(String, Value)> {
    let file: Value =
        serde_json::from_str(include_str!("../../../../tests/platform/fixtures/order-events.json")).unwrap();
    let mut forms = Vec::new();
    for event in file["events"].as_array().unwrap() {
        let members = event.as_object().unwrap();
        for (form, message) in members.iter().filter(|(name, _)| *name != "name") {
            forms.push((format!("{} {form}", event["name"].as_str().unwrap()), message.clone()));
        }
    }
    forms
}
