//! A guest's arguments become JSON.

use serde_json::{Map, Value};
use wasmtime::component::Val;

use super::{ELEMENT_BYTES, Mismatch};
use crate::contract::Shape;

/// Converts an argument; `None` is an option that is none. Adds the bytes of its content to `bytes`.
///
/// A mismatch here means that the component's type differs from the contract, which inspection rules out.
pub(crate) fn to_json(val: &Val, shape: &Shape, bytes: &mut u64) -> Result<Option<Value>, Mismatch> {
    Ok(Some(match (val, shape) {
        (Val::Option(None), Shape::Option(_)) => return Ok(None),
        (Val::Option(Some(inner)), Shape::Option(shape)) => return to_json(inner, shape, bytes),
        (Val::String(text), Shape::Text) => {
            *bytes += text.len() as u64;
            Value::String(text.clone())
        }
        (Val::List(elements), Shape::Bytes) => {
            *bytes += elements.len() as u64;
            elements.iter().map(scalar).collect::<Option<Vec<_>>>().map(Value::Array).ok_or_else(|| wrong(val))?
        }
        (Val::List(elements), Shape::List(shape)) => {
            let mut array = Vec::with_capacity(elements.len());
            for element in elements {
                *bytes += ELEMENT_BYTES;
                array.push(to_json(element, shape, bytes)?.unwrap_or(Value::Null));
            }
            Value::Array(array)
        }
        (Val::Record(values), Shape::Record(fields)) if values.len() == fields.len() => {
            let mut object = Map::with_capacity(fields.len());
            for ((_, value), field) in values.iter().zip(fields) {
                if let Some(value) = to_json(value, &field.shape, bytes).map_err(|error| error.under(&field.json))? {
                    object.insert(field.json.clone(), value);
                }
            }
            Value::Object(object)
        }
        (Val::Enum(case), Shape::Enum(_)) => {
            *bytes += 8;
            Value::String(case.replace('-', "_"))
        }
        (_, Shape::Bool | Shape::Int(_) | Shape::F32 | Shape::F64 | Shape::Char) => {
            *bytes += 8;
            scalar(val).ok_or_else(|| wrong(val))?
        }
        _ => return Err(wrong(val)),
    }))
}

fn scalar(val: &Val) -> Option<Value> {
    Some(match *val {
        Val::Bool(flag) => Value::Bool(flag),
        Val::S8(n) => n.into(),
        Val::U8(n) => n.into(),
        Val::S16(n) => n.into(),
        Val::U16(n) => n.into(),
        Val::S32(n) => n.into(),
        Val::U32(n) => n.into(),
        Val::S64(n) => n.into(),
        Val::U64(n) => n.into(),
        // JSON has no NaN or infinity: null, which reads back as 0.
        Val::Float32(n) => serde_json::Number::from_f64(n.into()).map_or(Value::Null, Value::Number),
        Val::Float64(n) => serde_json::Number::from_f64(n).map_or(Value::Null, Value::Number),
        Val::Char(c) => Value::String(c.into()),
        _ => return None,
    })
}

fn wrong(val: &Val) -> Mismatch {
    let found = match val {
        Val::Resource(_) => "a resource",
        Val::Variant(..) | Val::Result(_) => "a variant",
        Val::List(_) => "a list",
        Val::Record(_) => "a record",
        _ => "another value",
    };
    Mismatch::new("the contract's type", found)
}
