//! Numbers as they were written: order ids exceed 2^53 and never pass through a float (platform page, trap 1).

use std::borrow::Cow;

use serde_json::Value;

/// The largest integer that every JSON reader holds exactly.
const SAFE: u64 = (1 << 53) - 1;

/// Reads JSON in which number literals that no machine number holds exactly become text, and ids become text.
///
/// # Errors
/// It is no JSON.
pub fn parse(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::from_slice(&quote_inexact(bytes))?;
    ids_to_text(&mut value);
    Ok(value)
}

/// Puts quotes around number literals that would be rounded. Leaves everything else, also what is no JSON.
fn quote_inexact(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut quoted: Option<Vec<u8>> = None;
    let mut kept = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let length = bytes[at..]
                    .iter()
                    .take_while(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
                let end = at + length.count();
                if !exact(&bytes[at..end]) {
                    let out = quoted.get_or_insert_with(|| Vec::with_capacity(bytes.len() + 16));
                    out.extend_from_slice(&bytes[kept..at]);
                    out.push(b'"');
                    out.extend_from_slice(&bytes[at..end]);
                    out.push(b'"');
                    kept = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    match quoted {
        None => Cow::Borrowed(bytes),
        Some(mut out) => {
            out.extend_from_slice(&bytes[kept..]);
            Cow::Owned(out)
        }
    }
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn exact(literal: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(literal) else { return true };
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        // No number at all: the parser shall say so.
        return true;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok();
    }
    // A fraction or an exponent: 15 digits are held exactly.
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    mantissa.bytes().filter(u8::is_ascii_digit).count() <= 15
}

/// Ids (members `…_id`, `…_ids`) and integers that a float would round become text, at every depth.
pub(crate) fn ids_to_text(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let is_id = name.ends_with("_id") || name.ends_with("_ids") || name.ends_with("_id_str");
                to_text(member, is_id);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| to_text(item, false)),
        Value::Number(_) => to_text(value, false),
        _ => {}
    }
}

fn to_text(value: &mut Value, is_id: bool) {
    match value {
        Value::Number(number) => {
            let size = number.as_i64().map(i64::unsigned_abs).or_else(|| number.as_u64());
            if size.is_some_and(|size| is_id || size > SAFE) {
                *value = Value::String(number.to_string());
            }
        }
        Value::Array(items) if is_id => items.iter_mut().for_each(|item| to_text(item, true)),
        _ => ids_to_text(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_keep_every_digit_however_they_are_written() {
        let value = parse(
            br#"{"order_id":3732676853715311104,"x":[{"order_ids":[3732676853715311105,"7"]}],
            "transaction_id":4305302589202512021658649917,"n":18446744073709551616,"page":3,"big":9007199254740993}"#,
        )
        .unwrap();
        assert_eq!(
            value,
            json!({"order_id": "3732676853715311104", "x": [{"order_ids": ["3732676853715311105", "7"]}],
                "transaction_id": "4305302589202512021658649917", "n": "18446744073709551616", "page": 3,
                "big": "9007199254740993"})
        );
    }

    #[test]
    fn text_that_looks_like_a_number_is_left_alone() {
        let raw = br#"{"a\"1234567890123456789012345":"99999999999999999999999\\","b":0.85,"c":-12,"d":1e3,"e":3.732676853715311104e18}"#;
        let value = parse(raw).unwrap();
        assert_eq!(value["a\"1234567890123456789012345"], "99999999999999999999999\\");
        assert_eq!(value["b"], json!(0.85));
        assert_eq!(value["c"], json!(-12));
        assert_eq!(value["e"], "3.732676853715311104e18");
    }

    #[test]
    fn what_is_no_json_stays_an_error() {
        for bad in [&b"{\"a\":"[..], b"", b"12-", b"{\"a\":1e999999999999999999999}x", b"\"\\"] {
            assert!(parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
