//! The state chart of the order guide: which status may follow which.

/// Unpaid.
pub const UNPAID: i64 = 10;
/// A gift waits to be accepted.
pub const PRESENT: i64 = 12;
/// 一起买 waits for its group.
pub const GROUP: i64 = 13;
/// To be shipped.
pub const TO_SHIP: i64 = 20;
/// Partly shipped.
pub const PARTLY_SHIPPED: i64 = 21;
/// Shipped.
pub const SHIPPED: i64 = 30;
/// Finished.
pub const FINISHED: i64 = 100;
/// Oversold.
pub const OVERSOLD: i64 = 190;
/// All items refunded, gift not accepted, or group failed.
pub const REFUNDED: i64 = 200;
/// Cancelled before payment.
pub const CANCELLED: i64 = 250;

/// Every status of the page.
pub const ALL: [i64; 10] =
    [UNPAID, PRESENT, GROUP, TO_SHIP, PARTLY_SHIPPED, SHIPPED, FINISHED, OVERSOLD, REFUNDED, CANCELLED];

/// Who says that a transition exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The guide's chart.
    Guide,
    /// Derived: cancel_type 3 refunds all items from a state before 100.
    Derived,
    /// An SDK's model only.
    Sdk,
}

/// Every transition there is.
pub const CHART: [(i64, i64, Source); 17] = [
    (UNPAID, TO_SHIP, Source::Guide),
    (UNPAID, CANCELLED, Source::Guide),
    (UNPAID, PRESENT, Source::Guide),
    (UNPAID, GROUP, Source::Guide),
    (PRESENT, TO_SHIP, Source::Guide),
    (PRESENT, REFUNDED, Source::Guide),
    (GROUP, TO_SHIP, Source::Guide),
    (GROUP, REFUNDED, Source::Guide),
    (TO_SHIP, PARTLY_SHIPPED, Source::Guide),
    (TO_SHIP, SHIPPED, Source::Guide),
    (PARTLY_SHIPPED, SHIPPED, Source::Guide),
    (SHIPPED, FINISHED, Source::Guide),
    (FINISHED, REFUNDED, Source::Guide),
    (TO_SHIP, REFUNDED, Source::Derived),
    (PARTLY_SHIPPED, REFUNDED, Source::Derived),
    (SHIPPED, REFUNDED, Source::Derived),
    (TO_SHIP, OVERSOLD, Source::Sdk),
];

/// Whether the status may change from one to the other.
pub fn allowed(from: i64, to: i64) -> bool {
    CHART.iter().any(|(a, b, _)| (*a, *b) == (from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The guide's picture, line by line, as pairs; kept apart from `CHART` on purpose.
    const GUIDE: &str = "10>20 10>250 10>12 10>13 12>20 12>200 13>20 13>200 20>21 20>30 21>30 30>100 100>200";

    #[test]
    fn the_chart_holds_the_guide_and_names_what_is_not_from_it() {
        for pair in GUIDE.split(' ') {
            let (from, to) = pair.split_once('>').unwrap();
            assert!(allowed(from.parse().unwrap(), to.parse().unwrap()), "{pair}");
        }
        let from_guide = CHART.iter().filter(|(_, _, source)| *source == Source::Guide).count();
        assert_eq!(from_guide, GUIDE.split(' ').count());
    }

    #[test]
    fn everything_else_is_forbidden() {
        let mut forbidden = 0;
        for from in ALL {
            for to in ALL {
                if !CHART.iter().any(|(a, b, _)| *a == from && *b == to) {
                    assert!(!allowed(from, to), "{from}>{to}");
                    forbidden += 1;
                }
            }
        }
        assert_eq!(forbidden, ALL.len() * ALL.len() - CHART.len());
        for (from, to) in [(10, 30), (10, 100), (20, 10), (30, 20), (250, 20), (200, 20), (100, 30), (20, 20)] {
            assert!(!allowed(from, to), "{from}>{to}");
        }
    }
}
