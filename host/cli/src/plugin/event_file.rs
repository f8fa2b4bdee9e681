//! Event files: a decrypted push as JSON or XML, or a form of the fixtures that wraps one.

use std::path::Path;

use anyhow::{Context, bail};
use fangshi_callback::{Message, canonical};
use serde_json::Value;

/// One event, as a run needs it.
#[derive(Debug)]
pub struct EventFile {
    /// The platform's Event: `channels_ec_order_pay`.
    pub event: String,
    /// As the plugin is told it: 3 schedule, 4 manual.
    pub source: u32,
    /// Decimal text; empty without an order.
    pub order_id: String,
    /// CreateTime, unix seconds.
    pub created_at: i64,
    /// The members of `order_info`, or of a tick.
    pub detail: Value,
    /// Canonical JSON of the whole message.
    pub raw: String,
}

/// The event of a tick, as the host makes it.
pub fn tick(name: &str, due_at: i64) -> EventFile {
    let at = due_at.to_string();
    let detail = serde_json::json!({"due_at": at, "name": name});
    let raw = serde_json::json!({"CreateTime": at, "Event": "fangshi_schedule", "MsgType": "event", "tick": detail});
    EventFile {
        event: "fangshi_schedule".to_owned(),
        source: 3,
        order_id: String::new(),
        created_at: due_at,
        detail,
        raw: raw.to_string(),
    }
}

/// Reads an event file. `pick` names the event if the file holds several (the fixtures' `{"events": […]}`).
pub fn read(file: &Path, pick: Option<&str>) -> anyhow::Result<EventFile> {
    let bytes = std::fs::read(file).with_context(|| format!("event file {}", file.display()))?;
    parse(&bytes, pick).with_context(|| {
        format!(
            "event file {}: expected a decrypted push (JSON or XML), or a fixture {{name, official|variant|derived}}, \
             or {{events: [fixtures]}}",
            file.display()
        )
    })
}

fn parse(bytes: &[u8], pick: Option<&str>) -> anyhow::Result<EventFile> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if first == Some(&b'<') {
        return from_push(bytes);
    }
    // RawValue keeps the digits of ids: a fixture's message is cut out as it stands and read like a push.
    let whole: Whole<'_> = serde_json::from_slice(bytes).context("not JSON")?;
    if let Some(events) = whole.events {
        return from_fixtures(&events, pick);
    }
    let fixture: Fixture<'_> = serde_json::from_slice(bytes).context("not JSON")?;
    match fixture.message() {
        Some(message) => from_push(message.get().as_bytes()),
        None => from_push(bytes),
    }
}

#[derive(serde::Deserialize)]
struct Whole<'a> {
    #[serde(borrow)]
    events: Option<Vec<Fixture<'a>>>,
}

/// One entry of the fixtures: the same event in up to three spellings.
#[derive(serde::Deserialize)]
struct Fixture<'a> {
    name: Option<String>,
    #[serde(borrow)]
    official: Option<&'a serde_json::value::RawValue>,
    #[serde(borrow)]
    variant: Option<&'a serde_json::value::RawValue>,
    #[serde(borrow)]
    derived: Option<&'a serde_json::value::RawValue>,
}

impl<'a> Fixture<'a> {
    fn message(&self) -> Option<&'a serde_json::value::RawValue> {
        self.official.or(self.variant).or(self.derived)
    }
}

fn from_fixtures(events: &[Fixture<'_>], pick: Option<&str>) -> anyhow::Result<EventFile> {
    let names: Vec<&str> = events.iter().filter_map(|event| event.name.as_deref()).collect();
    let chosen = match (pick, events) {
        (None, [only]) => Some(only),
        (None, _) => bail!("holds several events; choose one with --pick: {}", names.join(", ")),
        (Some(pick), _) => events.iter().find(|event| event.name.as_deref() == Some(pick)),
    };
    let Some(message) = chosen.and_then(Fixture::message) else {
        bail!("holds no event of that name; it has {}", names.join(", "));
    };
    from_push(message.get().as_bytes())
}

fn from_push(bytes: &[u8]) -> anyhow::Result<EventFile> {
    let message = Message::parse(bytes)?;
    let facts = message.facts()?;
    let raw = String::from_utf8(canonical(message.root())).context("not UTF-8")?;
    let whole: Value = serde_json::from_str(&raw)?;
    Ok(EventFile {
        event: facts.event.to_string(),
        source: 4,
        order_id: facts.order_id.to_string(),
        created_at: facts.created_at,
        detail: whole.get("order_info").cloned().unwrap_or_else(|| Value::Object(Default::default())),
        raw,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"ToUserName":"gh_*","FromUserName":"OPENID","CreateTime":1662480000,"MsgType":"event",
        "Event":"channels_ec_order_pay","order_info":{"order_id":3705115058471208928,"pay_time":1658509200}}"#;

    #[test]
    fn json_xml_and_fixtures_are_one_event() {
        let xml = "<xml><ToUserName>gh_*</ToUserName><FromUserName>OPENID</FromUserName>\
            <CreateTime>1662480000</CreateTime><MsgType>event</MsgType><Event>channels_ec_order_pay</Event>\
            <order_info><order_id>3705115058471208928</order_id><pay_time>1658509200</pay_time></order_info></xml>";
        let fixture = format!(r#"{{"name":"channels_ec_order_pay","variant":{JSON}}}"#);
        let fixtures = format!(r#"{{"about":"x","events":[{fixture}]}}"#);
        for text in [JSON, xml, &fixture, &fixtures] {
            let event = parse(text.as_bytes(), None).unwrap();
            assert_eq!(event.event, "channels_ec_order_pay");
            assert_eq!(event.order_id, "3705115058471208928", "digits are kept");
            assert_eq!(event.created_at, 1662480000);
            assert!(event.detail.get("pay_time").is_some());
            assert!(event.raw.contains("3705115058471208928"));
        }
    }

    #[test]
    fn several_events_need_a_pick() {
        let two = format!(r#"{{"events":[{{"name":"a","official":{JSON}}},{{"name":"b","official":{JSON}}}]}}"#);
        let error = format!("{:#}", parse(two.as_bytes(), None).unwrap_err());
        assert!(error.contains("--pick: a, b"), "{error}");
        assert!(parse(two.as_bytes(), Some("b")).is_ok());
        assert!(parse(two.as_bytes(), Some("c")).is_err());
        assert!(parse(b"{}", None).is_err());
        assert!(parse(b"", None).is_err());
    }
}
