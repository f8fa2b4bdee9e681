//! What an upload says of itself beside its type: custom sections, whose bytes no engine looks at.

use wasmparser::{Parser, Payload};

/// Bytes of one name that are given, all sections together. Whoever reads a section has a smaller bound of its own, so what
/// is cut here is refused there.
const MOST_BYTES: usize = 256 << 10;

/// The contents of all custom sections of this name, in the component's order: its own, and those of every module and
/// component inside it, at any depth. Tools put what a program's source declares into the core module that they compile.
///
/// Empty sections are left out. The whole has at most 256 KiB: what goes beyond is cut. Bytes that are no component, or no more
/// than the beginning of one, give what can be read of them.
pub fn sections<'a>(component: &'a [u8], name: &str) -> Vec<&'a [u8]> {
    let (mut found, mut left) = (Vec::new(), MOST_BYTES);
    for payload in Parser::new(0).parse_all(component) {
        let Ok(payload) = payload else { break };
        if let Payload::CustomSection(section) = payload
            && section.name() == name
        {
            let data: &'a [u8] = section.data();
            let kept = &data[..data.len().min(left)];
            if !kept.is_empty() {
                left -= kept.len();
                found.push(kept);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assembled(text: &str) -> Vec<u8> {
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn sections_are_found_at_every_depth_and_in_order() {
        let component = assembled(
            r#"(component
                 (@custom "fangshi:one" "first")
                 (core module (@custom "fangshi:one" "second") (func))
                 (component
                   (core module (@custom "fangshi:one" "third") (@custom "fangshi:other" "not this")))
                 (@custom "fangshi:one" "")
                 (@custom "fangshi:one" "last"))"#,
        );
        let found: Vec<&str> = sections(&component, "fangshi:one").into_iter().map(text).collect();
        assert_eq!(found, ["first", "second", "third", "last"]);
        assert!(sections(&component, "fangshi:none").is_empty());
    }

    #[test]
    fn what_is_no_component_has_no_sections() {
        assert!(sections(b"", "x").is_empty());
        assert!(sections(b"\0asm and then nothing of the kind", "x").is_empty());
        let whole = assembled(r#"(component (@custom "x" "kept") (core module (func) (@custom "x" "lost")))"#);
        assert_eq!(sections(&whole[..whole.len() - 2], "x"), [b"kept"]);
    }

    #[test]
    fn the_whole_is_bounded() {
        let section = "x".repeat(MOST_BYTES - 3);
        let component =
            assembled(&format!(r#"(component (@custom "a" "{section}") (@custom "a" "12345") (@custom "a" "6"))"#));
        let found = sections(&component, "a");
        assert_eq!(found.iter().map(|section| section.len()).sum::<usize>(), MOST_BYTES);
        assert_eq!(text(found[1]), "123");
        assert_eq!(found.len(), 2);
    }

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }
}
