//! Reading a request of the contract: every refusal names the member and what is expected.
//!
//! Lengths are bounds of the host where the platform publishes none; they are far above what an order needs.

use serde_json::{Map, Value};

/// Bound of an id, characters.
pub(crate) const ID: usize = 64;
/// Bound of a name, a title, a code, characters.
pub(crate) const NAME: usize = 256;
/// Bound of a note or a reason, characters.
pub(crate) const NOTE: usize = 2_000;
/// Bound of a list, items.
pub(crate) const LIST: usize = 500;

/// The members of one object of a request.
pub(crate) struct Members<'a> {
    map: &'a Map<String, Value>,
    /// Where it lies, for messages: "" or `delivery_list[0].`
    at: String,
}

impl<'a> Members<'a> {
    pub(crate) fn of(request: &'a Value) -> Result<Members<'a>, String> {
        match request {
            Value::Object(map) => Ok(Members { map, at: String::new() }),
            _ => Err("the request must be an object".to_owned()),
        }
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A refusal that names a member.
    pub(crate) fn wrong(&self, name: &str, expected: &str) -> String {
        format!("{}{name}: expected {expected}", self.at)
    }

    /// Text that may be absent or empty.
    pub(crate) fn maybe(&self, name: &str, most: usize) -> Result<&'a str, String> {
        match self.get(name) {
            None => Ok(""),
            Some(Value::String(text)) if text.chars().count() <= most => Ok(text),
            Some(Value::String(_)) => Err(self.wrong(name, &format!("at most {most} characters"))),
            Some(_) => Err(self.wrong(name, "text")),
        }
    }

    /// Text that must be there and may be empty: where an empty one is a wish of its own.
    pub(crate) fn given(&self, name: &str, most: usize) -> Result<&'a str, String> {
        match self.get(name) {
            None => Err(self.wrong(name, "text, which may be empty but must be there")),
            Some(_) => self.maybe(name, most),
        }
    }

    /// Text that must be there and not be empty.
    pub(crate) fn text(&self, name: &str, most: usize) -> Result<&'a str, String> {
        match self.maybe(name, most)? {
            "" => Err(self.wrong(name, "text that is not empty")),
            text => Ok(text),
        }
    }

    /// An order's id: decimal digits.
    pub(crate) fn order_id(&self, name: &str) -> Result<&'a str, String> {
        let id = self.text(name, ID)?;
        if id.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(id)
        } else {
            Err(self.wrong(name, "an order's id, decimal digits as text"))
        }
    }

    /// Another id: visible ASCII.
    pub(crate) fn id(&self, name: &str) -> Result<&'a str, String> {
        let id = self.text(name, ID)?;
        if id.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(id)
        } else {
            Err(self.wrong(name, "an id of visible ASCII characters"))
        }
    }

    /// A phone number: digits, perhaps with a plus or hyphens.
    pub(crate) fn phone(&self, name: &str) -> Result<&'a str, String> {
        let number = self.text(name, 32)?;
        let digits = number.bytes().filter(u8::is_ascii_digit).count();
        if digits >= 5 && number.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-')) {
            Ok(number)
        } else {
            Err(self.wrong(name, "a phone number"))
        }
    }

    /// A whole number within these bounds, both included.
    pub(crate) fn number(&self, name: &str, from: i64, to: i64) -> Result<i64, String> {
        let expected = || match to {
            i64::MAX => self.wrong(name, &format!("a whole number from {from}")),
            to => self.wrong(name, &format!("a whole number from {from} to {to}")),
        };
        let number = self.get(name).and_then(Value::as_i64).ok_or_else(expected)?;
        if (from..=to).contains(&number) { Ok(number) } else { Err(expected()) }
    }

    /// A whole number that may be absent.
    pub(crate) fn maybe_number(&self, name: &str, from: i64, to: i64) -> Result<Option<i64>, String> {
        self.get(name).map(|_| self.number(name, from, to)).transpose()
    }

    /// A yes or no that may be absent.
    pub(crate) fn maybe_bool(&self, name: &str) -> Result<Option<bool>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(yes)) => Ok(Some(*yes)),
            Some(_) => Err(self.wrong(name, "true or false")),
        }
    }

    /// An object that may be absent.
    pub(crate) fn maybe_object(&self, name: &str) -> Result<Option<Members<'a>>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Members { map, at: format!("{}{name}.", self.at) })),
            Some(_) => Err(self.wrong(name, "an object")),
        }
    }

    /// An object that must be there.
    pub(crate) fn object(&self, name: &str) -> Result<Members<'a>, String> {
        self.maybe_object(name)?.ok_or_else(|| self.wrong(name, "an object"))
    }

    /// A list of objects; absent counts as empty.
    pub(crate) fn objects(&self, name: &str) -> Result<Vec<Members<'a>>, String> {
        self.items(name)?
            .iter()
            .enumerate()
            .map(|(index, item)| match item {
                Value::Object(map) => Ok(Members { map, at: format!("{}{name}[{index}].", self.at) }),
                _ => Err(self.wrong(&format!("{name}[{index}]"), "an object")),
            })
            .collect()
    }

    /// A list of texts; absent counts as empty.
    pub(crate) fn texts(&self, name: &str, most: usize) -> Result<Vec<&'a str>, String> {
        self.items(name)?
            .iter()
            .enumerate()
            .map(|(index, item)| match item.as_str() {
                Some(text) if !text.is_empty() && text.chars().count() <= most => Ok(text),
                _ => Err(self.wrong(&format!("{name}[{index}]"), &format!("text of 1 to {most} characters"))),
            })
            .collect()
    }

    fn items(&self, name: &str) -> Result<&'a [Value], String> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) if items.len() <= LIST => Ok(items),
            Some(_) => Err(self.wrong(name, &format!("a list of at most {LIST} items"))),
        }
    }
}

/// A body that is put together member by member.
#[derive(Default)]
pub(crate) struct Body(Map<String, Value>);

impl Body {
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Body {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves out empty text.
    pub(crate) fn with_text(self, name: &str, text: &str) -> Body {
        if text.is_empty() { self } else { self.with(name, text) }
    }

    /// Leaves out what is none.
    pub(crate) fn with_some<T: Into<Value>>(self, name: &str, value: Option<T>) -> Body {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(crate) fn done(self) -> Value {
        Value::Object(self.0)
    }
}

/// The request `{order_id}` that many operations have.
pub(crate) fn only_order_id(request: &Value) -> Result<Value, String> {
    let members = Members::of(request)?;
    Ok(Body::default().with("order_id", members.order_id("order_id")?).done())
}
