//! The state chart of the order guide (seed of the platform page, section 5.1), and what is known beyond it.

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
/// Oversold, the merchant cancelled (known from an SDK only).
pub const OVERSOLD: i64 = 190;
/// All items refunded, gift not accepted, or group failed.
pub const REFUNDED: i64 = 200;
/// Cancelled before payment.
pub const CANCELLED: i64 = 250;

/// The guide's arrows.
const GUIDE: [(i64, i64); 13] = [
    (UNPAID, TO_SHIP),
    (UNPAID, CANCELLED),
    (UNPAID, PRESENT),
    (UNPAID, GROUP),
    (PRESENT, TO_SHIP),
    (PRESENT, REFUNDED),
    (GROUP, TO_SHIP),
    (GROUP, REFUNDED),
    (TO_SHIP, PARTLY_SHIPPED),
    (TO_SHIP, SHIPPED),
    (PARTLY_SHIPPED, SHIPPED),
    (SHIPPED, FINISHED),
    (FINISHED, REFUNDED),
];

/// Arrows that the guide leaves out: `cancel_type` 3 refunds everything before the order is finished (derived), 190 is
/// in an SDK's model (platform page, sections 3.2 and 5.1).
const BEYOND: [(i64, i64); 4] =
    [(TO_SHIP, REFUNDED), (PARTLY_SHIPPED, REFUNDED), (SHIPPED, REFUNDED), (TO_SHIP, OVERSOLD)];

/// What is known of a net change of status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The guide's chart has a way, or the status is the same.
    Guide,
    /// There is a way with an arrow that is known from elsewhere.
    Beyond,
    /// Nobody knows a way.
    None,
}

/// Whether a status can follow another, over statuses in between: a reading sees the net change only. `received` tells
/// whether the order shows that the buyer received it: without that, the way over 100 was not taken.
pub fn way(from: i64, to: i64, received: bool) -> Way {
    let received = received || from == FINISHED;
    let guide = |arrow: &(i64, i64)| GUIDE.contains(arrow) && (received || *arrow != (FINISHED, REFUNDED));
    if leads(from, to, &guide) {
        Way::Guide
    } else if leads(from, to, &|arrow| guide(arrow) || BEYOND.contains(arrow)) {
        Way::Beyond
    } else {
        Way::None
    }
}

/// Arrows lead on and never back, so this ends.
fn leads(from: i64, to: i64, is_arrow: &dyn Fn(&(i64, i64)) -> bool) -> bool {
    let mut arrows = GUIDE.iter().chain(&BEYOND).filter(|arrow| arrow.0 == from && is_arrow(arrow));
    from == to || arrows.any(|arrow| leads(arrow.1, to, is_arrow))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_net_change_may_skip_statuses_and_never_goes_back() {
        for (from, to) in [(10, 20), (10, 30), (10, 100), (10, 200), (12, 30), (20, 20), (100, 200), (13, 200)] {
            assert_eq!(way(from, to, false), Way::Guide, "{from} to {to}");
        }
        for (from, to) in [(20, 190), (10, 190), (12, 190), (20, 200), (21, 200), (30, 200)] {
            assert_eq!(way(from, to, false), Way::Beyond, "{from} to {to}");
        }
        for (from, to) in [(20, 200), (21, 200), (30, 200)] {
            assert_eq!(way(from, to, true), Way::Guide, "{from} to {to}, received");
        }
        for (from, to) in
            [(20, 10), (30, 20), (250, 20), (200, 100), (100, 30), (20, 250), (190, 200), (20, 12), (20, 77)]
        {
            assert_eq!(way(from, to, true), Way::None, "{from} to {to}");
        }
    }

    #[test]
    fn the_arrows_are_those_of_the_guide() {
        let picture = "10>20 10>250 10>12 10>13 12>20 12>200 13>20 13>200 20>21 20>30 21>30 30>100 100>200";
        let drawn: Vec<String> = GUIDE.iter().map(|(from, to)| format!("{from}>{to}")).collect();
        let mut picture: Vec<&str> = picture.split(' ').collect();
        let mut drawn: Vec<&str> = drawn.iter().map(String::as_str).collect();
        picture.sort_unstable();
        drawn.sort_unstable();
        assert_eq!(drawn, picture);
    }
}
