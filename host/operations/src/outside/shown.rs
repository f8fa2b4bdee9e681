//! What pages and the API may show of a request and its answer: method, host and status. A plugin writes all of a request, and may
//! have read what nobody else may see: so a method is one of the known ones, a host is a name of bounded length, and how many headers
//! there were stays untold.

use serde_json::{Map, Value};

use super::host::Host;
use super::request::{LONGEST_URL, is_method};
use crate::redact::{MASK, without_opaque, without_phones};

/// Characters of a host that are shown: more than anybody's ERP has. Of a longer one the end is, which says whose it is.
pub(super) const LONGEST_HOST: usize = 64;

/// A request or an answer of `http.send`.
pub(crate) fn shown(value: &Value) -> Value {
    let Some(members) = value.as_object() else { return masked(value) };
    let mut shown = Map::new();
    for (name, member) in members {
        let member = match name.as_str() {
            "method" => method(member),
            "status" => status(member),
            "url" | "headers" | "body" | "body_base64" => masked(member),
            _ => continue,
        };
        shown.insert(name.clone(), member);
    }
    let url = members.get("url").and_then(Value::as_str).filter(|url| url.len() <= LONGEST_URL);
    let host = url.and_then(|url| Host::of_url(&reqwest::Url::parse(url).ok()?).ok());
    if let Some(host) = host {
        shown.insert("host".to_owned(), shown_host(&host.to_string()).into());
    }
    Value::Object(shown)
}

/// The grant `http:HOST` that a refusal names: its host is whatever a plugin asked for. None: the text names none.
pub(crate) fn shown_grant(text: &str) -> Option<String> {
    let host = super::host::host_of(text)?.ok()?;
    Some(format!("{}{}", super::host::GRANT, shown_host(&host)))
}

/// A host in the spelling that grants have: letters, digits, `-`, `.` and a port.
fn shown_host(host: &str) -> String {
    let host = without_phones(&without_opaque(host));
    match host.len().checked_sub(LONGEST_HOST) {
        Some(over @ 1..) => format!("…{}", host.get(over + 1..).unwrap_or(MASK)),
        _ => host,
    }
}

fn method(given: &Value) -> Value {
    match given.as_str() {
        Some(text) if is_method(text) => given.clone(),
        _ => "other".into(),
    }
}

fn status(given: &Value) -> Value {
    match given.as_u64() {
        Some(100..=999) => given.clone(),
        _ => MASK.into(),
    }
}

fn masked(value: &Value) -> Value {
    let nothing = match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    if nothing { value.clone() } else { MASK.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(method: &str, url: &str) -> Value {
        json!({"method": method, "url": url, "headers": [{"name": "x-CANARY", "value": "CANARY"}, {}], "body": "CANARY",
            "CANARY": "CANARY"})
    }

    #[test]
    fn where_it_went_and_what_came_is_shown_and_nothing_else() {
        let shown_one = shown(&request("POST", "https://a.example:8443/CANARY?key=CANARY"));
        let expected = json!({"method": "POST", "host": "a.example:8443", "url": MASK, "headers": MASK, "body": MASK});
        assert_eq!(shown_one, expected);
        let answer = json!({"status": 201, "headers": [], "body": "", "body_base64": "CANARY"});
        assert_eq!(shown(&answer), json!({"status": 201, "headers": [], "body": "", "body_base64": MASK}));
    }

    #[test]
    fn a_method_that_a_plugin_made_up_is_another() {
        for method in ["CANARY", "get", "GET CANARY", "\u{202e}TSOP", "", &"P".repeat(100_000)] {
            assert_eq!(shown(&request(method, "https://a.example/"))["method"], "other", "{method}");
        }
        assert_eq!(
            shown(&json!({"method": ["CANARY"], "status": "CANARY"})),
            json!({"method": "other", "status": MASK})
        );
        assert_eq!(shown(&json!({"status": 37_326_768_537_u64}))["status"], MASK);
    }

    #[test]
    fn a_host_carries_little_and_looks_like_nothing_else() {
        let host = |url: &str| shown(&request("GET", url)).get("host").map(|host| host.as_str().unwrap().to_owned());
        let long = format!("https://{}erp.example/", "carried.out.".repeat(19));
        let told = host(&long).unwrap();
        assert!(
            told.chars().count() == LONGEST_HOST && told.starts_with('…') && told.ends_with(".erp.example"),
            "{told}"
        );
        assert_eq!(host(&format!("https://{}.example/", "a".repeat(60))).unwrap(), format!("{MASK}.example"));
        assert_eq!(host("https://13800138000.a.example/").unwrap(), format!("{MASK}.a.example"));
        assert_eq!(host("https://例子.a.example\u{202e}/"), None);
        assert_eq!(host("https://еrp.a.example/").unwrap(), "xn--rp-mlc.a.example", "no letter looks like another");
        assert_eq!(host(&format!("https://a.example/{}", "x".repeat(LONGEST_URL))), None);
        let grant = format!("http:{}erp.example", "carried.out.".repeat(19));
        assert!(shown_grant(&grant).unwrap().chars().count() <= LONGEST_HOST + 5);
        assert_eq!(shown_grant("http:a.example:8443").unwrap(), "http:a.example:8443");
        assert_eq!(shown_grant("notes"), None);
    }
}
