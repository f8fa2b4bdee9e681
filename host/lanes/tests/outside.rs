//! Plugins that wait for hosts outside: they keep nobody else out, and their tenants pay for it.
#![allow(unused_braces, missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod rig;

use std::sync::Arc;
use std::time::Duration;

use fangshi_database::{InstallationId, TenantId};
use fangshi_journal::{RunState, RunView};
use fangshi_lanes::LanesConfig;
use fangshi_runtime::{CallError, Outcome};
use rig::{ORDER, Rig, outcome_of, send_out, set_note};
use serde_json::json;
use tokio::sync::Notify;

const PAY: &str = "channels_ec_order_pay";

async fn rig_of(max_concurrent_runs: usize) -> Rig {
    Rig::with(LanesConfig { sweep_every: None, max_concurrent_runs, ..LanesConfig::default() }).await
}

/// The next request to an outside host is answered when this is told.
fn hang(rig: &Rig) -> Arc<Notify> {
    let told = Arc::new(Notify::new());
    let waits = told.clone();
    rig.shop.outside_meanwhile.lock().unwrap().push_back(Box::pin(async move { waits.notified().await }));
    told
}

/// Waits until a run of the tenant has ended.
async fn ended(news: &mut tokio::sync::broadcast::Receiver<fangshi_lanes::Finished>, tenant: TenantId) -> &'static str {
    let look = async {
        loop {
            let one = news.recv().await.unwrap();
            if one.tenant == tenant {
                return one.outcome;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), look).await.expect("no place for anybody else")
}

#[tokio::test]
async fn runs_that_wait_outside_keep_no_other_tenant_out() {
    let rig = rig_of(4).await;
    let script = script!(|_input, host| { outcome_of(send_out(host, "POST").await.map(drop)) });
    rig.install(1, false, script);
    rig.install_for(rig.other, 2, false, json!({}), script!(|_input, _host| Outcome::Done));
    let answers: Vec<_> = (0..4).map(|_| hang(&rig)).collect();
    let mut news = rig.finished();
    for n in 0..4 {
        rig.pay(&format!("1{n}")).await;
    }
    rig.push_for(rig.other, PAY, "20", None).await;
    assert_eq!(ended(&mut news, rig.other).await, "done");
    // Of four places two may wait, and one tenant leaves as many to others as it has.
    let sent = || rig.shop.ledger.lock().unwrap().len();
    for _ in 0..3 {
        rig.push_for(rig.other, PAY, &format!("3{}", rig.ran().len()), None).await;
        assert_eq!(ended(&mut news, rig.other).await, "done");
    }
    assert_eq!(sent(), 1, "nothing was sent for those that found no room");
    for answer in &answers {
        answer.notify_one();
    }
    rig.settle().await;
    let states = async || {
        let own = |run: &RunView| run.installation == InstallationId(1);
        rig.runs().await.into_iter().filter(own).map(|run| run.state).collect::<Vec<_>>()
    };
    let now = states().await;
    assert_eq!(now.iter().filter(|state| **state == RunState::Waiting).count(), 3, "{now:?}");
    // They come back, one after the other.
    for _ in 0..8 {
        rig.advance(60).await;
    }
    assert_eq!(states().await, [RunState::Done; 4]);
    assert_eq!(sent(), 4, "each once");
}

#[tokio::test]
async fn of_the_runs_that_may_wait_outside_a_tenant_has_an_eighth() {
    let rig = rig_of(64).await;
    rig.install(1, false, script!(|_input, host| { outcome_of(send_out(host, "POST").await.map(drop)) }));
    let answers: Vec<_> = (0..16).map(|_| hang(&rig)).collect();
    let mut news = rig.finished();
    for n in 0..16 {
        rig.pay(&format!("1{n}")).await;
    }
    for _ in 4..16 {
        assert_eq!(ended(&mut news, rig.tenant).await, "retry-later");
    }
    assert_eq!(rig.shop.ledger.lock().unwrap().len(), 4);
    for answer in &answers {
        answer.notify_one();
    }
    rig.settle().await;
}

#[tokio::test]
async fn who_finds_no_room_is_told_so_and_it_is_in_the_journal() {
    let rig = rig_of(2).await;
    let script = script!(|_input, host| {
        match send_out(host, "POST").await {
            Err(CallError::Limited { retry_after: Some(5) }) => Outcome::Reject { reason: "no room".into() },
            answer => outcome_of(answer.map(drop)),
        }
    });
    rig.install(1, false, script.clone());
    rig.install_for(rig.other, 2, false, json!({}), script);
    let answer = hang(&rig);
    let mut news = rig.finished();
    rig.pay("10").await;
    // The first one is there before the second one is told of.
    while rig.shop.ledger.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    rig.push_for(rig.other, PAY, "20", None).await;
    assert_eq!(ended(&mut news, rig.other).await, "reject");
    let run = rig.runs().await.into_iter().find(|run| run.installation == InstallationId(2)).unwrap();
    let effects = rig.journal.effects(rig.other, run.id).await.unwrap();
    assert_eq!((effects.len(), effects[0].sends, effects[0].result.as_deref()), (1, 0, Some("limited")));
    answer.notify_one();
    rig.settle().await;
}

#[tokio::test]
async fn the_time_that_runs_wait_outside_is_their_tenants_to_pay() {
    let rig = rig_of(1).await;
    let script = script!(|_input, host| { outcome_of(send_out(host, "POST").await.map(drop)) });
    rig.install(1, false, script);
    rig.install_for(rig.other, 2, false, json!({}), script!(|_input, _host| Outcome::Done));
    // While the first one waits, everybody comes; it waits for half a second, so its lane alone does not end its turn.
    let (entered, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, waits, hand) = (entered.clone(), answer.clone(), rig.hand.clone());
    rig.shop.outside_meanwhile.lock().unwrap().push_back(Box::pin(async move {
        told.notify_one();
        waits.notified().await;
        hand.advance(500);
    }));
    rig.pay("10").await;
    entered.notified().await;
    for n in 1..4 {
        rig.pay(&format!("1{n}")).await;
        rig.push_for(rig.other, PAY, &format!("2{n}"), None).await;
    }
    answer.notify_one();
    rig.settle().await;
    let orders: Vec<String> = rig.ran().into_iter().map(|ran| ran.order).collect();
    assert_eq!(orders, ["10", "21", "22", "23", "11", "12", "13"], "the others had their turns first");
}

#[tokio::test]
async fn a_lane_whose_runs_take_long_gives_its_place_to_others_between_them() {
    let rig = rig_of(1).await;
    let (entered, goes_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    for id in 1..=3 {
        let (entered, goes_on, hand) = (entered.clone(), goes_on.clone(), rig.hand.clone());
        let script = script!(
            [entered, goes_on, hand] | _input,
            host | {
                // Any wait: for the platform, too.
                if id == 1 {
                    entered.notify_one();
                    goes_on.notified().await;
                }
                hand.advance(2_000);
                outcome_of(set_note(host, ORDER, "x").await.map(drop))
            }
        );
        rig.install(id, false, script);
    }
    rig.install_for(rig.other, 4, false, json!({}), script!(|_input, _host| Outcome::Done));
    rig.pay(ORDER).await;
    entered.notified().await;
    rig.push_for(rig.other, PAY, "20", None).await;
    goes_on.notify_one();
    rig.settle().await;
    let orders: Vec<String> = rig.ran().into_iter().map(|ran| ran.order).collect();
    assert_eq!(orders, [ORDER, "20", ORDER, ORDER]);
    assert!(rig.states().await.iter().all(|state| *state == RunState::Done));
}
