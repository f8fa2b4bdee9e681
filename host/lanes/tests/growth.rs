//! What an attempt makes the journal keep: bounded, written before it is much, and the same when it is read again.
#![allow(unused_braces, clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod rig;

use std::sync::Arc;

use fangshi_database::{Digest, InstallationId};
use fangshi_journal::RunState;
use fangshi_lanes::{Backtest, LanesConfig, ReplayVerdict};
use fangshi_runtime::Outcome;
use rig::{GRANTS, Mood, ORDER, Rig, outcome_of, send_out, set_note};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// Characters that JSON writes in six bytes each, and a character that it may not lose.
fn noise() -> String {
    "\u{1}\u{0}\u{1b}重".repeat(20_000)
}

/// A plugin that asks an outside host, and notes whether it heard the noise.
fn listens() -> rig::Script {
    script!(|_input, host| {
        let heard = send_out(host, "GET").await.unwrap();
        let note = if heard["body"] == Value::String(noise()) { "all of it" } else { "something else" };
        outcome_of(set_note(host, ORDER, note).await.map(drop))
    })
}

#[tokio::test]
async fn an_answer_of_control_characters_is_the_same_to_a_resume_a_replay_and_a_backtest() {
    let mut rig = Rig::new().await;
    rig.install(1, false, listens());
    *rig.shop.outside_says.lock().unwrap() = noise();
    rig.shop.moods.lock().unwrap().push_back(Mood::Hang);
    rig.pay(ORDER).await;
    rig.shop.hanging.notified().await;
    rig.crash().await;
    let longest = rig.count("SELECT MAX(LENGTH(answer)) FROM calls").await;
    assert!(longest < (noise().len() * 3 / 2) as i64, "{longest} bytes of {}", noise().len());

    // Whoever asked again would hear something else now.
    *rig.shop.outside_says.lock().unwrap() = "nothing".into();
    rig.hand.advance(1_000);
    rig.restart().await;
    rig.settle().await;
    assert_eq!(rig.states().await, [RunState::Done]);
    assert_eq!(rig.shop.applied().last().unwrap()["merchant_notes"], "all of it");
    let replays = rig.lanes.replays();
    let replayed = replays.replay(rig.tenant, rig.runs().await[0].id, None).await.unwrap();
    assert_eq!(replayed.verdict, ReplayVerdict::Same);
    let version = Digest([99; 32]);
    rig.scripts.install(version, listens());
    let ask = Backtest {
        tenant: rig.tenant,
        installation: InstallationId(1),
        version,
        hooks: vec!["on-pay".into()],
        events: 10,
        grants: GRANTS.map(str::to_owned).into(),
        settings: Arc::new(json!({})),
        limits: json!({}),
    };
    let report = replays.backtest(&ask).await.unwrap();
    assert_eq!((report.totals.same, report.items.len()), (1, 0), "{report:?}");
}

#[tokio::test]
async fn an_attempt_ends_with_the_figure_when_the_journal_keeps_no_more_of_it() {
    let config = LanesConfig { sweep_every: None, journal_bytes: 1 << 20, ..LanesConfig::default() };
    let rig = Rig::with(config).await;
    let script = script!(|_input, host| {
        for _ in 0..100 {
            if let Err(error) = send_out(host, "GET").await {
                return outcome_of(Err(error));
            }
        }
        Outcome::Done
    });
    rig.install(1, false, script);
    *rig.shop.outside_says.lock().unwrap() = "\u{1}".repeat(100_000);
    rig.pay(ORDER).await;
    rig.settle().await;
    let run = rig.runs().await.remove(0);
    let detail = rig.journal.run(rig.tenant, run.id).await.unwrap().unwrap();
    let attempt = &detail.attempt_list[0];
    assert_eq!(
        (attempt.outcome.as_deref(), attempt.reason.as_deref()),
        (Some("limit"), Some("journal_bytes: 1048576 allowed"))
    );
    // The call under way at the bound is kept, and none after it.
    let kept = rig.count("SELECT SUM(LENGTH(request) + LENGTH(answer)) FROM calls").await;
    assert!((1 << 20..(1 << 20) + 140_000).contains(&kept), "{kept}");
    assert_eq!(rig.shop.applied().len(), attempt.calls.len());
    let replayed = rig.lanes.replays().replay(rig.tenant, run.id, Some(1)).await.unwrap();
    assert_eq!(replayed.verdict, ReplayVerdict::SameSoFar);
}

#[tokio::test]
async fn much_that_waits_is_written_before_the_next_call() {
    let rig = Rig::new().await;
    let (there, go): (Arc<Notify>, Arc<Notify>) = Default::default();
    let (told, may) = (there.clone(), go.clone());
    let script = script!(
        [told, may] | _input,
        host | {
            for _ in 0..6 {
                send_out(host, "GET").await.unwrap();
            }
            told.notify_one();
            may.notified().await;
            Outcome::Done
        }
    );
    rig.install(1, false, script);
    *rig.shop.outside_says.lock().unwrap() = "x".repeat(1 << 20);
    rig.pay(ORDER).await;
    there.notified().await;
    let durable = rig.count("SELECT COUNT(*) FROM calls").await;
    go.notify_one();
    rig.settle().await;
    assert_eq!((durable, rig.states().await), (4, vec![RunState::Done]));
    assert_eq!(rig.count("SELECT COUNT(*) FROM calls").await, 6);
}

#[test]
fn the_pages_of_limits_have_the_figure() {
    assert_eq!(LanesConfig::default().journal_bytes, 67_108_864);
    for page in [include_str!("../../../docs/limits.md"), include_str!("../../../docs/limits.zh-CN.md")] {
        assert!(page.contains("| `journal_bytes` | 67,108,864 "));
    }
}
