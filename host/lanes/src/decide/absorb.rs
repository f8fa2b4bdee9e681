//! Callbacks that come after reconciliation told of the same change.

use fangshi_journal::{EventSeq, Reconciled, Source, UnplannedEvent};

/// The reconciled event that absorbs a callback, if one does: the oldest of the same Event and type that came before it,
/// absorbed none yet, and was read off the order at or after the callback's CreateTime. Every other callback is delivered.
/// `used`: reconciled events that absorbed one since they were read.
pub fn absorb<'r>(event: &UnplannedEvent, reconciled: &'r [Reconciled], used: &[EventSeq]) -> Option<&'r Reconciled> {
    if event.source != Source::Callback {
        return None;
    }
    reconciled.iter().find(|made| {
        let same = made.event == event.event && made.ext_type == event.ext_type;
        let open = !made.matched && !used.contains(&made.seq) && made.seq < event.seq;
        same && open && made.update_time >= event.created_at
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn callback(seq: i64, ext_type: Option<i64>, created_at: i64) -> UnplannedEvent {
        UnplannedEvent {
            seq: EventSeq(seq),
            event: "channels_ec_order_ext_info_update".into(),
            ext_type,
            source: Source::Callback,
            only: None,
            created_at,
            received_at: 0,
        }
    }

    fn made(seq: i64, ext_type: Option<i64>, update_time: i64) -> Reconciled {
        let event = "channels_ec_order_ext_info_update".into();
        Reconciled { seq: EventSeq(seq), event, ext_type, since: 0, update_time, matched: false }
    }

    #[test]
    fn a_callback_is_absorbed_by_one_reconciled_event_that_is_no_older() {
        let all = [made(1, Some(3), 90), made(2, Some(5), 100), made(3, Some(3), 100), made(9, Some(3), 100)];
        let by = |event: &UnplannedEvent, used: &[EventSeq]| absorb(event, &all, used).map(|made| made.seq.0);
        assert_eq!(by(&callback(7, Some(3), 90), &[]), Some(1));
        assert_eq!(by(&callback(7, Some(3), 91), &[]), Some(3));
        assert_eq!(by(&callback(7, Some(3), 90), &[EventSeq(1)]), Some(3));
        assert_eq!(by(&callback(7, Some(3), 101), &[]), None);
        assert_eq!(by(&callback(7, Some(2), 90), &[]), None);
        assert_eq!(by(&callback(7, None, 90), &[]), None);
        // What was recorded before the reading was compared with it.
        assert_eq!(by(&callback(7, Some(3), 90), &[EventSeq(1), EventSeq(3)]), None);
        let mut found = callback(7, Some(3), 90);
        found.source = Source::Reconciled;
        assert_eq!(by(&found, &[]), None);
        let mut matched = made(1, Some(3), 90);
        matched.matched = true;
        assert_eq!(absorb(&callback(7, Some(3), 90), &[matched], &[]), None);
    }
}
