//! Decodes in a lane: a kept answer is journaled and nothing is sent; an address that changed between two attempts is
//! decoded anew.
#![allow(unused_braces, clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod rig;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fangshi_journal::{CallOrigin, RunState};
use fangshi_runtime::Outcome;
use rig::{ORDER, Rig, outcome_of};
use serde_json::json;

#[tokio::test]
async fn a_kept_answer_is_journaled_and_is_no_call() {
    let rig = Rig::new().await;
    *rig.shop.kept.lock().unwrap() = Some(json!({"address_info": {"user_name": "kept"}}));
    rig.install(
        1,
        true,
        script!(|_input, host| {
            let answer = host.operation("decode", "sensitive-info", json!({"order_id": ORDER})).await;
            assert_eq!(answer.as_ref().unwrap()["address_info"]["user_name"], "kept");
            outcome_of(answer.map(drop))
        }),
    );
    rig.pay(ORDER).await;
    rig.settle().await;
    let runs = rig.runs().await;
    assert_eq!(runs[0].state, RunState::Done);
    let detail = rig.journal.run(rig.tenant, runs[0].id).await.unwrap().unwrap();
    let call = &detail.attempt_list[0].calls[0];
    assert_eq!(
        (call.name.as_str(), call.origin, call.result.as_deref()),
        ("decode/sensitive-info", CallOrigin::Kept, Some("ok"))
    );
    assert!(rig.shop.ledger.lock().unwrap().is_empty(), "nothing was sent");
    let one = fangshi_database::InstallationId(1);
    let effects = rig.journal.effects_since(&rig.lane(ORDER), one, 0, "").await.unwrap();
    assert_eq!(effects, 0, "what was not sent explains no event");
}

#[tokio::test]
async fn a_later_attempt_decodes_anew_only_if_the_address_changed() {
    for changes in [false, true] {
        let rig = Rig::new().await;
        let attempts = Arc::new(AtomicU32::new(0));
        rig.install(
            1,
            true,
            script!(
                [attempts] | _input,
                host | {
                    let answer = host.operation("decode", "sensitive-info", json!({"order_id": ORDER})).await;
                    assert!(answer.is_ok(), "{answer:?}");
                    match attempts.fetch_add(1, Ordering::SeqCst) {
                        0 => Outcome::RetryLater { reason: "later".into(), after: None },
                        _ => Outcome::Done,
                    }
                }
            ),
        );
        let order = |hash: &str| {
            json!({"order_id": ORDER, "status": 20, "update_time": 1,
            "order_detail": {"delivery_info": {"address_info": {"hash_code": hash}}}})
        };
        rig.shop.orders.lock().unwrap().insert(ORDER.into(), order("h1"));
        rig.pay(ORDER).await;
        rig.settle().await;
        if changes {
            rig.shop.orders.lock().unwrap().insert(ORDER.into(), order("h2"));
        }
        rig.advance(60).await;
        assert_eq!(rig.states().await, [RunState::Done]);
        assert_eq!(rig.shop.applied().len(), if changes { 2 } else { 1 });
    }
}
