//! A message as a tree of text, whichever of the two forms it came in.
//!
//! The same event reaches us as XML or JSON, with numbers or strings (platform page 0.1, 0.6). So every scalar is kept
//! as the text it was written with. Nothing passes through a float: order ids are over 2^53.

use std::borrow::Cow;

use crate::{json, xml};

/// Containers within containers, the root included. A real message has two.
pub const DEPTH: usize = 16;

/// A value: a scalar's own text, or a container of values. Borrows from the message wherever nothing was escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node<'a> {
    /// String, number, `true`, `false`, or the text of an XML element; a JSON null is the empty text.
    Scalar(Cow<'a, str>),
    /// A JSON array, or the XML siblings of one name.
    List(Vec<Node<'a>>),
    /// Members sorted by name as bytes; each name once.
    Object(Vec<Member<'a>>),
}

/// A named value of an object.
pub type Member<'a> = (Cow<'a, str>, Node<'a>);

/// Why bytes are no message. Carries nothing of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Blank from end to end.
    #[error("it is empty")]
    Empty,
    /// The first byte that is no blank is neither `{` nor `<`.
    #[error("it begins with neither {{ nor <")]
    Form,
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    Utf8,
    /// JSON grammar.
    #[error("it is not well-formed JSON")]
    Json,
    /// Two members of one name: readers differ on which one counts.
    #[error("a JSON object has two members of one name")]
    Twice,
    /// XML grammar, or anything beyond elements, text and CDATA.
    #[error("it is not well-formed XML")]
    Xml,
    /// Document types, comments and processing instructions have no place in a push; they are how XML is attacked.
    #[error("a document type, comment or processing instruction is not accepted")]
    XmlExtra,
    /// Only the five predefined entities and characters by number.
    #[error("an entity beyond the five predefined ones is not accepted")]
    Entity,
    /// The root of a push is always `xml`.
    #[error("the root element must be xml")]
    Root,
    /// More containers within each other than allowed here.
    #[error("it is nested too deeply")]
    Depth,
}

impl<'a> Node<'a> {
    /// Reads XML or JSON by the first byte that is no blank; `depth` containers within each other at most.
    pub fn parse(bytes: &'a [u8], depth: usize) -> Result<Self, Malformed> {
        let first = bytes.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
        let parse = match first {
            Some(b'{') => json::parse,
            Some(b'<') => xml::parse,
            Some(_) => return Err(Malformed::Form),
            None => return Err(Malformed::Empty),
        };
        parse(std::str::from_utf8(bytes).map_err(|_| Malformed::Utf8)?, depth)
    }

    /// The member of that name, if this is an object that has it.
    pub fn get(&self, name: &str) -> Option<&Node<'a>> {
        match self {
            Self::Object(members) => {
                let place = members.binary_search_by(|(other, _)| other.as_ref().cmp(name)).ok()?;
                members.get(place).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The scalar of that name. Empty text counts as absent: XML can't tell the two apart.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Self::Scalar(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Takes the scalar of that name out of the tree, without copying it.
    pub fn into_text(self, name: &str) -> Option<Cow<'a, str>> {
        let Self::Object(members) = self else { return None };
        members.into_iter().find_map(|member| match member {
            (other, Self::Scalar(text)) if other == name && !text.is_empty() => Some(text),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_decides() {
        assert_eq!(Node::parse(b" \r\n\t{\"a\":1}", DEPTH).unwrap().text("a"), Some("1"));
        assert_eq!(Node::parse(b" \n<xml><a>1</a></xml>", DEPTH).unwrap().text("a"), Some("1"));
        assert_eq!(Node::parse(b" \n", DEPTH), Err(Malformed::Empty));
        assert_eq!(Node::parse(b"[1]", DEPTH), Err(Malformed::Form));
        assert_eq!(Node::parse(b"\xef\xbb\xbf{}", DEPTH), Err(Malformed::Form));
        assert_eq!(Node::parse(b"{\"a\":\"\xff\"}", DEPTH), Err(Malformed::Utf8));
    }
}
