//! JSON, with every number kept as the digits it was written with.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::node::{Malformed, Member, Node};

/// Reads one JSON object and nothing after it.
pub fn parse(text: &str, depth: usize) -> Result<Node<'_>, Malformed> {
    if !text.trim_start().starts_with('{') {
        return Err(Malformed::Form);
    }
    value(text, depth)
}

/// Each level is cut into raw pieces, and these are read in turn. A number's piece *is* its text. Rereading costs at
/// most `depth` passes, and real messages have two levels.
fn value(text: &str, depth: usize) -> Result<Node<'_>, Malformed> {
    match text.trim_start().as_bytes().first() {
        Some(b'{') => {
            let depth = depth.checked_sub(1).ok_or(Malformed::Depth)?;
            let pieces: Pieces<'_> = read(text)?;
            let mut members = Vec::with_capacity(pieces.0.len());
            for (name, piece) in pieces.0 {
                members.push((name.0, value(piece.get(), depth)?));
            }
            sorted(members).map(Node::Object)
        }
        Some(b'[') => {
            let depth = depth.checked_sub(1).ok_or(Malformed::Depth)?;
            let pieces: Items<'_> = read(text)?;
            pieces.0.iter().map(|piece| value(piece.get(), depth)).collect::<Result<_, _>>().map(Node::List)
        }
        Some(b'"') => read::<Text<'_>>(text).map(|text| Node::Scalar(text.0)),
        Some(b'n') => Ok(Node::Scalar(Cow::Borrowed(""))),
        // A raw piece is already known to be well-formed: what is left is a number, true or false.
        Some(_) => Ok(Node::Scalar(Cow::Borrowed(text))),
        None => Err(Malformed::Json),
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Malformed> {
    serde_json::from_str(text).map_err(|_| Malformed::Json)
}

fn sorted(mut members: Vec<Member<'_>>) -> Result<Vec<Member<'_>>, Malformed> {
    members.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    let twice = members.windows(2).any(|pair| matches!(pair, [one, other] if one.0 == other.0));
    if twice { Err(Malformed::Twice) } else { Ok(members) }
}

/// An object's members in the order they came, values still raw.
struct Pieces<'a>(Vec<(Text<'a>, &'a RawValue)>);

impl<'a> Deserialize<'a> for Pieces<'a> {
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'a> Visitor<'a> for Members {
            type Value = Pieces<'a>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }
            fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pieces = Vec::with_capacity(8);
                while let Some(piece) = map.next_entry()? {
                    pieces.push(piece);
                }
                Ok(Pieces(pieces))
            }
        }
        from.deserialize_map(Members)
    }
}

/// An array's values, still raw.
struct Items<'a>(Vec<&'a RawValue>);

impl<'a> Deserialize<'a> for Items<'a> {
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        struct Values;
        impl<'a> Visitor<'a> for Values {
            type Value = Items<'a>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Items(items))
            }
        }
        from.deserialize_seq(Values)
    }
}

/// A string that stays borrowed when it has no escapes (`Cow` by itself always copies).
struct Text<'a>(Cow<'a, str>);

impl<'a> Deserialize<'a> for Text<'a> {
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        struct Borrowing;
        impl<'a> Visitor<'a> for Borrowing {
            type Value = Text<'a>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        from.deserialize_str(Borrowing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::DEPTH;

    fn scalar(json: &str) -> String {
        let message = format!("{{\"a\":{json}}}");
        let node = parse(&message, DEPTH).unwrap();
        match node.get("a") {
            Some(Node::Scalar(text)) => text.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        for number in [
            "3705115058471208928",
            "18446744073709551616",
            "1e18",
            "-0",
            "-1",
            "1.50",
            "1E+400",
            "9007199254740993",
            "123456789012345678901234567890",
        ] {
            assert_eq!(scalar(number), number);
        }
    }

    #[test]
    fn other_scalars_are_their_text() {
        assert_eq!(scalar("true"), "true");
        assert_eq!(scalar("null"), "");
        assert_eq!(scalar(r#""a\/b\u4f60""#), "a/b你");
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for bad in [
            "{",
            "{}}",
            "{} x",
            "{'a':1}",
            "{a:1}",
            r#"{"a":01}"#,
            r#"{"a":+1}"#,
            r#"{"a":1.}"#,
            r#"{"a":.5}"#,
            r#"{"a":1e}"#,
            r#"{"a":NaN}"#,
            r#"{"a":0x1}"#,
            r#"{"a":--1}"#,
            r#"{"a":1,}"#,
            r#"{"a" 1}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":"\x"}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":tru}"#,
            r#"{"a":nul}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":/**/1}"#,
            r#"{"a":"#,
            r#"{"a"}"#,
        ] {
            assert_eq!(parse(bad, DEPTH).map(|_| ()), Err(Malformed::Json), "{bad}");
        }
        assert_eq!(parse(r#"{"a":1,"\u0061":2}"#, DEPTH), Err(Malformed::Twice));
        assert_eq!(parse(r#"{"a":{"b":1,"b":1}}"#, DEPTH), Err(Malformed::Twice));
    }

    #[test]
    fn depth_is_counted_in_containers() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(parse(&nested(DEPTH), DEPTH).is_ok());
        assert_eq!(parse(&nested(DEPTH + 1), DEPTH), Err(Malformed::Depth));
        assert_eq!(parse(&nested(20_000), DEPTH), Err(Malformed::Depth));
    }
}
