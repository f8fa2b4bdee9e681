//! JSON becomes component values, leniently: the platform sends numbers as text, ids as numbers, and leaves members out.
//!
//! The rule: what is absent, null or empty is the empty value of its type; what can be read without loss is read; the
//! rest is a [`Mismatch`]. Integers never pass through a float, and a float that may have lost digits is refused.

use serde_json::{Number, Value};
use wasmtime::component::Val;

use super::{ELEMENT_BYTES, Mismatch};
use crate::contract::{Field, Int, Shape};

/// A value together with the element of the outer list it was found in.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub own: Option<&'a Value>,
    pub outer: Option<&'a Value>,
}

impl<'a> View<'a> {
    pub fn of(own: Option<&'a Value>) -> Self {
        View { own, outer: None }
    }

    /// The first place that says anything; the platform leaves an older or a newer one empty. Where none does, the first
    /// that is there: an empty note is one.
    fn find(self, field: &Field) -> Option<&'a Value> {
        let mut found = field.places.iter().filter_map(|place| {
            let start = if place.outer { self.outer } else { self.own };
            let found = place.path.iter().try_fold(start?, |value, step| value.get(step.as_str()));
            found.filter(|value| !value.is_null())
        });
        let empty = |value: &Value| is_void(value) || (field.shape == Shape::Text && is_no_id(value));
        let first = found.next()?;
        if !empty(first) {
            return Some(first);
        }
        Some(found.find(|value| !empty(value)).unwrap_or(first))
    }
}

/// Integers up to here are exact in a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads a value of the given shape. Adds the bytes of its content to `bytes`.
pub(crate) fn from_json(view: View<'_>, shape: &Shape, bytes: &mut u64) -> Result<Val, Mismatch> {
    let value = view.own.filter(|value| !value.is_null());
    Ok(match shape {
        Shape::Option(inner) => match value.filter(|value| !is_void(value) || holds_void(inner)) {
            None => Val::Option(None),
            Some(_) => Val::Option(Some(Box::new(from_json(view, inner, bytes)?))),
        },
        Shape::List(inner) => {
            let mut list = Vec::new();
            for (index, element) in elements(value)?.iter().enumerate() {
                *bytes += ELEMENT_BYTES;
                let view = View { own: Some(element), outer: view.own };
                list.push(from_json(view, inner, bytes).map_err(|error| error.under(index.to_string()))?);
            }
            Val::List(list)
        }
        Shape::Bytes => {
            let elements = elements(value)?;
            *bytes += elements.len() as u64;
            let list = elements.iter().map(|element| int(Some(element), Int::U8));
            Val::List(list.collect::<Result<_, _>>()?)
        }
        Shape::Record(fields) => {
            if let Some(value) = value.filter(|value| !value.is_object() && !is_void(value)) {
                return Err(Mismatch::new("an object", kind(value)));
            }
            let mut record = Vec::with_capacity(fields.len());
            for field in fields {
                let view = View { own: view.find(field), outer: view.own };
                let value = from_json(view, &field.shape, bytes).map_err(|error| error.under(&field.json))?;
                record.push((field.wit.clone(), value));
            }
            Val::Record(record)
        }
        Shape::Text => {
            let text = text(value)?;
            *bytes += text.len() as u64;
            Val::String(text)
        }
        Shape::Enum(cases) => {
            let text = text(value)?;
            let case = cases.iter().find(|case| **case == text || case.replace('-', "_") == text);
            Val::Enum(case.ok_or_else(|| Mismatch::new("one of the contract's cases", "another text"))?.clone())
        }
        Shape::Char => {
            let text = text(value)?;
            let mut chars = text.chars();
            match (chars.next(), chars.next()) {
                (Some(one), None) => Val::Char(one),
                _ => return Err(Mismatch::new("one character", "a text")),
            }
        }
        Shape::Bool | Shape::Int(_) | Shape::F32 | Shape::F64 => {
            *bytes += 8;
            match shape {
                Shape::Bool => Val::Bool(flag(value)?),
                Shape::Int(kind) => int(value, *kind)?,
                Shape::F32 => Val::Float32(float(value)? as f32),
                _ => Val::Float64(float(value)?),
            }
        }
        Shape::Order => return Err(Mismatch::new("JSON", "an order resource")),
    })
}

/// Shapes for which an empty text or list is a value, and not the platform's way of saying nothing.
fn holds_void(shape: &Shape) -> bool {
    matches!(shape, Shape::Text | Shape::List(_) | Shape::Bytes)
}

/// The forms in which an absent object arrives: `""`, `[]` and `{}`.
fn is_void(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// An id that is dead comes as 0. As a number or a flag, 0 is an answer.
fn is_no_id(value: &Value) -> bool {
    value.as_i64() == Some(0) || value.as_str() == Some("0")
}

fn elements(value: Option<&Value>) -> Result<&[Value], Mismatch> {
    match value {
        None => Ok(&[]),
        Some(Value::Array(elements)) => Ok(elements),
        Some(value) if is_void(value) => Ok(&[]),
        Some(value) => Err(Mismatch::new("a list", kind(value))),
    }
}

fn text(value: Option<&Value>) -> Result<String, Mismatch> {
    match value {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Bool(flag)) => Ok(flag.to_string()),
        Some(Value::Number(number)) if exact(number) => Ok(number.to_string()),
        Some(value) if is_void(value) => Ok(String::new()),
        Some(value) => Err(Mismatch::new("a text", kind(value))),
    }
}

/// Whether a number still has all the digits that were sent. A whole number beyond 64 bits is parsed as a float.
fn exact(number: &Number) -> bool {
    number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|float| float.abs() <= EXACT)
}

fn whole(value: Option<&Value>) -> Result<i128, Mismatch> {
    const WANTED: &str = "a whole number";
    match value {
        None => Ok(0),
        Some(Value::Bool(flag)) => Ok((*flag).into()),
        Some(Value::Number(number)) => {
            if let Some(n) = number.as_i64() {
                return Ok(n.into());
            }
            if let Some(n) = number.as_u64() {
                return Ok(n.into());
            }
            match number.as_f64() {
                Some(float) if float.fract() == 0.0 && float.abs() <= EXACT => Ok(float as i128),
                _ => Err(Mismatch::new(WANTED, "a fraction or a number that lost digits")),
            }
        }
        Some(Value::String(text)) => match text.trim() {
            "" => Ok(0),
            // Every scalar of a message is kept as text, so a flag arrives as one.
            flag if flag.eq_ignore_ascii_case("true") => Ok(1),
            flag if flag.eq_ignore_ascii_case("false") => Ok(0),
            number => number.parse().map_err(|_| Mismatch::new(WANTED, "a text that is none")),
        },
        Some(value) if is_void(value) => Ok(0),
        Some(value) => Err(Mismatch::new(WANTED, kind(value))),
    }
}

fn int(value: Option<&Value>, int: Int) -> Result<Val, Mismatch> {
    let n = whole(value)?;
    let val = match int {
        Int::S8 => n.try_into().map(Val::S8),
        Int::U8 => n.try_into().map(Val::U8),
        Int::S16 => n.try_into().map(Val::S16),
        Int::U16 => n.try_into().map(Val::U16),
        Int::S32 => n.try_into().map(Val::S32),
        Int::U32 => n.try_into().map(Val::U32),
        Int::S64 => n.try_into().map(Val::S64),
        Int::U64 => n.try_into().map(Val::U64),
    };
    val.map_err(|_| Mismatch::new("a number within the contract's range", "one beyond it"))
}

fn float(value: Option<&Value>) -> Result<f64, Mismatch> {
    match value {
        None => Ok(0.0),
        Some(Value::Number(number)) => number.as_f64().ok_or_else(|| Mismatch::new("a number", "another number")),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(0.0),
        Some(Value::String(text)) => text.trim().parse().map_err(|_| Mismatch::new("a number", "a text that is none")),
        Some(value) => Err(Mismatch::new("a number", kind(value))),
    }
}

fn flag(value: Option<&Value>) -> Result<bool, Mismatch> {
    whole(value).map(|n| n != 0).map_err(|error| Mismatch { wanted: "true or false", ..error })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
