//! Marks paid orders that come with a note of the buyer, so that nobody packs them unread.
#![cfg_attr(test, allow(clippy::unwrap_used))]
use fangshi_plugin::{Event, Order, Outcome, Pay, log, note, notes, on_pay, setting, settings_schema};

/// The mark, unless the setting `mark` says otherwise.
const MARK: &str = "有买家留言";

on_pay!(mark_order_with_a_wish);
// What the merchant page asks for.
settings_schema!("../settings.schema.json");

/// Reads what it needs, decides, writes. An event may come twice and an attempt may be repeated: the second one finds
/// nothing to do.
fn mark_order_with_a_wish(event: &Event, order: &Order, _: Pay) -> Outcome {
    match wanted_note(&order.customer_notes(), &order.merchant_notes(), &setting::text("mark", MARK)) {
        Some(text) => {
            notes::set_merchant_notes(&event.order_id(), &text)?;
            log!(Info, "marked");
        }
        None => log!(Info, "nothing to do"),
    }
    Ok(())
}

/// What the plugin decides, without the contract: so that `cargo test` covers it on any machine.
fn wanted_note(of_the_buyer: &str, present: &str, mark: &str) -> Option<String> {
    if of_the_buyer.trim().is_empty() { None } else { note::with_mark(present, mark) }
}

#[cfg(test)]
mod tests {
    use super::{MARK, wanted_note};

    #[test]
    fn an_order_with_a_note_of_the_buyer_is_marked_and_what_stood_there_stays() {
        assert_eq!(wanted_note("周末送", "", MARK).unwrap(), MARK);
        assert_eq!(wanted_note("周末送", "已电话确认", MARK).unwrap(), "已电话确认；有买家留言");
        assert_eq!(wanted_note(" \n", "已电话确认", MARK), None);
    }

    #[test]
    fn a_repeated_event_or_attempt_changes_nothing() {
        let once = wanted_note("周末送", "", MARK).unwrap();
        assert_eq!(wanted_note("周末送", &once, MARK), None);
    }
}
