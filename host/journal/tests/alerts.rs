//! Alerts: durable with what they tell of, told once, and counted while they wait.
#![allow(clippy::unwrap_used)]

mod rig;

use fangshi_journal::{ALERT_WAIT_MS, AlertKind, Condition, JournalError, Next, Repair, TenantId};
use fangshi_tenants::{Actor, StateChange, TenantPatch};
use rig::Rig;

async fn write(rig: &Rig, statements: &'static [&'static str]) {
    let written: Result<(), fangshi_database::WriteError> = rig
        .db
        .writer()
        .submit(move |c| {
            Box::pin(async move {
                for text in statements {
                    sqlx::query(*text).execute(&mut *c).await?;
                }
                Ok(())
            })
        })
        .await;
    written.unwrap();
}

async fn stand(rig: &Rig, state: StateChange) {
    rig.tenants.update(rig.tenant, TenantPatch { state: Some(state), ..TenantPatch::default() }).await.unwrap();
}

#[tokio::test]
async fn only_what_should_be_done_by_now_is_overdue() {
    let rig = Rig::new().await;
    let overdue = async || rig.journal.overdue_ms().await.unwrap();
    assert_eq!(overdue().await, 0);
    rig.journal.record_event(rig.event(9)).await.unwrap();
    rig.hand.advance(7_000);
    assert_eq!(overdue().await, 7_000, "an event without runs");
    stand(&rig, StateChange::Suspended { reason: "operator".into() }).await;
    assert_eq!(overdue().await, 0, "its shop is stopped");
    rig.hand.advance(60_000);
    stand(&rig, StateChange::Active).await;
    rig.hand.advance(1_000);
    assert_eq!(overdue().await, 1_000, "late since the shop works again");

    write(&rig, &["DELETE FROM events"]).await;
    let (fence, run, event) = rig.entered(1).await;
    let buffer = rig.begin(run, 1);
    let later = rig.clock.now() + 3_600_000;
    let one = fangshi_journal::InstallationId(1);
    let ending = rig.ending(event, Next::Retry { at_ms: later });
    rig.journal.end_attempt(&fence, &buffer, one, &ending).await.unwrap();
    let (_, second, _) = rig.entered(2).await;
    rig.hand.advance(3_600_000);
    assert_eq!(overdue().await, 0, "one waits for its retry, the other for the one");
    rig.hand.advance(2_000);
    assert_eq!(overdue().await, 2_000, "its time came");

    write(
        &rig,
        &[
            "INSERT INTO plugins (id, tenant_id, name, created_at) VALUES (1, 1, 'p', 1)",
            "INSERT INTO components VALUES (1, x'01', x'01')",
            "INSERT INTO versions (id, tenant_id, plugin_id, digest, size, hooks, grants, uploaded_at) \
             VALUES (1, 1, 1, x'01', 1, '[]', '[]', 1)",
            "INSERT INTO installations (id, tenant_id, plugin_id, digest, state, settings, limits, created_at, \
             updated_at) VALUES (1, 1, 1, x'01', 'paused', x'01', '{}', 1, 1)",
        ],
    )
    .await;
    assert_eq!(overdue().await, 0, "its installation is paused");
    write(&rig, &["UPDATE installations SET state = 'active'"]).await;
    assert_eq!(overdue().await, 2_000);
    write(&rig, &["UPDATE versions SET revoked_at = 1"]).await;
    assert_eq!(overdue().await, 0, "the approval of its version was taken back");
    write(&rig, &["UPDATE versions SET revoked_at = NULL"]).await;
    assert_eq!(overdue().await, 2_000);

    let state = rig.journal.lane(&rig.lane()).await.unwrap();
    let fence = rig.journal.enter(&rig.lane(), state.epoch, Vec::new()).await.unwrap();
    rig.journal.park(&fence, run, event, "attempts").await.unwrap();
    let event = rig.journal.run(rig.tenant, second).await.unwrap().unwrap().run.event_seq;
    rig.journal.park(&fence, second, event, "attempts").await.unwrap();
    assert_eq!(overdue().await, 0, "parked");
    let repairs = vec![Repair { run, version: None }];
    assert_eq!(rig.journal.repair(Actor::Operator(None), rig.tenant, repairs).await.unwrap().len(), 1);
    rig.hand.advance(5_000);
    assert_eq!(overdue().await, 0, "a person looks after what a person repaired");
}

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
    assert!(rest[0].id > alert.id, "a number names one alert: {rest:?}");
    assert_eq!((rest.len(), rest[0].count, rest[0].tries, rest[0].ended_at.is_some()), (1, 1, 0, true));
    let all = rig.journal.alerts(None, 9).await.unwrap();
    assert_eq!((all[1].id, all[1].count, all[1].sent_at.is_some()), (alert.id, 2, true), "as it was sent");
    rig.journal.alert_sent(&rest[0]).await.unwrap();
    assert_eq!(rig.journal.alerts_waiting().await.unwrap(), 0);
    park(4).await;
    let new = rig.journal.due_alerts(9).await.unwrap();
    assert!(new[0].id > rest[0].id && new[0].count == 1, "what was sent is not counted on");
}

#[tokio::test]
async fn a_clock_that_was_ahead_keeps_no_alert_back() {
    let rig = Rig::new().await;
    let now = rig.clock.now();
    let park = async |n: u8| {
        let (fence, run, event) = rig.entered(n).await;
        let buffer = rig.begin(run, 1);
        let ending = rig.ending(event, Next::Parked { reason: "attempts" });
        rig.journal.end_attempt(&fence, &buffer, fangshi_journal::InstallationId(1), &ending).await.unwrap();
    };
    rig.hand.advance(40 * 86_400_000);
    park(1).await;
    let due = rig.journal.due_alerts(9).await.unwrap();
    rig.journal.alert_refused(&due[0], rig.clock.now() + ALERT_WAIT_MS).await.unwrap();
    assert!(rig.journal.due_alerts(9).await.unwrap().is_empty(), "it waits, as long as it can");
    rig.hand.set(now);
    park(2).await;
    let due = rig.journal.due_alerts(9).await.unwrap();
    assert_eq!((due.len(), due[0].count), (1, 2), "at the same reason");
    rig.journal.alert_refused(&due[0], now + 1_000).await.unwrap();
    assert!(rig.journal.due_alerts(9).await.unwrap().is_empty(), "and waits by the clock of now");
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
    // It ends and begins once more while that is being sent.
    let due = rig.journal.due_alerts(9).await.unwrap();
    rig.journal.conditions_hold(Vec::new()).await.unwrap();
    rig.journal.conditions_hold(vec![stopped()]).await.unwrap();
    rig.journal.alert_sent(&due[0]).await.unwrap();
    let all = rig.journal.alerts(None, 9).await.unwrap();
    assert_eq!((all[0].count, all[0].sent_at, all[0].ended_at), (1, None, None), "it holds");
    assert_eq!((all[1].id, all[1].ended_at.is_some()), (due[0].id, true), "and what was sent is over");
    rig.hand.advance(31 * 24 * 3_600_000);
    rig.journal.conditions_hold(vec![stopped()]).await.unwrap();
    let kept = rig.journal.alerts(None, 9).await.unwrap();
    assert_eq!(kept.len(), 1, "what was sent and is over goes after a month: {kept:?}");

    // The same where nobody takes alerts.
    rig.journal.conditions_hold(Vec::new()).await.unwrap();
    assert_eq!(rig.journal.due_alerts(9).await.unwrap()[0].ended_at, Some(rig.clock.now()));
    rig.hand.advance(30 * 24 * 3_600_000);
    rig.journal.conditions_hold(Vec::new()).await.unwrap();
    assert_eq!(rig.journal.alerts(None, 9).await.unwrap().len(), 1, "not before");
    rig.hand.advance(1);
    rig.journal.conditions_hold(Vec::new()).await.unwrap();
    assert!(rig.journal.alerts(None, 9).await.unwrap().is_empty());
}
