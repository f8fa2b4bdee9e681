//! XML as the platform writes it: elements, text, CDATA. Everything else that XML could do is refused.
//!
//! Attributes must be well-formed and are dropped: the platform has none.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::node::{Malformed, Member, Node};

/// Reads one `xml` element and nothing after it.
pub fn parse(text: &str, depth: usize) -> Result<Node<'_>, Malformed> {
    let mut reader = Reader::from_str(text);
    // We keep the open names ourselves and compare them on closing; the reader would keep a second copy.
    reader.config_mut().check_end_names = false;
    reader.config_mut().allow_unmatched_ends = true;
    let mut open: Vec<Element<'_>> = Vec::with_capacity(4);
    let mut first = true;
    let root = loop {
        let event = reader.read_event().map_err(|_| Malformed::Xml)?;
        let closed = match event {
            Event::Decl(declaration) if first => {
                let utf8 = match declaration.encoding() {
                    Some(Ok(name)) => name.eq_ignore_ascii_case("utf-8"),
                    Some(Err(_)) => false,
                    None => true,
                };
                declaration.version().map_err(|_| Malformed::Xml)?;
                if !utf8 {
                    return Err(Malformed::Utf8);
                }
                None
            }
            Event::Start(start) => {
                let name = name_of(&start, text, reader.buffer_position())?;
                open.push(Element::open(&start, name, open.len(), depth)?);
                None
            }
            Event::Empty(start) => {
                let name = name_of(&start, text, reader.buffer_position() - 1)?;
                Some(Element::open(&start, name, open.len(), depth)?)
            }
            Event::End(end) => {
                let element = open.pop().ok_or(Malformed::Xml)?;
                if end.name().as_ref() != element.name {
                    return Err(Malformed::Xml);
                }
                Some(element)
            }
            Event::Text(text) => {
                match open.last_mut() {
                    Some(element) => element.add(text.xml10_content())?,
                    None if blank(&text) => {}
                    None => return Err(Malformed::Xml),
                }
                None
            }
            Event::CData(text) => {
                open.last_mut().ok_or(Malformed::Xml)?.add(text.xml10_content())?;
                None
            }
            Event::GeneralRef(reference) => {
                let character = referenced(&reference)?;
                open.last_mut().ok_or(Malformed::Xml)?.add(Cow::Owned(character.to_string()))?;
                None
            }
            Event::Eof => return Err(Malformed::Xml),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::DocType(_) => return Err(Malformed::XmlExtra),
        };
        first = false;
        if let Some(element) = closed {
            let (name, node) = element.close()?;
            match open.last_mut() {
                Some(parent) => parent.children.push((name, node)),
                None if name == "xml" => break node,
                None => return Err(Malformed::Root),
            }
        }
    };
    only_blanks_follow(&mut reader)?;
    match root {
        Node::Object(_) => Ok(root),
        // An `xml` without elements is an object without members, if it has no text either.
        Node::Scalar(text) if blank(&text) => Ok(Node::Object(Vec::new())),
        _ => Err(Malformed::Xml),
    }
}

/// An element that is still open.
struct Element<'a> {
    name: &'a str,
    text: Cow<'a, str>,
    children: Vec<Member<'a>>,
}

impl<'a> Element<'a> {
    fn open(start: &BytesStart<'_>, name: &'a str, above: usize, depth: usize) -> Result<Self, Malformed> {
        // A leaf is no container, so elements may stand one deeper than containers.
        if above > depth {
            return Err(Malformed::Depth);
        }
        if !is_name(name) {
            return Err(Malformed::Xml);
        }
        if start.len() > name.len() && start.attributes().any(|attribute| attribute.is_err()) {
            return Err(Malformed::Xml);
        }
        Ok(Self { name, text: Cow::Borrowed(""), children: Vec::new() })
    }

    fn add(&mut self, more: Cow<'a, str>) -> Result<(), Malformed> {
        // What XML forbids is a control character, or U+FFFE and U+FFFF, which begin with this byte.
        let doubtful = more.bytes().any(|byte| byte < 0x20 || byte == 0xef);
        if doubtful && !more.chars().all(is_character) {
            return Err(Malformed::Xml);
        }
        if self.text.is_empty() {
            self.text = more;
        } else {
            self.text.to_mut().push_str(&more);
        }
        Ok(())
    }

    fn close(self) -> Result<Member<'a>, Malformed> {
        let name = Cow::Borrowed(self.name);
        if self.children.is_empty() {
            return Ok((name, Node::Scalar(self.text)));
        }
        // Text beside elements has no JSON spelling, apart from the blanks of an indented document.
        if !blank(&self.text) {
            return Err(Malformed::Xml);
        }
        Ok((name, Node::Object(grouped(self.children))))
    }
}

/// The element's name, borrowed from the document: the event itself would only lend a copy's. `end` is just behind the
/// tag's `>` (of an empty element, behind its `/`).
fn name_of<'a>(start: &BytesStart<'_>, text: &'a str, end: u64) -> Result<&'a str, Malformed> {
    let end = usize::try_from(end).map_err(|_| Malformed::Xml)?;
    let begin = end.checked_sub(1 + start.len()).ok_or(Malformed::Xml)?;
    let name = text.get(begin..).and_then(|tag| tag.get(..start.name().as_ref().len())).ok_or(Malformed::Xml)?;
    if name == start.name().as_ref() { Ok(name) } else { Err(Malformed::Xml) }
}

/// Sorts by name; siblings of one name become a list, in the order they came.
fn grouped(mut children: Vec<Member<'_>>) -> Vec<Member<'_>> {
    children.sort_by(|one, other| one.0.cmp(&other.0));
    let mut members: Vec<Member<'_>> = Vec::with_capacity(children.len());
    let mut listed = false;
    for (name, node) in children {
        match members.last_mut() {
            Some((last, value)) if *last == name => {
                if let (true, Node::List(items)) = (listed, &mut *value) {
                    items.push(node);
                } else {
                    let first = std::mem::replace(value, Node::List(Vec::with_capacity(2)));
                    *value = Node::List(vec![first, node]);
                    listed = true;
                }
            }
            _ => {
                members.push((name, node));
                listed = false;
            }
        }
    }
    members
}

fn referenced(reference: &BytesRef<'_>) -> Result<char, Malformed> {
    if reference.is_char_ref() {
        return match reference.resolve_char_ref() {
            Ok(Some(character)) if is_character(character) => Ok(character),
            _ => Err(Malformed::Xml),
        };
    }
    match reference.as_ref() {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "apos" => Ok('\''),
        "quot" => Ok('"'),
        _ => Err(Malformed::Entity),
    }
}

fn only_blanks_follow(reader: &mut Reader<&[u8]>) -> Result<(), Malformed> {
    loop {
        match reader.read_event().map_err(|_| Malformed::Xml)? {
            Event::Eof => return Ok(()),
            Event::Text(text) if blank(&text) => {}
            Event::Comment(_) | Event::PI(_) | Event::DocType(_) | Event::Decl(_) => return Err(Malformed::XmlExtra),
            _ => return Err(Malformed::Xml),
        }
    }
}

fn blank(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

/// The characters that XML 1.0 allows in a document.
fn is_character(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    let first = characters.next().is_some_and(|first| first.is_alphabetic() || matches!(first, '_' | ':'));
    first && characters.all(|next| next.is_alphanumeric() || matches!(next, '_' | ':' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::DEPTH;

    fn refusal(text: &str) -> Option<Malformed> {
        parse(text, DEPTH).err()
    }

    #[test]
    fn text_cdata_and_predefined_entities() {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xml>\n <a><![CDATA[x<y]]></a><b>1&amp;2&#x4f60;&lt;</b>\
                    <c/><d>p<![CDATA[q]]></d><e x=\"1\">2</e >\n</xml>\n";
        let node = parse(text, DEPTH).unwrap();
        for (name, value) in [("a", "x<y"), ("b", "1&2你<"), ("d", "pq"), ("e", "2")] {
            assert_eq!(node.text(name), Some(value));
        }
        assert_eq!(node.get("c"), Some(&Node::Scalar(Cow::Borrowed(""))));
    }

    #[test]
    fn siblings_of_one_name_become_a_list() {
        let node = parse("<xml><a>1</a><b>x</b><a>2</a><a><c>3</c></a></xml>", DEPTH).unwrap();
        let Some(Node::List(items)) = node.get("a") else { panic!("{node:?}") };
        assert_eq!(items.len(), 3);
        assert_eq!(items[2].text("c"), Some("3"));
    }

    #[test]
    fn document_types_entities_and_other_tricks_are_refused() {
        use Malformed::{Depth, Entity, Root, Utf8, Xml, XmlExtra};
        let deep = |levels: usize| format!("<xml>{}{}</xml>", "<a>".repeat(levels), "</a>".repeat(levels));
        for (text, why) in [
            ("<!DOCTYPE xml [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><xml><a>&e;</a></xml>", XmlExtra),
            ("<!DOCTYPE xml><xml><a>1</a></xml>", XmlExtra),
            ("<xml><!DOCTYPE a><a>1</a></xml>", XmlExtra),
            ("<xml><a>1</a></xml><!DOCTYPE xml>", XmlExtra),
            ("<xml><!-- c --><a>1</a></xml>", XmlExtra),
            ("<xml><?php ?><a>1</a></xml>", XmlExtra),
            ("<xml><a>&e;</a></xml>", Entity),
            ("<xml><a>&nbsp;</a></xml>", Entity),
            ("<xml><a>&#0;</a></xml>", Xml),
            ("<xml><a>&#x1F;</a></xml>", Xml),
            ("<xml><a>&#xFFFE;</a></xml>", Xml),
            ("<xml><a>&#x110000;</a></xml>", Xml),
            ("<xml><a>&</a></xml>", Xml),
            ("<xml><a>1</b></xml>", Xml),
            ("<xml><a>1</a>", Xml),
            ("<xml><a>1</a></xml></xml>", Xml),
            ("<xml><a>1</a></xml><xml/>", Xml),
            ("<xml><a>1</a></xml>tail", Xml),
            ("<xml>head<a>1</a></xml>", Xml),
            ("<xml>text</xml>", Xml),
            ("<xml><a", Xml),
            ("<xml><a><![CDATA[1</a></xml>", Xml),
            ("<xml><a x=1>1</a></xml>", Xml),
            ("<xml><a x=\"1\" x=\"2\">1</a></xml>", Xml),
            ("<xml><1a>1</1a></xml>", Xml),
            ("<xml><a>\u{0}</a></xml>", Xml),
            ("<html><a>1</a></html>", Root),
            ("<?xml version=\"1.0\" encoding=\"gbk\"?><xml><a>1</a></xml>", Utf8),
            ("<xml><?xml version=\"1.0\"?></xml>", XmlExtra),
            (deep(17).as_str(), Depth),
            (deep(20_000).as_str(), Depth),
        ] {
            assert_eq!(refusal(text), Some(why), "{}", &text[..text.len().min(80)]);
        }
        assert_eq!(refusal(&deep(16)), None);
        assert_eq!(parse("<xml> </xml>", DEPTH), Ok(Node::Object(Vec::new())));
    }
}
