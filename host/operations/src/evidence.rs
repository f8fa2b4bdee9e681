//! After a crash: was the effect applied? Judged from the order as it shows now, without any I/O.

use serde_json::Value;

use crate::operation::Operation;

mod numbers;
mod shipping;
mod values;
mod wishes;

pub(crate) use numbers::{apply_again, decode, delay, real_number};
pub(crate) use shipping::{change_all, change_some, compensate, inspection, send};
pub(crate) use values::{address_change, merchant_notes, present_note, price};
pub(crate) use wishes::{address_accept, address_reject, sku_approve, sku_reject};

/// What there is to judge an effect by.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The contract's request.
    pub request: &'a Value,
    /// The `order` object as it was before the effect, if a snapshot was kept.
    pub before: Option<&'a Value>,
    /// What the operation's [`Proof`] shows now; none if the platform has no such thing.
    pub now: Option<&'a Value>,
    /// When the intent became durable, unix seconds.
    pub intended_at: i64,
}

/// Where the evidence comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// There is none, or none is needed.
    None,
    /// getorder of the order in the request.
    Order,
    /// getorder of an order made of the gift order in the request.
    PresentOrder,
    /// Another operation of the table, with the same order.
    Operation {
        /// Its interface.
        interface: &'static str,
        /// Its function.
        function: &'static str,
    },
}

/// The judgement.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It shows: this is the contract's answer.
    Applied(Value),
    /// It was not applied, or doing it again is harmless: send it once more.
    Again,
    /// Somebody changed it since: sending it again would undo that. The plugin gets outcome-unknown.
    Changed(String),
    /// Nobody can tell. The plugin gets outcome-unknown.
    Unclear(String),
}

impl Verdict {
    fn done() -> Verdict {
        Verdict::Applied(Value::Null)
    }

    fn unclear(text: &str) -> Verdict {
        Verdict::Unclear(text.to_owned())
    }

    fn changed(text: &str) -> Verdict {
        Verdict::Changed(text.to_owned())
    }
}

/// Clocks of host and platform may differ by this, seconds.
const SKEW: i64 = 120;

impl Evidence<'_> {
    /// Whether nothing happened to the order since the intent. `update_time` grows with every change but has whole
    /// seconds, and the clocks differ: it must be what it was, and have been that for longer than the two can be apart.
    fn untouched(&self) -> bool {
        let Some(now) = self.now.and_then(|order| number(order, "/update_time")) else { return false };
        let before = self.before.and_then(|order| number(order, "/update_time"));
        before.is_none_or(|before| before == now) && now + SKEW < self.intended_at
    }

    fn untouched_or(&self, text: &str) -> Verdict {
        if self.untouched() { Verdict::Again } else { Verdict::unclear(text) }
    }

    fn before_at(&self, pointer: &str) -> Option<&Value> {
        self.before?.pointer(pointer)
    }

    fn now_at(&self, pointer: &str) -> Option<&Value> {
        self.now?.pointer(pointer)
    }
}

/// Reads are simply done again.
pub(crate) fn read(_: &Evidence<'_>) -> Verdict {
    Verdict::Again
}

/// Nothing shows whether it was done, and doing it twice does harm.
pub(crate) fn unknowable(_: &Evidence<'_>) -> Verdict {
    Verdict::unclear("nothing shows whether the platform did it")
}

/// The gift order that an order was made of; none if it is no gift.
pub fn gift_of(order: &Value) -> Option<String> {
    // Where a plugin is shown it as well. The id as a number is dead.
    let places = [
        "/order_present_info/present_order_id_str",
        "/present_order_id_str",
        "/order_present_info/present_order_id",
        "/present_order_id",
    ];
    places.iter().map(|place| text(order, place)).find(|id| !matches!(id.as_str(), "" | "0"))
}

const ADDRESS: &str = "/order_detail/delivery_info/address_info";
const REVIEW: &str = "/order_detail/delivery_info/address_under_review";

/// Members of an address that the platform shows unmasked.
const CLEAR: [&str; 5] = ["postal_code", "province_name", "city_name", "county_name", "house_number"];

fn same_place(one: &Value, other: &Value) -> bool {
    CLEAR.iter().all(|name| {
        let (one, other) = (text(one, &format!("/{name}")), text(other, &format!("/{name}")));
        // A platform that masks the postal code writes zeros.
        one == other
            || (*name == "postal_code" && (one.trim_matches('0').is_empty() || other.trim_matches('0').is_empty()))
    })
}

impl Operation {
    /// Where the evidence for [`Operation::judge`] comes from.
    pub fn proof(&self) -> Proof {
        self.proof
    }
}

/// Whether the platform says anything by this value; a plugin is told by the same rule.
pub fn filled(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Object(members) => members.values().any(filled),
        Value::Array(items) => items.iter().any(filled),
        Value::String(text) => !text.is_empty() && text != "0",
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_i64() != Some(0),
    }
}

fn member<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A member as text, whether it came as a number or as text.
fn text(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// A member as a whole number, whether it came as a number or as text.
fn number(value: &Value, pointer: &str) -> Option<i64> {
    match value.pointer(pointer)? {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    }
}

#[cfg(test)]
mod tests {
    use super::gift_of;
    use serde_json::json;

    #[test]
    fn an_order_tells_its_gift_in_either_place_and_others_have_none() {
        for order in [
            json!({"order_present_info": {"present_order_id_str": "37"}, "present_order_id_str": "9"}),
            json!({"order_present_info": {"present_order_id_str": ""}, "present_order_id_str": "37"}),
            json!({"order_present_info": {"present_order_id": 37}, "present_order_id": 0}),
        ] {
            assert_eq!(gift_of(&order).as_deref(), Some("37"), "{order}");
        }
        for order in [json!({"order_id": "37"}), json!({"present_order_id": 0, "present_order_id_str": ""})] {
            assert_eq!(gift_of(&order), None, "{order}");
        }
    }
}
