//! Events: durable, deduplicated, in sequence, sealed.
#![allow(clippy::unwrap_used)]

mod rig;

use std::sync::{Arc, Mutex};

use fangshi_journal::{Backlog, EventFilter, Executor, LaneKey, Source};
use rig::{CANARY, ORDER, Rig};

#[tokio::test]
async fn an_event_is_recorded_once_and_its_duplicate_gets_the_first_ones_place() {
    let rig = Rig::new().await;
    let first = rig.journal.record_event(rig.event(1)).await.unwrap();
    let other = rig.journal.record_event(rig.event(2)).await.unwrap();
    let again = rig.journal.record_event(rig.event(1)).await.unwrap();
    assert!(!first.duplicate && !other.duplicate && again.duplicate);
    assert_eq!(again.seq, first.seq);
    assert!(other.seq > first.seq);
    assert_eq!(rig.count("SELECT COUNT(*) FROM events").await, 2);

    let stored = rig.journal.event(rig.tenant, first.seq).await.unwrap();
    assert_eq!(stored.body, rig.event(1).body);
    assert_eq!((stored.event.as_str(), stored.source), ("channels_ec_order_pay", Source::Callback));
    assert_eq!(&*stored.lane.order_id, ORDER);
    let other_tenant = fangshi_journal::TenantId(rig.tenant.0 + 1);
    assert!(rig.journal.event(other_tenant, first.seq).await.is_err(), "another tenant reads no event");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_are_all_recorded_and_doubles_among_them_once() {
    let rig = Arc::new(Rig::new().await);
    let tasks: Vec<_> = (0..400u16)
        .map(|n| {
            let rig = rig.clone();
            tokio::spawn(async move {
                let mut event = rig.event(0);
                event.dedup[..2].copy_from_slice(&(n / 2).to_be_bytes());
                rig.journal.record_event(event).await.unwrap()
            })
        })
        .collect();
    let mut fresh = 0;
    for task in tasks {
        fresh += u32::from(!task.await.unwrap().duplicate);
    }
    assert_eq!(fresh, 200);
    assert_eq!(rig.count("SELECT COUNT(*) FROM events").await, 200);
    assert!(rig.db.writer().stats().commits < 400, "events share commits");
}

#[derive(Default)]
struct Pokes(Mutex<Vec<LaneKey>>);

impl Executor for Pokes {
    fn poke(&self, lane: &LaneKey) {
        self.0.lock().unwrap().push(lane.clone());
    }
    fn poke_at(&self, _: &LaneKey, _: i64) {}
}

#[tokio::test]
async fn a_new_event_pokes_its_lane_and_a_duplicate_does_not() {
    let rig = Rig::new().await;
    let pokes = Arc::new(Pokes::default());
    rig.journal.attach_executor(pokes.clone());
    rig.journal.record_event(rig.event(1)).await.unwrap();
    rig.journal.record_event(rig.event(1)).await.unwrap();
    assert_eq!(*pokes.0.lock().unwrap(), [rig.lane()]);
}

#[tokio::test]
async fn an_event_that_nobody_hears_is_finished_at_once_unless_it_may_be_an_echo() {
    let rig = Rig::new().await;
    let pokes = Arc::new(Pokes::default());
    rig.journal.attach_executor(pokes.clone());
    let unheard = |n: u8, event: &str| {
        let mut unheard = rig.event(n);
        unheard.event = event.into();
        unheard
    };
    rig.journal.record_event(unheard(1, "channels_ec_order_deliver")).await.unwrap();
    rig.journal.record_event(unheard(2, "product_order_status_update")).await.unwrap();
    assert!(pokes.0.lock().unwrap().is_empty());
    assert_eq!(rig.count("SELECT COUNT(*) FROM events WHERE state = 2").await, 2);
    assert_eq!(rig.journal.backlog().await.unwrap(), Backlog::default());

    let (fence, run, _) = rig.entered(3).await;
    rig.journal.intent(&fence, &rig.begin(run, 1), &rig.intent(0, 0).await, None).await.unwrap();
    let before = pokes.0.lock().unwrap().len();
    rig.journal.record_event(unheard(4, "channels_ec_order_deliver")).await.unwrap();
    assert_eq!(pokes.0.lock().unwrap().len(), before + 1, "its lane finds out whether the effect explains it");
    assert_eq!(rig.journal.backlog().await.unwrap().events, 2);
}

#[tokio::test]
async fn lists_are_paged_newest_first_and_the_backlog_has_an_age() {
    let rig = Rig::new().await;
    assert_eq!(rig.journal.backlog().await.unwrap(), Backlog::default());
    for n in 1..=5 {
        let mut event = rig.event(n);
        if n == 3 {
            event.order_id = "1".into();
        }
        rig.journal.record_event(event).await.unwrap();
        rig.hand.advance(1_000);
    }
    let backlog = rig.journal.backlog().await.unwrap();
    assert_eq!((backlog.events, backlog.unplanned, backlog.oldest_ms), (5, 5, 5_000));

    assert_eq!(rig.journal.recent_backlog().await.unwrap(), backlog);
    rig.journal.record_event(rig.event(6)).await.unwrap();
    rig.hand.advance(999);
    assert_eq!(rig.journal.recent_backlog().await.unwrap(), backlog, "counted within the last second");
    rig.hand.advance(1);
    assert_eq!(rig.journal.recent_backlog().await.unwrap(), rig.journal.backlog().await.unwrap());
    assert_eq!(rig.journal.recent_backlog().await.unwrap().events, 6);

    let filter = EventFilter { limit: 2, ..EventFilter::default() };
    let page = rig.journal.events(rig.tenant, &filter).await.unwrap();
    let mut seen: Vec<_> = page.items.iter().map(|event| event.seq).collect();
    let mut next = page.next;
    while let Some(before) = next {
        let page =
            rig.journal.events(rig.tenant, &EventFilter { before: Some(before), ..filter.clone() }).await.unwrap();
        seen.extend(page.items.iter().map(|event| event.seq));
        next = page.next;
    }
    assert_eq!(seen.len(), 6);
    assert!(seen.is_sorted_by(|a, b| a > b));
    let of_order = EventFilter { order_id: Some(ORDER.into()), limit: 100, before: None };
    assert_eq!(rig.journal.events(rig.tenant, &of_order).await.unwrap().items.len(), 5);
    let nobody = fangshi_journal::TenantId(rig.tenant.0 + 1);
    assert!(rig.journal.events(nobody, &filter).await.unwrap().items.is_empty());
}

/// The index of a tenant's events begins with the piece of the sequence, and a list crosses many.
#[tokio::test]
async fn a_list_finds_events_however_far_apart_they_lie() {
    let rig = Rig::new().await;
    let mut places = Vec::new();
    for (n, gap) in [0_i64, 1, 4_094, 4_095, 4_096, 1_000_000, 3_000_000_000, 3].into_iter().enumerate() {
        let jump: Result<(), fangshi_database::WriteError> = rig
            .db
            .writer()
            .submit(move |c| {
                Box::pin(async move {
                    sqlx::query("UPDATE sqlite_sequence SET seq = seq + $1 WHERE name = 'events'")
                        .bind(gap)
                        .execute(c)
                        .await?;
                    Ok(())
                })
            })
            .await;
        jump.unwrap();
        places.push(rig.journal.record_event(rig.event(n as u8 + 1)).await.unwrap().seq);
    }
    let (mut seen, mut filter) = (Vec::new(), EventFilter { limit: 3, ..EventFilter::default() });
    loop {
        let page = rig.journal.events(rig.tenant, &filter).await.unwrap();
        seen.extend(page.items.iter().map(|event| event.seq));
        filter.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    places.reverse();
    assert_eq!(seen, places);
}

#[tokio::test]
async fn the_sweeper_finds_events_without_runs_page_by_page() {
    let rig = Rig::new().await;
    for n in 1..=6 {
        let mut event = rig.event(n);
        event.order_id = (n % 3).to_string();
        rig.journal.record_event(event).await.unwrap();
    }
    let mut found = Vec::new();
    loop {
        let page = rig.journal.unplanned_lanes(found.last(), 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    let orders: Vec<_> = found.iter().map(|lane| &*lane.order_id).collect();
    assert_eq!(orders, ["0", "1", "2"]);
}

#[tokio::test]
async fn bodies_are_sealed_in_the_files_and_bound_to_their_row() {
    let rig = Rig::new().await;
    let one = rig.journal.record_event(rig.event(1)).await.unwrap().seq;
    rig.journal.record_event(rig.event(2)).await.unwrap();
    for file in std::fs::read_dir(rig.dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
    }
    // A body moved to another row does not open.
    rig.db
        .writer()
        .submit(|conn| {
            Box::pin(async move {
                sqlx::query("UPDATE events SET body = (SELECT body FROM events WHERE seq = 2) WHERE seq = 1")
                    .execute(conn)
                    .await
                    .unwrap();
                Ok::<_, fangshi_journal::JournalError>(())
            })
        })
        .await
        .unwrap();
    assert!(rig.journal.event(rig.tenant, one).await.is_err());
}
