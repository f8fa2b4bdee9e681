//! Decides a buyer's wish for another address: accepted while the order can still be packed anew, refused after that.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
use fangshi_plugin::{
    Error, Event, ExtInfo, Order, Outcome, address_decision,
    codes::{ExtInfoKind, Status},
    log, note, on_ext_info_update, setting,
};

/// What the warehouse writes into the merchant's note when the parcel is packed, unless the setting `packed` says otherwise.
const PACKED: &str = "已打包";

on_ext_info_update!(decide);

fn decide(event: &Event, order: &Order, ext_info: ExtInfo) -> Outcome {
    if ext_info.kind() != ExtInfoKind::AddressRequested {
        return Ok(());
    }
    let decision = decision(&Facts {
        status: order.summary().named(),
        parcels: order.parcels().len(),
        ship_done_time: order.delivery().ship_done_time,
        packed: note::has_mark(&order.merchant_notes(), &setting::text("packed", PACKED)),
    });
    let answer = match decision {
        Decision::Accept => address_decision::accept(&event.order_id()),
        Decision::Refuse(_) => address_decision::reject(&event.order_id()),
        Decision::Leave => Ok(()),
    };
    match answer {
        // The buyer took the wish back, or somebody decided before us: nothing is left to do, now or later.
        Err(Error::Conflict(why)) => log!(Warning, "{decision:?} came too late: {why}"),
        other => {
            other?;
            log!(Info, "{decision:?}");
        }
    }
    Ok(())
}

/// What decides.
struct Facts {
    status: Status,
    parcels: usize,
    /// Unix seconds; 0 before.
    ship_done_time: i64,
    packed: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Accept,
    Refuse(&'static str),
    /// Not ours to decide.
    Leave,
}

fn decision(facts: &Facts) -> Decision {
    match facts.status {
        Status::PartlyShipped | Status::Shipped | Status::Finished => Decision::Refuse("shipped"),
        _ if facts.parcels > 0 || facts.ship_done_time > 0 => Decision::Refuse("shipped"),
        Status::Unpaid | Status::GiftToBeAccepted | Status::WaitingForGroup | Status::ToBeShipped if facts.packed => {
            Decision::Refuse("packed")
        }
        Status::Unpaid | Status::GiftToBeAccepted | Status::WaitingForGroup | Status::ToBeShipped => Decision::Accept,
        // Cancelled, refunded, or a status of tomorrow: the platform accepts by itself after 12 hours.
        _ => Decision::Leave,
    }
}

#[cfg(test)]
mod tests {
    use super::{Decision, Facts, decision};
    use fangshi_plugin::codes::Status;

    fn facts(status: u32) -> Facts {
        Facts { status: Status::from(status), parcels: 0, ship_done_time: 0, packed: false }
    }

    #[test]
    fn an_order_that_waits_on_the_shelf_goes_to_the_new_address() {
        for status in [10, 12, 13, 20] {
            assert_eq!(decision(&facts(status)), Decision::Accept, "{status}");
        }
    }

    #[test]
    fn a_packed_order_keeps_its_address() {
        assert_eq!(decision(&Facts { packed: true, ..facts(20) }), Decision::Refuse("packed"));
    }

    #[test]
    fn what_is_on_its_way_keeps_its_address() {
        for status in [21, 30, 100] {
            assert_eq!(decision(&facts(status)), Decision::Refuse("shipped"), "{status}");
        }
        // The status can lag behind the parcels (platform page, trap 8).
        assert_eq!(decision(&Facts { parcels: 1, ..facts(20) }), Decision::Refuse("shipped"));
        assert_eq!(decision(&Facts { ship_done_time: 1_764_656_486, ..facts(20) }), Decision::Refuse("shipped"));
    }

    #[test]
    fn ended_and_unknown_states_are_left_alone() {
        for status in [190, 200, 250, 777] {
            assert_eq!(decision(&facts(status)), Decision::Leave, "{status}");
        }
    }
}
