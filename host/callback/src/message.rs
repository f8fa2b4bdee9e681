//! What a decrypted message says: the few members that bind it, place it and name it (platform page 3).

use crate::node::{DEPTH, Malformed, Node};

/// The eight order events of the guide. All of them must name their order.
pub const ORDER_EVENTS: [&str; 8] = [
    "channels_ec_order_new",
    "channels_ec_order_cancel",
    "channels_ec_order_pay",
    "channels_ec_order_wait_shipping",
    "channels_ec_order_deliver",
    "channels_ec_order_confirm",
    "channels_ec_order_settle",
    EXT_INFO_UPDATE,
];

const EXT_INFO_UPDATE: &str = "channels_ec_order_ext_info_update";

/// Beyond this an event's name is no name; it becomes an indexed column.
const LONGEST_NAME: usize = 128;

/// A message that was read; borrows from its bytes.
#[derive(Debug)]
pub struct Message<'a> {
    root: Node<'a>,
}

/// What the journal needs to know of a message; borrows from it.
#[derive(Debug, PartialEq, Eq)]
pub struct Facts<'m> {
    /// `Event`; for a message without one, its `MsgType`.
    pub event: &'m str,
    /// `CreateTime`, unix seconds.
    pub created_at: i64,
    /// Plain digits, or empty for an event without an order: no order event, and nothing there that names one.
    pub order_id: &'m str,
    /// `order_info.type` of `channels_ec_order_ext_info_update`; unknown values pass.
    pub ext_type: Option<i64>,
}

/// Why a message can't be an event. Carries nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Neither XML nor JSON, or beyond what is accepted of them.
    #[error("the message can't be read: {0}")]
    Malformed(#[from] Malformed),
    /// A member that is needed is absent, empty, or no scalar.
    #[error("the message has no {0}")]
    Missing(&'static str),
    /// `CreateTime` is no unix time in plain digits.
    #[error("CreateTime is not unix seconds in plain digits")]
    CreateTime,
    /// `Event` is longer than 128 bytes or holds control characters.
    #[error("the event's name is no name")]
    Name,
    /// `order_info.order_id` of an order event is no u64 in plain digits. A number with a sign, a fraction or an exponent has been
    /// through a float on its way here and may name another order.
    #[error("order_id is not an unsigned 64-bit number in plain digits")]
    OrderId,
}

impl<'a> Message<'a> {
    /// Reads the decrypted bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Node::parse(bytes, DEPTH).map(|root| Self { root })
    }

    /// The whole tree.
    pub fn root(&self) -> &Node<'a> {
        &self.root
    }

    /// A scalar of the top level; empty counts as absent.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.root.text(name)
    }

    /// `order_info`, if it is an object.
    pub fn order_info(&self) -> Option<&Node<'a>> {
        self.root.get("order_info").filter(|node| matches!(node, Node::Object(_)))
    }

    /// `CreateTime`, unix seconds.
    pub fn created_at(&self) -> Result<i64, MessageError> {
        let text = self.text("CreateTime").ok_or(MessageError::Missing("CreateTime"))?;
        plain_number(text).and_then(|seconds| i64::try_from(seconds).ok()).ok_or(MessageError::CreateTime)
    }

    /// Reads what an event must say. Unknown events and unknown members pass; only what would be misread is refused.
    pub fn facts(&self) -> Result<Facts<'_>, MessageError> {
        let event = match self.text("Event").or_else(|| self.text("MsgType")) {
            Some(name) => checked_name(name)?,
            None => return Err(MessageError::Missing("Event")),
        };
        let created_at = self.created_at()?;
        let of_an_order = ORDER_EVENTS.contains(&event);
        let order_id = match self.order_info().and_then(|info| info.get("order_id")) {
            Some(Node::Scalar(text)) if text.is_empty() => "",
            Some(Node::Scalar(text)) if plain_number(text).is_some_and(|id| id > 0) => text,
            Some(_) if of_an_order => return Err(MessageError::OrderId),
            // Of another event nobody knows what its ids are. It is kept; nothing is done to an order because of it.
            Some(_) | None => "",
        };
        if order_id.is_empty() && of_an_order {
            return Err(MessageError::Missing("order_info.order_id"));
        }
        let ext_type = match self.order_info() {
            Some(info) if event == EXT_INFO_UPDATE => info.text("type").and_then(|text| text.parse().ok()),
            _ => None,
        };
        Ok(Facts { event, created_at, order_id, ext_type })
    }
}

/// An event's name is stored and indexed in the clear, and logged.
pub(crate) fn checked_name(name: &str) -> Result<&str, MessageError> {
    if name.len() <= LONGEST_NAME && !name.chars().any(char::is_control) { Ok(name) } else { Err(MessageError::Name) }
}

/// Digits alone, no leading zero: one number, one text.
fn plain_number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(json: &str) -> Result<(String, i64, String, Option<i64>), MessageError> {
        let message = Message::parse(json.as_bytes())?;
        message
            .facts()
            .map(|facts| (facts.event.to_owned(), facts.created_at, facts.order_id.to_owned(), facts.ext_type))
    }

    #[test]
    fn unknown_events_and_types_pass() {
        let known = "channels_ec_order_ext_info_update";
        for (kind, ext) in
            [("24", Some(24)), ("\"5\"", Some(5)), ("-3", Some(-3)), ("\"x\"", None), ("1.5", None), ("[]", None)]
        {
            let json = format!(r#"{{"CreateTime":1,"Event":"{known}","order_info":{{"order_id":7,"type":{kind}}}}}"#);
            assert_eq!(facts(&json), Ok((known.to_owned(), 1, "7".to_owned(), ext)), "{kind}");
        }
        assert_eq!(
            facts(r#"{"CreateTime":"2","Event":"new_thing"}"#),
            Ok(("new_thing".to_owned(), 2, String::new(), None))
        );
        assert_eq!(facts(r#"{"CreateTime":3,"MsgType":"text"}"#), Ok(("text".to_owned(), 3, String::new(), None)));
    }

    #[test]
    fn order_ids_are_u64_in_plain_digits() {
        let with = |id: &str| {
            facts(&format!(r#"{{"CreateTime":1,"Event":"channels_ec_order_new","order_info":{{"order_id":{id}}}}}"#))
                .map(|facts| facts.2)
        };
        assert_eq!(with("3705115058471208928"), Ok("3705115058471208928".to_owned()));
        assert_eq!(with("\"18446744073709551615\""), Ok("18446744073709551615".to_owned()));
        for bad in [
            "18446744073709551616",
            "1e18",
            "-1",
            "-0",
            "0",
            "1.0",
            "\"01\"",
            "\" 1\"",
            "\"+1\"",
            "\"x\"",
            "true",
            "[7]",
            "{}",
        ] {
            assert_eq!(with(bad), Err(MessageError::OrderId), "{bad}");
        }
        for odd in ["1e18", "\"01\"", "\"after-sale-7\"", "[7]", "{}", "null"] {
            let json = format!(r#"{{"CreateTime":1,"Event":"new_thing","order_info":{{"order_id":{odd}}}}}"#);
            assert_eq!(facts(&json), Ok(("new_thing".to_owned(), 1, String::new(), None)), "{odd}");
        }
        for absent in ["null", "\"\""] {
            assert_eq!(with(absent), Err(MessageError::Missing("order_info.order_id")), "{absent}");
        }
    }
}
