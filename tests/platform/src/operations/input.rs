//! Members of a request: 40097 if one is missing or out of range, 47001 if it has the wrong type.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::refusal::Refusal;

/// Largest page of every list.
pub(crate) const LARGEST_PAGE: usize = 100;

/// A request's object.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a>(pub &'a Map<String, Value>);

impl<'a> Input<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// An id: a text of digits, or (as some pages say) a whole number. Never a float.
    pub(crate) fn id(&self, name: &str) -> Result<String, Refusal> {
        match self.get(name) {
            None => Err(Refusal::argument(format!("{name} is missing"))),
            Some(Value::String(text)) if text.is_empty() => Err(Refusal::argument(format!("{name} is empty"))),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Number(number)) if number.is_u64() => Ok(number.to_string()),
            Some(_) => Err(Refusal::malformed(format!("{name} must be a text"))),
        }
    }

    /// `order_id` or `present_order_id` as it stands, for the ledger.
    pub(crate) fn order_id(&self) -> Option<String> {
        self.id("order_id").or_else(|_| self.id("present_order_id")).ok()
    }

    /// A text; may be empty, must be there.
    pub(crate) fn text(&self, name: &str) -> Result<&'a str, Refusal> {
        self.opt_text(name)?.ok_or_else(|| Refusal::argument(format!("{name} is missing")))
    }

    /// A text that is there and not empty.
    pub(crate) fn full_text(&self, name: &str) -> Result<&'a str, Refusal> {
        match self.text(name)? {
            "" => Err(Refusal::argument(format!("{name} is empty"))),
            text => Ok(text),
        }
    }

    pub(crate) fn opt_text(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or_else(|| Refusal::malformed(format!("{name} must be a text"))),
        }
    }

    pub(crate) fn number(&self, name: &str) -> Result<i64, Refusal> {
        self.opt_number(name)?.ok_or_else(|| Refusal::argument(format!("{name} is missing")))
    }

    pub(crate) fn opt_number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => {
                value.as_i64().map(Some).ok_or_else(|| Refusal::malformed(format!("{name} must be a whole number")))
            }
        }
    }

    pub(crate) fn opt_bool(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => {
                value.as_bool().map(Some).ok_or_else(|| Refusal::malformed(format!("{name} must be a bool")))
            }
        }
    }

    pub(crate) fn opt_object(&self, name: &str) -> Result<Option<Input<'a>>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Input(members))),
            Some(_) => Err(Refusal::malformed(format!("{name} must be an object"))),
        }
    }

    /// A member of a known shape.
    pub(crate) fn shaped<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => serde_json::from_value(value.clone())
                .map(Some)
                .map_err(|e| Refusal::malformed(format!("{name} is malformed: {e}"))),
        }
    }

    /// `page_size`, 1 to 100.
    pub(crate) fn page_size(&self) -> Result<usize, Refusal> {
        let size = usize::try_from(self.number("page_size")?).unwrap_or(0);
        if (1..=LARGEST_PAGE).contains(&size) { Ok(size) } else { Err(Refusal::argument("page_size must be 1 to 100")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_id_is_a_text_or_a_whole_number() {
        let value = json!({"a": "3705115058471208928", "b": 3705115058471208928_u64, "c": 3.7e18, "d": "", "e": null});
        let input = Input(value.as_object().unwrap());
        assert_eq!(input.id("a").unwrap(), "3705115058471208928");
        assert_eq!(input.id("b").unwrap(), "3705115058471208928");
        assert_eq!(input.id("c").unwrap_err().code, 47001);
        assert_eq!(input.id("d").unwrap_err().code, 40097);
        assert_eq!(input.id("e").unwrap_err().code, 40097);
    }
}
