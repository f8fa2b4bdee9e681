//! Marks in a merchant's note: added once, and nothing that a person wrote is lost.

/// Between what was there and a mark.
const BETWEEN: &str = "；";

/// The note with `mark` at its end, or none if the mark is in it already: then there is nothing to write.
pub fn with_mark(note: &str, mark: &str) -> Option<String> {
    if mark.is_empty() || has_mark(note, mark) {
        return None;
    }
    let note = note.trim_end();
    Some(if note.is_empty() { mark.to_owned() } else { format!("{note}{BETWEEN}{mark}") })
}

/// Whether a person or a plugin has put `mark` into the note, wherever it stands.
pub fn has_mark(note: &str, mark: &str) -> bool {
    !mark.is_empty() && note.contains(mark)
}

#[cfg(test)]
mod tests {
    use super::{has_mark, with_mark};

    #[test]
    fn a_mark_is_added_once_and_the_text_before_it_stays() {
        assert_eq!(with_mark("", "大额订单").unwrap(), "大额订单");
        let note = with_mark("客户要求周末送", "大额订单").unwrap();
        assert_eq!(note, "客户要求周末送；大额订单");
        assert_eq!(with_mark(&note, "大额订单"), None);
        let both = with_mark(&note, "虚拟号已变更").unwrap();
        assert!(both.starts_with(&note) && has_mark(&both, "虚拟号已变更"));
    }

    #[test]
    fn a_mark_that_a_person_wrote_or_moved_counts() {
        assert_eq!(with_mark("大额订单 已电话确认", "大额订单"), None);
        assert_eq!(with_mark("x", ""), None);
        assert_eq!(with_mark("旧备注 \n", "标").unwrap(), "旧备注；标");
    }
}
