//! Marks an order whose virtual number was given out or has changed. The number itself is neither read nor written.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
use fangshi_plugin::{
    Event, ExtInfo, Order, Outcome, codes::ExtInfoKind, log, note, notes, on_ext_info_update, setting,
};

/// The mark, unless the setting `mark` says otherwise.
const MARK: &str = "虚拟号已变更";

on_ext_info_update!(mark_changed_number);

fn mark_changed_number(event: &Event, order: &Order, ext_info: ExtInfo) -> Outcome {
    match wanted_note(ext_info.kind(), || order.merchant_notes(), &setting::text("mark", MARK)) {
        Some(text) => {
            notes::set_merchant_notes(&event.order_id(), &text)?;
            log!(Info, "virtual number changed: marked");
        }
        None => log!(Debug, "type {}: nothing to do", ext_info.type_),
    }
    Ok(())
}

/// The note that the order should get; none if something else changed or the mark is there already.
fn wanted_note(kind: ExtInfoKind, present: impl FnOnce() -> String, mark: &str) -> Option<String> {
    if kind == ExtInfoKind::VirtualNumber { note::with_mark(&present(), mark) } else { None }
}

#[cfg(test)]
mod tests {
    use super::{MARK, wanted_note};
    use fangshi_plugin::codes::ExtInfoKind;

    #[test]
    fn a_changed_number_is_marked_once_beside_what_was_written() {
        let once = wanted_note(5.into(), || "大额订单".into(), MARK).unwrap();
        assert_eq!(once, "大额订单；虚拟号已变更");
        assert_eq!(wanted_note(ExtInfoKind::VirtualNumber, || once, MARK), None);
    }

    #[test]
    fn other_changes_are_not_even_looked_at() {
        for code in (0..=30).filter(|code| *code != 5) {
            assert_eq!(wanted_note(code.into(), || panic!("the order was read"), MARK), None);
        }
    }
}
