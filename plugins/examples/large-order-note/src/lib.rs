//! Marks large paid orders with a merchant note.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
use fangshi_plugin::{Event, Order, Outcome, Pay, log, note, notes, on_pay, setting, settings_schema};

/// 分; from here on an order is large, unless the setting `threshold` says otherwise.
const THRESHOLD: i64 = 100_000;
/// The mark, unless the setting `mark` says otherwise.
const MARK: &str = "大额订单";

on_pay!(mark_large_order);
settings_schema!("../settings.schema.json");

fn mark_large_order(event: &Event, order: &Order, _: Pay) -> Outcome {
    let total = order.price().order_price;
    let threshold = setting::integer("threshold", THRESHOLD)?;
    match wanted_note(total, threshold, &order.merchant_notes(), &setting::text("mark", MARK)) {
        Some(text) => {
            notes::set_merchant_notes(&event.order_id(), &text)?;
            log!(Info, "{total} 分 of at least {threshold}: marked");
        }
        None => log!(Info, "{total} 分, threshold {threshold}: nothing to do"),
    }
    Ok(())
}

/// The note that the order should get; none if the order is small or marked already.
fn wanted_note(total: i64, threshold: i64, present: &str, mark: &str) -> Option<String> {
    if total < threshold { None } else { note::with_mark(present, mark) }
}

#[cfg(test)]
mod tests {
    use super::{MARK, wanted_note};

    #[test]
    fn large_orders_are_marked_from_the_threshold_on() {
        assert_eq!(wanted_note(38_800, 38_800, "", MARK).unwrap(), MARK);
        assert_eq!(wanted_note(38_799, 38_800, "", MARK), None);
        assert_eq!(wanted_note(0, 0, "", MARK).unwrap(), MARK);
    }

    #[test]
    fn what_a_person_wrote_stays() {
        assert_eq!(wanted_note(500_000, 1, "周末送", MARK).unwrap(), "周末送；大额订单");
    }

    #[test]
    fn a_repeated_event_or_attempt_changes_nothing() {
        let once = wanted_note(500_000, 1, "周末送", MARK).unwrap();
        assert_eq!(wanted_note(500_000, 1, &once, MARK), None);
    }
}
