//! How the requests and answers of calls are kept: as JSON. A plugin, or the host that it asked, chooses their texts, and JSON writes
//! a control character in six bytes. So where a text would take more room in JSON than in base64, it is kept in base64, and
//! nothing takes more than four thirds of its bytes. What is kept so begins with a mark that no JSON begins with; a row without it is
//! read as ever.
//!
//! Only the rows are written otherwise: digests are made of the request itself, and what is read back is what was said.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::JournalError;
use crate::salt::canonical;

/// The first byte of a row that holds a text in base64.
const MARK: u8 = 1;
/// In such a row, every text says with its first character how it is to be read.
const AS_IT_IS: char = 't';
const IN_BASE64: char = 'b';

/// A request, its members sorted.
pub(crate) fn of_request(request: &Value) -> Vec<u8> {
    keep(request, canonical)
}

/// An answer, its members in the order in which they came.
pub(crate) fn of_answer(answer: &Value) -> Vec<u8> {
    keep(answer, |answer| answer.to_string().into_bytes())
}

/// A request or an answer read back.
///
/// # Errors
/// It is not what was kept; `what` names it.
pub(crate) fn read(plain: &[u8], what: &str) -> Result<Value, JournalError> {
    let corrupt = || JournalError::Corrupt(what.to_owned());
    match plain.split_first() {
        Some((&MARK, rest)) => {
            let mut value: Value = serde_json::from_slice(rest).map_err(|_| corrupt())?;
            each_text(&mut value, &mut |text: &mut String| {
                *text = spoken(text)?;
                Some(())
            })
            .ok_or_else(corrupt)?;
            Ok(value)
        }
        _ => serde_json::from_slice(plain).map_err(|_| corrupt()),
    }
}

fn keep(value: &Value, written: impl Fn(&Value) -> Vec<u8>) -> Vec<u8> {
    if !any_text(value, grows) {
        return written(value);
    }
    let mut kept = value.clone();
    // A closure that always goes on.
    let _ = each_text(&mut kept, &mut |text: &mut String| {
        *text = match grows(text) {
            true => format!("{IN_BASE64}{}", STANDARD.encode(text.as_bytes())),
            false => format!("{AS_IT_IS}{text}"),
        };
        Some(())
    });
    let mut plain = vec![MARK];
    plain.append(&mut written(&kept));
    plain
}

fn spoken(text: &str) -> Option<String> {
    if let Some(plain) = text.strip_prefix(AS_IT_IS) {
        return Some(plain.to_owned());
    }
    String::from_utf8(STANDARD.decode(text.strip_prefix(IN_BASE64)?).ok()?).ok()
}

/// Whether JSON's escapes make a text longer than base64 does.
fn grows(text: &str) -> bool {
    let more: usize = text.bytes().map(escape).sum();
    text.len() + more > text.len().div_ceil(3) * 4
}

/// The bytes that JSON takes for a byte besides the byte itself.
fn escape(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | 0x08 | b'\t' | b'\n' | 0x0c | b'\r' => 1,
        0..=0x1f => 5,
        _ => 0,
    }
}

fn any_text(value: &Value, is: fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is(text),
        Value::Array(items) => items.iter().any(|item| any_text(item, is)),
        Value::Object(members) => members.values().any(|member| any_text(member, is)),
        _ => false,
    }
}

/// Changes each text; ends at the first that can't be.
fn each_text(value: &mut Value, change: &mut impl FnMut(&mut String) -> Option<()>) -> Option<()> {
    match value {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter_mut().try_for_each(|item| each_text(item, change)),
        Value::Object(members) => members.values_mut().try_for_each(|member| each_text(member, change)),
        _ => Some(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_text_takes_more_than_four_thirds_of_its_bytes_and_each_comes_back() {
        for text in [
            "\u{0}".repeat(9_000),
            "\u{1f}\u{7f}".repeat(4_500),
            "\"".repeat(9_000),
            "\\n\r\n\t".repeat(2_000),
            "\u{1}重量".repeat(2_000),
            "plain".repeat(2_000),
            "t\u{1}b".repeat(3_000),
        ] {
            let request = json!({"method": "POST", "headers": [{"name": "t", "value": "b"}], "body": text});
            for kept in [of_request(&request), of_answer(&request)] {
                assert!(kept.len() <= text.len().div_ceil(3) * 4 + 120, "{} of {}", kept.len(), text.len());
                assert_eq!(read(&kept, "it").unwrap(), request);
            }
        }
    }

    #[test]
    fn what_json_writes_well_is_kept_as_json_and_older_rows_are_read() {
        let ordinary = json!({"order_id": "37", "body": "{\"a\": 1}\n", "n": [1, null, true]});
        assert_eq!(of_request(&ordinary), canonical(&ordinary));
        let older = br#"{"body":"\u0001\u0001\u0001","name":"t","method":"bGET"}"#;
        let value = read(older, "it").unwrap();
        assert_eq!(value, json!({"body": "\u{1}\u{1}\u{1}", "name": "t", "method": "bGET"}));
        assert_ne!(of_request(&value)[0], b'{', "and written otherwise now");
        assert_eq!(read(&of_request(&value), "it").unwrap(), value);
    }

    #[test]
    fn what_is_not_what_was_kept_is_named() {
        for wrong in [&b""[..], b"\x01", b"\x01\"x\"", b"\x01\"\"", b"\x01\"b*\"", b"\x01\"b/w==\"", b"\x02{}", b"{"] {
            assert!(matches!(read(wrong, "it"), Err(JournalError::Corrupt(text)) if text == "it"), "{wrong:?}");
        }
    }
}
