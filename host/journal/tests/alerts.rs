//! Alerts: durable with what they tell of, told once, and counted while they wait.
#![allow(clippy::unwrap_used)]

mod rig;

use fangshi_journal::{AlertKind, Condition, JournalError, Next, TenantId};
use rig::Rig;

#[tokio::test]
async fn runs_that_are_parked_are_counted_in_one_alert_until_it_is_sent() {
    let rig = Rig::new().await;
    let park = async |n: u8| {
        let (fence, run, event) = rig.entered(n).await;
        let buffer = rig.begin(run, 1);
        let ending = rig.ending(event, Next::Parked { reason: "attempts" });
        rig.journal.end_attempt(&fence, &buffer, fangshi_journal::InstallationId(1), &ending).await.unwrap();
    };
    park(1).await;
    park(2).await;
    let due = rig.journal.due_alerts(9).await.unwrap();
    assert_eq!(due.len(), 1);
    let alert = &due[0];
    assert_eq!((alert.kind, alert.tenant, &*alert.subject), (AlertKind::RunParked, rig.tenant, "attempts"));
    assert_eq!((alert.count, alert.ended_at.is_some()), (2, true));

    rig.journal.alert_refused(alert, rig.clock.now() + 5_000).await.unwrap();
    assert!(rig.journal.due_alerts(9).await.unwrap().is_empty(), "not before its time");
    rig.hand.advance(5_000);
    let due = rig.journal.due_alerts(9).await.unwrap();
    assert_eq!((due[0].id, due[0].tries), (alert.id, 1));

    // One more while it is being sent: that one is still to be told.
    park(3).await;
    rig.journal.alert_sent(&due[0]).await.unwrap();
    let rest = rig.journal.due_alerts(9).await.unwrap();
    assert_eq!((rest[0].id, rest[0].count, rest[0].tries), (alert.id, 1, 0));
    rig.journal.alert_sent(&rest[0]).await.unwrap();
    assert_eq!(rig.journal.alerts_waiting().await.unwrap(), 0);
    park(4).await;
    let new = rig.journal.due_alerts(9).await.unwrap();
    assert!(new[0].id > alert.id && new[0].count == 1, "what was sent is not counted on");
}

#[tokio::test]
async fn a_parking_that_is_not_written_tells_nobody() {
    let rig = Rig::new().await;
    let (fence, run, event) = rig.entered(1).await;
    rig.journal.enter(&rig.lane(), fence.epoch, Vec::new()).await.unwrap();
    let parked = rig.journal.park(&fence, run, event, "removed").await;
    assert!(matches!(parked, Err(JournalError::Stale)));
    assert_eq!(rig.journal.alerts_waiting().await.unwrap(), 0);
}

#[tokio::test]
async fn a_condition_is_told_once_for_as_long_as_it_holds() {
    let rig = Rig::new().await;
    let stopped = || Condition { kind: AlertKind::TenantStopped, tenant: rig.tenant, subject: "suspended" };
    let old = || Condition { kind: AlertKind::BacklogOld, tenant: TenantId::HOST, subject: "events" };
    for _ in 0..3 {
        rig.journal.conditions_hold(vec![stopped(), old()]).await.unwrap();
    }
    let due = rig.journal.due_alerts(9).await.unwrap();
    assert_eq!(due.iter().map(|alert| alert.count).collect::<Vec<_>>(), [1, 1]);
    for alert in &due {
        rig.journal.alert_sent(alert).await.unwrap();
    }
    rig.journal.conditions_hold(vec![stopped()]).await.unwrap();
    assert_eq!(rig.journal.alerts_waiting().await.unwrap(), 0, "it holds on, and was told");
    let ended = |alerts: &[fangshi_journal::Alert], kind| alerts.iter().find(|one| one.kind == kind).unwrap().ended_at;
    let all = rig.journal.alerts(None, 9).await.unwrap();
    assert!(ended(&all, AlertKind::BacklogOld).is_some() && ended(&all, AlertKind::TenantStopped).is_none());

    rig.journal.conditions_hold(Vec::new()).await.unwrap();
    rig.journal.conditions_hold(vec![stopped()]).await.unwrap();
    assert_eq!(rig.journal.alerts_waiting().await.unwrap(), 1, "it began anew");
    rig.hand.advance(31 * 24 * 3_600_000);
    rig.journal.conditions_hold(vec![stopped()]).await.unwrap();
    let kept = rig.journal.alerts(None, 9).await.unwrap();
    assert_eq!(kept.len(), 1, "what was sent and is over goes after a month: {kept:?}");
}
