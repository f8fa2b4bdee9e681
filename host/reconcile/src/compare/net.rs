//! What is different between two snapshots of an order, as events that would have told of it.

use super::chart;
use super::facts::{Facts, Number};
use super::word::{ADDRESS, Word};

/// A net change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub word: Word,
    /// When, unix seconds: a time that the order tells, else the `update_time` of the later snapshot.
    pub at: i64,
}

/// The net changes from one snapshot to the next, in the order of an order's life. `before` is none for an order that was
/// placed since.
pub fn net_changes(before: Option<&Facts>, after: &Facts) -> Vec<Change> {
    let unplaced;
    let mut found = Changes { changes: Vec::new(), latest: after.update_time };
    let before = match before {
        Some(before) => before,
        None => {
            found.add(Word::New, after.create_time);
            unplaced = Facts::unplaced(after);
            &unplaced
        }
    };
    of_status(before, after, &mut found);
    of_parts(before, after, &mut found);
    let mut changes = found.changes;
    changes.sort_by_key(|change| (change.at, change.word.rank()));
    changes
}

struct Changes {
    changes: Vec<Change>,
    latest: i64,
}

impl Changes {
    /// A time of 0 or 1 is none: the status alone tells of the change.
    fn add(&mut self, word: Word, at: i64) {
        let at = if at > 1 { at } else { self.latest };
        self.changes.push(Change { word, at });
    }
}

/// What the status tells, or times that belong to it.
fn of_status(before: &Facts, after: &Facts, found: &mut Changes) {
    let told = found.changes.len();
    if after.paid && !before.paid {
        found.add(Word::Pay(after.pay_time), after.pay_time);
    }
    if after.shippable && !before.shippable {
        // An ordinary order is ready with its payment; a gift or a group later, and nothing tells when.
        let at = if before.status == chart::UNPAID || before.status == 0 { after.pay_time } else { 0 };
        found.add(Word::WaitShipping, at);
    }
    shipments(before, after, found);
    if after.confirmed_at > 0 && before.confirmed_at == 0 {
        found.add(Word::Confirm, after.confirmed_at);
    }
    if after.settled_at > 0 && before.settled_at == 0 {
        found.add(Word::Settle(after.settled_at), after.settled_at);
    }
    if before.status != after.status {
        match after.status {
            chart::CANCELLED => found.add(Word::Cancel(0), 0),
            chart::REFUNDED => found.add(Word::Cancel(3), 0),
            chart::OVERSOLD => found.add(Word::Cancel(4), 0),
            // A status that came in a way that no chart has, and that nothing above told of: the arrival is told.
            status if found.changes.len() == told => arrival(status, found),
            _ => {}
        }
    }
}

fn arrival(status: i64, found: &mut Changes) {
    match status {
        chart::TO_SHIP => found.add(Word::WaitShipping, 0),
        chart::PARTLY_SHIPPED => found.add(Word::Deliver { complete: false }, 0),
        chart::SHIPPED => found.add(Word::Deliver { complete: true }, 0),
        chart::FINISHED => found.add(Word::Confirm, 0),
        _ => {}
    }
}

/// Each call that ships raises an event. Calls are told apart by the times of their parcels; parcels that were changed
/// after shipping raise none.
fn shipments(before: &Facts, after: &Facts, found: &mut Changes) {
    let completed = after.shipped_at > 0 && before.shipped_at == 0;
    if before.shipped_at > 0 {
        return;
    }
    let fresh = after.parcels.len().saturating_sub(before.parcels.len());
    let mut times: Vec<i64> = after.parcels.iter().rev().take(fresh).copied().collect();
    times.reverse();
    let last = if completed { Some(times.pop().unwrap_or(after.shipped_at)) } else { None };
    for time in times {
        found.add(Word::Deliver { complete: false }, time);
    }
    if let Some(time) = last {
        found.add(Word::Deliver { complete: true }, time);
    }
}

/// What ext_info_update tells (platform page, section 3.3).
fn of_parts(before: &Facts, after: &Facts, found: &mut Changes) {
    // A gift that was read before it was paid and after it was accepted shows by its first address.
    let arrived = before.address.is_none() && after.address.is_some();
    let accepted_gift = arrived || (before.status == chart::PRESENT && after.status != chart::PRESENT);
    let mut ext = |changed: bool, ext_type: i64, at: i64| {
        if changed {
            found.add(Word::Ext(ext_type), at);
        }
    };
    ext(before.commission != after.commission, 1, 0);
    // Accepting a gift brings the address: on-wait-shipping tells.
    let moved = before.address != after.address && !accepted_gift;
    ext(moved, ADDRESS, 0);
    ext(before.note != after.note, 3, 0);
    let wished = after.wished_address.is_some()
        && (before.wished_address != after.wished_address || before.wished_at != after.wished_at);
    ext(wished, 4, after.wished_at);
    let number = number_changed(before.number.as_ref(), after.number.as_ref(), moved || accepted_gift);
    ext(number.is_some(), 5, number.unwrap_or(0));
    ext(before.sharer != after.sharer, 6, 0);
    ext(before.gift_note != after.gift_note, 8, 0);
    ext(!after.sku_wishes.is_subset(&before.sku_wishes), 9, 0);
    // A product need not show the wish any more that it was changed for.
    let granted = !after.sku_granted.is_subset(&before.sku_granted);
    ext(granted || (before.skus != after.skus && !accepted_gift), 10, 0);
    ext(accepted_gift && before.skus != after.skus, 11, 0);
    ext(before.price != after.price, 12, 0);
    ext(after.real_number && !before.real_number && !moved && !accepted_gift, 13, 0);
    ext(before.dropship != after.dropship, if after.dropship.is_some() { 14 } else { 15 }, 0);
    let lapsed = before.wished_address.is_some() && after.wished_address.is_none() && !moved;
    ext(lapsed && after.parcels.len() > before.parcels.len(), 20, 0);
}

/// When a virtual number changed or ran out; 0 if only the update tells. A number that goes with the old address is no
/// news of its own.
fn number_changed(before: Option<&Number>, after: Option<&Number>, moved: bool) -> Option<i64> {
    match (before, after) {
        (None, None) => None,
        (Some(_), None) => (!moved).then_some(0),
        (None, Some(_)) => Some(0),
        (Some(old), Some(new)) => {
            let same = (&old.mark, old.expires_at, old.delays) == (&new.mark, new.expires_at, new.delays);
            match (same, new.expired && !old.expired) {
                (true, true) => Some(new.expires_at),
                (true, false) => None,
                // One change, however much of it: also a number whose time was ended early.
                (false, _) => Some(0),
            }
        }
    }
}
