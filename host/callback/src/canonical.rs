//! The one spelling of a message: JSON without blanks, members sorted by name, every scalar a string.
//!
//! The four spellings on the wire (XML or JSON, numbers or strings) of one event have the same canonical bytes. This
//! is the body that the journal keeps.

use crate::node::Node;

/// Writes the canonical JSON of a tree.
pub fn canonical(root: &Node<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write(&mut out, root);
    out
}

fn write(out: &mut Vec<u8>, node: &Node<'_>) {
    match node {
        Node::Scalar(text) => string(out, text),
        Node::List(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write(out, item);
            }
            out.push(b']');
        }
        Node::Object(members) => {
            out.push(b'{');
            for (place, (name, value)) in members.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                string(out, name);
                out.push(b':');
                write(out, value);
            }
            out.push(b'}');
        }
    }
}

/// A JSON string; only what must be escaped is.
fn string(out: &mut Vec<u8>, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(place) = rest.iter().position(|byte| matches!(byte, 0..=0x1f | b'"' | b'\\')) {
        let (plain, from) = rest.split_at(place);
        out.extend_from_slice(plain);
        match from[0] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => {
                let digits = [DIGITS[usize::from(other >> 4)], DIGITS[usize::from(other & 15)]];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits);
            }
        }
        rest = &from[1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::DEPTH;

    #[test]
    fn sorted_and_all_text() {
        let json = r#" {"b": 1, "a": {"y":[1,"2",true,null], "x":"q\"\\\n\u0001"}} "#;
        let node = Node::parse(json.as_bytes(), DEPTH).unwrap();
        let bytes = canonical(&node);
        assert_eq!(
            std::str::from_utf8(&bytes).unwrap(),
            r#"{"a":{"x":"q\"\\\n\u0001","y":["1","2","true",""]},"b":"1"}"#
        );
        let again = Node::parse(&bytes, DEPTH).unwrap();
        assert_eq!(again, node);
    }
}
