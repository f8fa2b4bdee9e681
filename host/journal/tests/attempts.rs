//! Attempts: what waits in the buffer, what an intent makes durable, what an end keeps, what a resume finds.
#![allow(clippy::unwrap_used)]

mod rig;

use fangshi_journal::{
    Allowance, BUSY, CallKind, EffectState, Ending, GIFT_NOTE, InstallationId, Intent, JournalError, KvAllowed,
    KvChange, LaneKey, Next, Outcome, Repair, Repaired, RunFilter, RunState,
};
use fangshi_tenants::Actor;
use rig::{CANARY, ORDER, Rig};
use serde_json::json;

const ONE: InstallationId = InstallationId(1);

#[tokio::test]
async fn reads_wait_for_the_next_intent_and_no_longer() {
    let rig = Rig::new().await;
    let (fence, run, event) = rig.entered(1).await;
    let buffer = rig.begin(run, 1);
    buffer.call(&rig.call(0, "search/list-orders", CallKind::Read, Some(json!({"order_ids": []}))).await).unwrap();
    buffer.log(1, CANARY).unwrap();
    assert_eq!(rig.count("SELECT COUNT(*) FROM attempts").await, 0, "nothing is durable before it must be");

    rig.journal.intent(&fence, &buffer, &rig.intent(1, 0).await, None).await.unwrap();
    assert_eq!(rig.count("SELECT COUNT(*) FROM attempts").await, 1);
    assert_eq!(rig.count("SELECT COUNT(*) FROM calls").await, 2, "the read and the intent");
    assert_eq!(rig.count("SELECT COUNT(*) FROM logs").await, 1);
    assert_eq!(rig.count("SELECT COUNT(*) FROM snapshots").await, 1);

    buffer.call(&rig.call(2, "search/list-orders", CallKind::Read, Some(json!({}))).await).unwrap();
    rig.journal.end_attempt(&fence, &buffer, ONE, &rig.ending(event, Next::Done)).await.unwrap();
    assert_eq!(rig.count("SELECT COUNT(*) FROM calls").await, 3);
}

#[tokio::test]
async fn an_intent_has_an_outcome_or_is_found_without_one() {
    let rig = Rig::new().await;
    let (fence, run, _) = rig.entered(1).await;
    let buffer = rig.begin(run, 1);
    let intent = rig.intent(0, 0).await;
    rig.journal.intent(&fence, &buffer, &intent, None).await.unwrap();
    let effects = rig.journal.effects(rig.tenant, run).await.unwrap();
    assert_eq!((effects[0].state, effects[0].sends, effects[0].unsure), (EffectState::Intent, 1, 0));
    assert_eq!(effects[0].before.as_ref().unwrap().json["status"], 20);
    assert_eq!(effects[0].key, intent.key);

    // Sent again without an answer of the first: counted.
    rig.journal.intent(&fence, &buffer, &intent, None).await.unwrap();
    let effects = rig.journal.effects(rig.tenant, run).await.unwrap();
    assert_eq!((effects[0].sends, effects[0].unsure), (2, 1));

    rig.journal.outcome(&fence, &buffer, &rig.outcome(&intent, EffectState::RefusedForNow).await).await.unwrap();
    rig.journal.intent(&fence, &buffer, &intent, None).await.unwrap();
    let effects = rig.journal.effects(rig.tenant, run).await.unwrap();
    assert_eq!((effects[0].sends, effects[0].unsure), (3, 1), "a refusal is an answer");

    let mut busy = Outcome { busy: true, ..rig.outcome(&intent, EffectState::Unknown).await };
    busy.call.result = Some(BUSY);
    rig.journal.outcome(&fence, &buffer, &busy).await.unwrap();
    let effects = rig.journal.effects(rig.tenant, run).await.unwrap();
    assert!(effects[0].met_a_busy_platform());
    rig.journal.intent(&fence, &buffer, &intent, None).await.unwrap();
    let effects = rig.journal.effects(rig.tenant, run).await.unwrap();
    assert_eq!((effects[0].sends, effects[0].unsure), (4, 1), "so is being busy, once it was looked at");
    assert!(!effects[0].met_a_busy_platform());

    // The plugin heard the same words of an answer that was lost.
    busy.busy = false;
    rig.journal.outcome(&fence, &buffer, &busy).await.unwrap();
    let effects = rig.journal.effects(rig.tenant, run).await.unwrap();
    assert!(effects[0].state == EffectState::Unknown && !effects[0].met_a_busy_platform());
    rig.journal.intent(&fence, &buffer, &intent, None).await.unwrap();
    let effects = rig.journal.effects(rig.tenant, run).await.unwrap();
    assert_eq!((effects[0].sends, effects[0].unsure), (5, 2));

    let kept_back = Outcome { kept_back: true, ..rig.outcome(&intent, EffectState::RefusedForNow).await };
    rig.journal.outcome(&fence, &buffer, &kept_back).await.unwrap();
    let effects = rig.journal.effects(rig.tenant, run).await.unwrap();
    assert_eq!((effects[0].sends, effects[0].unsure), (4, 2), "what never left is no send");
    rig.journal.intent(&fence, &buffer, &intent, None).await.unwrap();

    rig.journal.outcome(&fence, &buffer, &rig.outcome(&intent, EffectState::Applied).await).await.unwrap();
    let effects = rig.journal.effects(rig.tenant, run).await.unwrap();
    assert_eq!(effects[0].state, EffectState::Applied);
    assert_eq!(effects[0].answer, Some(json!(CANARY)));
    // What is settled is never sent again, whoever asks.
    let again = rig.journal.intent(&fence, &buffer, &intent, None).await;
    assert!(matches!(again, Err(JournalError::Corrupt(_))), "{again:?}");
    let again = rig.journal.outcome(&fence, &buffer, &rig.outcome(&intent, EffectState::Unknown).await).await;
    assert!(matches!(again, Err(JournalError::Corrupt(_))), "{again:?}");
}

#[tokio::test]
async fn a_refusal_after_a_send_in_doubt_is_unknown_when_the_run_ends() {
    let rig = Rig::new().await;
    let (fence, run, event) = rig.entered(1).await;
    let buffer = rig.begin(run, 1);
    let (doubtful, refused) = (rig.intent(0, 0).await, rig.intent(1, 1).await);
    for intent in [&doubtful, &doubtful, &refused] {
        rig.journal.intent(&fence, &buffer, intent, None).await.unwrap();
    }
    for intent in [&doubtful, &refused] {
        let outcome = rig.outcome(intent, EffectState::RefusedForNow).await;
        rig.journal.outcome(&fence, &buffer, &outcome).await.unwrap();
    }
    // What was refused may be found to be done after all, without another send.
    let found = rig.outcome(&doubtful, EffectState::RefusedForNow).await;
    rig.journal.outcome(&fence, &buffer, &found).await.unwrap();
    let ending = rig.ending(event, Next::Rejected);
    rig.journal.end_attempt(&fence, &buffer, InstallationId(1), &ending).await.unwrap();
    let effects = rig.journal.effects(rig.tenant, run).await.unwrap();
    let states: Vec<_> = effects.iter().map(|effect| (effect.unsure, effect.state)).collect();
    assert_eq!(states, [(0, EffectState::Unknown), (0, EffectState::RefusedForNow)], "one send is in doubt: the first");
}

#[tokio::test]
async fn an_attempt_that_was_cut_off_is_found_with_its_inputs_and_calls() {
    let rig = Rig::new().await;
    let (fence, run, event) = rig.entered(1).await;
    assert!(rig.journal.open_attempt(rig.tenant, run, 1).await.unwrap().is_none());
    let buffer = rig.begin(run, 1);
    let mut read = rig.call(0, "orders/get", CallKind::Read, None).await;
    read.result = Some("ok");
    read.snapshot = Some(rig.order(30));
    buffer.call(&read).unwrap();
    let intent = rig.intent(1, 0).await;
    rig.journal.intent(&fence, &buffer, &intent, None).await.unwrap();
    buffer.call(&rig.call(2, "kv/get", CallKind::Own, Some(json!(null))).await).unwrap(); // lost with the process

    let state = rig.journal.lane(&rig.lane()).await.unwrap();
    assert_eq!(state.runs[0].cut_off, Some((1, 0)));
    let open = rig.journal.open_attempt(rig.tenant, run, 1).await.unwrap().unwrap();
    assert_eq!(open.start.clock_ms, rig.clock.now());
    assert_eq!(open.start.inputs.seed, [5; 32]);
    assert_eq!(open.start.inputs.settings["note"], CANARY);
    assert_eq!(open.start.snapshot.as_ref().unwrap().digest, rig.order(20).digest);
    assert_eq!(open.calls.len(), 2);
    assert_eq!(open.calls[0].snapshot.as_ref().unwrap().json["status"], 30);
    assert_eq!((open.calls[1].name.as_str(), open.calls[1].result.as_deref()), ("notes/set-merchant-notes", None));
    assert_eq!(open.calls[1].digest, intent.key.digest);

    // The resume is counted, and what it writes again changes nothing.
    let mut start = open.start;
    start.resumes += 1;
    let buffer = rig.journal.begin_attempt(rig.tenant, run, 1, &start).unwrap();
    let fence = rig.journal.enter(&rig.lane(), fence.epoch, vec![]).await.unwrap();
    rig.journal.flush(&fence, &buffer).await.unwrap();
    assert_eq!(rig.journal.lane(&rig.lane()).await.unwrap().runs[0].cut_off, Some((1, 1)));
    assert_eq!(rig.count("SELECT COUNT(*) FROM attempts").await, 1);
    rig.journal.end_attempt(&fence, &buffer, ONE, &rig.ending(event, Next::Done)).await.unwrap();
    assert!(rig.journal.open_attempt(rig.tenant, run, 1).await.unwrap().is_none());
}

#[tokio::test]
async fn what_stopped_an_attempt_gives_way_to_the_answer_of_its_resume_and_an_answer_to_nothing() {
    let rig = Rig::new().await;
    let (fence, run, _) = rig.entered(1).await;
    let told = async |number: usize, result: &'static str| {
        let buffer = rig.begin(run, 1);
        let mut call = rig.call(0, "notes/set-merchant-notes", CallKind::Effect, Some(json!(number))).await;
        call.result = Some(result);
        buffer.call(&call).unwrap();
        rig.journal.flush(&fence, &buffer).await.unwrap();
        let open = rig.journal.open_attempt(rig.tenant, run, 1).await.unwrap().unwrap();
        (open.calls.len(), open.calls[0].answer.clone())
    };
    for (number, (result, kept)) in [("aborted", 0), ("unavailable", 1), ("ok", 1)].into_iter().enumerate() {
        assert_eq!(told(number, result).await, (1, Some(json!(kept))));
    }
}

#[tokio::test]
async fn a_dropped_step_loses_no_buffered_row() {
    let rig = Rig::new().await;
    let (fence, run, event) = rig.entered(1).await;
    let buffer = rig.begin(run, 1);
    buffer.log(1, "kept").unwrap();
    let intent = rig.intent(0, 0).await;
    {
        // Polled once and dropped, as at a run's deadline: it may be written or not, now or later.
        let step = rig.journal.intent(&fence, &buffer, &intent, None);
        tokio::pin!(step);
        let _ = futures_util::poll!(step.as_mut());
    }
    rig.journal.end_attempt(&fence, &buffer, ONE, &rig.ending(event, Next::Done)).await.unwrap();
    assert_eq!(rig.count("SELECT COUNT(*) FROM attempts WHERE ended_at IS NOT NULL").await, 1);
    assert_eq!(rig.count("SELECT COUNT(*) FROM logs").await, 1);
}

#[tokio::test]
async fn kv_commits_with_the_end_and_a_removal_removes() {
    let rig = Rig::new().await;
    let (fence, run, event) = rig.entered(1).await;
    let buffer = rig.begin(run, 1);
    let mut ending = rig.ending(event, Next::Retry { at_ms: rig.clock.now() + 5_000 });
    ending.kv = vec![
        KvChange { key: CANARY.into(), value: Some(CANARY.into()) },
        KvChange { key: "b".into(), value: Some(vec![0, 255]) },
    ];
    assert_eq!(rig.journal.kv(rig.tenant, ONE, "b").await.unwrap(), None);
    assert!(
        !rig.journal.end_attempt(&fence, &buffer, ONE, &ending).await.unwrap().event_finished,
        "the event has an open run"
    );
    assert_eq!(rig.journal.kv(rig.tenant, ONE, CANARY).await.unwrap(), Some(CANARY.into()));
    assert_eq!(rig.journal.kv(rig.tenant, ONE, "b").await.unwrap(), Some(vec![0, 255]));
    assert_eq!(rig.journal.kv(rig.tenant, InstallationId(2), "b").await.unwrap(), None);
    assert_eq!(rig.journal.kv_size(ONE).await.unwrap(), (2, 2 * CANARY.len() as u64 + 3));

    let buffer = rig.begin(run, 2);
    let mut ending = rig.ending(event, Next::Done);
    ending.kv = vec![KvChange { key: "b".into(), value: None }];
    assert!(
        rig.journal.end_attempt(&fence, &buffer, ONE, &ending).await.unwrap().event_finished,
        "the event is finished"
    );
    assert_eq!(rig.journal.kv(rig.tenant, ONE, "b").await.unwrap(), None);
    let again = rig.journal.end_attempt(&fence, &buffer, ONE, &ending).await;
    assert!(matches!(again, Err(JournalError::Corrupt(_))), "an attempt ends once");
}

#[tokio::test]
async fn kv_that_has_no_room_any_more_ends_nothing_and_what_does_not_grow_always_has_it() {
    let rig = Rig::new().await;
    let set = |key: &str, bytes: usize| KvChange { key: key.into(), value: Some(vec![0; bytes]) };
    let remove = |key: &str| KvChange { key: key.into(), value: None };
    let allowed = KvAllowed { keys: 2, bytes: 100 };
    // Changes, what is allowed, and what is kept after them: none if they are refused by this limit.
    let less = KvAllowed { keys: 1, bytes: 10 };
    for (n, (kv, allowed, kept)) in [
        (vec![set("a", 9), set("b", 9)], allowed, Ok((2, 20))),
        (vec![set("c", 1)], allowed, Err(("kv_keys", 2))),
        (vec![remove("b"), set("c", 88)], allowed, Ok((2, 99))),
        (vec![set("a", 11)], allowed, Err(("kv_bytes", 100))),
        (vec![set("a", 10)], allowed, Ok((2, 100))),
        (vec![set("c", 80)], less, Ok((2, 92))),
        (vec![remove("c"), set("d", 80)], less, Ok((2, 92))),
        (vec![set("d", 81)], less, Err(("kv_bytes", 10))),
        (vec![remove("a"), remove("d"), remove("x")], less, Ok((0, 0))),
    ]
    .into_iter()
    .enumerate()
    {
        let (fence, run, event) = rig.entered(n as u8 + 1).await;
        let buffer = rig.begin(run, 1);
        let before = (rig.journal.kv_size(ONE).await.unwrap(), rig.dump().await);
        let ending = Ending { kv, kv_allowed: allowed, ..rig.ending(event, Next::Done) };
        let ended = rig.journal.end_attempt(&fence, &buffer, ONE, &ending).await;
        match (ended, kept) {
            (Ok(_), Ok(kept)) => assert_eq!(rig.journal.kv_size(ONE).await.unwrap(), kept, "{n}"),
            (Err(JournalError::KvFull { limit, allowed }), Err(met)) => {
                assert_eq!((limit, allowed), met, "{n}");
                assert_eq!(
                    (rig.journal.kv_size(ONE).await.unwrap(), rig.dump().await),
                    before,
                    "{n}: nothing is written"
                );
                // It can end otherwise.
                let ending = rig.ending(event, Next::Done);
                rig.journal.end_attempt(&fence, &buffer, ONE, &ending).await.unwrap();
            }
            (ended, kept) => panic!("{n}: {ended:?}, {kept:?}"),
        }
        let counted = rig.count("SELECT count(*) * 1000 + COALESCE(sum(size), 0) FROM kv").await;
        let told = rig.journal.kv_size(ONE).await.unwrap();
        assert_eq!(counted as u64, told.0 * 1000 + told.1, "{n}: the totals are those of the rows");
    }
    assert_eq!(rig.count("SELECT count(*) FROM kv_totals").await, 0, "gone with the last key");
    assert_eq!(rig.journal.kv_key_size(rig.tenant, ONE, "a").await.unwrap(), None);
}

#[tokio::test]
async fn a_parked_run_is_listed_and_can_be_opened_again() {
    let rig = Rig::new().await;
    let (fence, run, event) = rig.entered(1).await;
    let buffer = rig.begin(run, 1);
    let parked = rig.ending(event, Next::Parked { reason: "loop" });
    assert!(rig.journal.end_attempt(&fence, &buffer, ONE, &parked).await.unwrap().event_finished);
    let filter = RunFilter { parked: true, limit: 10, ..RunFilter::default() };
    let page = rig.journal.runs(rig.tenant, &filter).await.unwrap();
    assert_eq!((page.items[0].state, page.items[0].reason.as_deref()), (RunState::Parked, Some("loop")));
    assert_eq!(rig.journal.backlog().await.unwrap().parked, 1);

    rig.hand.advance(1_000);
    let repair = |actor| rig.journal.repair(actor, rig.tenant, vec![Repair { run, version: None }]);
    let audited = "SELECT count(*) FROM audit WHERE action = 'runs-repaired' AND actor = 'operator'";
    assert_eq!(repair(Actor::Operator(None)).await.unwrap(), [Repaired { run, lane: rig.lane() }]);
    assert_eq!(rig.count(audited).await, 1);
    assert!(repair(Actor::Operator(None)).await.unwrap().is_empty(), "it is not parked any more");
    assert_eq!(rig.count(audited).await, 1, "what did not happen is not audited");
    let state = rig.journal.lane(&rig.lane()).await.unwrap();
    let reopened = &state.runs[0];
    assert!(reopened.repaired && reopened.state == RunState::Ready);
    assert_eq!((reopened.attempts, reopened.budget_from, reopened.first_at), (1, 1, None));
    assert_eq!(rig.journal.backlog().await.unwrap().events, 1);
}

#[tokio::test]
async fn an_attempt_that_is_parked_with_its_run_counts_and_its_number_is_not_given_again() {
    let rig = Rig::new().await;
    let (fence, run, event) = rig.entered(1).await;
    let intent = rig.intent(0, 0).await;
    rig.journal.intent(&fence, &rig.begin(run, 1), &intent, None).await.unwrap();
    assert!(rig.journal.park(&fence, run, event, "revoked").await.unwrap());
    let repair = |run| rig.journal.repair(Actor::Operator(None), rig.tenant, vec![Repair { run, version: None }]);
    repair(run).await.unwrap();
    let open = rig.journal.lane(&rig.lane()).await.unwrap().runs.remove(0);
    assert_eq!((open.attempts, open.budget_from, open.cut_off), (1, 1, None));
    let effects = rig.journal.effects(rig.tenant, run).await.unwrap();
    assert_eq!((effects[0].state, effects[0].attempt), (EffectState::Unknown, 1));
    let buffer = rig.begin(run, 2);
    rig.journal.end_attempt(&fence, &buffer, ONE, &rig.ending(event, Next::Done)).await.unwrap();
    let detail = rig.journal.run(rig.tenant, run).await.unwrap().unwrap();
    let outcomes: Vec<_> = detail.attempt_list.iter().map(|one| (one.number, one.outcome.as_deref())).collect();
    assert_eq!((detail.run.attempts, outcomes), (2, vec![(1, Some("revoked")), (2, Some("done"))]));

    // Nothing of it was begun: nothing is counted.
    let (fence, run, event) = rig.entered(2).await;
    rig.journal.park(&fence, run, event, "revoked").await.unwrap();
    repair(run).await.unwrap();
    assert_eq!(rig.journal.lane(&rig.lane()).await.unwrap().runs[0].attempts, 0);
}

#[tokio::test]
async fn a_run_is_shown_with_everything_and_nothing_of_it_is_clear_in_the_files() {
    let rig = Rig::new().await;
    let (fence, run, event) = rig.entered(1).await;
    let buffer = rig.begin(run, 1);
    buffer.call(&rig.call(0, "search/list-orders", CallKind::Read, Some(json!({"secret": CANARY}))).await).unwrap();
    buffer.log(2, CANARY).unwrap();
    let intent = rig.intent(1, 0).await;
    rig.journal.intent(&fence, &buffer, &intent, None).await.unwrap();
    rig.journal.outcome(&fence, &buffer, &rig.outcome(&intent, EffectState::Applied).await).await.unwrap();
    let mut ending = rig.ending(event, Next::Done);
    ending.kv = vec![KvChange { key: CANARY.into(), value: Some(CANARY.into()) }];
    rig.journal.end_attempt(&fence, &buffer, ONE, &ending).await.unwrap();

    let detail = rig.journal.run(rig.tenant, run).await.unwrap().unwrap();
    assert_eq!(detail.run.state, RunState::Done);
    let attempt = &detail.attempt_list[0];
    assert_eq!((attempt.number, attempt.outcome.as_deref(), attempt.fuel), (1, Some("done"), Some(1_000)));
    assert_eq!(attempt.reason.as_deref(), Some(CANARY));
    assert_eq!(attempt.calls.len(), 2);
    assert_eq!(attempt.calls[0].answer, Some(json!({"secret": CANARY})));
    assert_eq!(attempt.calls[1].result.as_deref(), Some("ok"));
    assert_eq!((attempt.logs[0].level, attempt.logs[0].text.as_str(), attempt.logs[0].position), (2, CANARY, 1));
    assert_eq!((detail.effects[0].state, detail.effects[0].sends), (EffectState::Applied, 1));
    assert_eq!(detail.effects[0].order_id, ORDER);
    let other = fangshi_journal::TenantId(rig.tenant.0 + 1);
    assert!(rig.journal.run(other, run).await.unwrap().is_none(), "another tenant sees no run");
    assert!(!format!("{detail:?}").contains(CANARY) || detail.attempt_list[0].reason.is_some());

    let mut files = 0;
    for file in std::fs::read_dir(rig.dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
        files += usize::from(bytes.len() > 4_096);
        for needle in [CANARY.as_bytes(), hex::encode(CANARY).as_bytes()] {
            assert!(!bytes.windows(needle.len()).any(|window| window == needle));
        }
    }
    assert!(files > 0);
}

#[tokio::test]
async fn effects_leave_traces_for_echoes_and_loops() {
    let rig = Rig::new().await;
    let (fence, run, _) = rig.entered(1).await;
    let buffer = rig.begin(run, 1);
    let order = LaneKey::new(rig.tenant, ORDER);
    let began = rig.clock.now();
    for nth in 0..3 {
        rig.journal.intent(&fence, &buffer, &rig.intent(nth, nth).await, None).await.unwrap();
        rig.hand.advance(1_000);
    }
    let one_more = rig.intent(3, 3).await;
    let of_another = Intent { installation: InstallationId(2), ..one_more.clone() };
    // Three since it began, two since a second later, and none of another installation.
    let noted = "notes/set-merchant-notes";
    assert_eq!(one_more.key.operation, noted);
    for (intent, effects, since_ms, but, fits) in [
        (&one_more, 3, began, "", false),
        (&one_more, 2, began + 1_000, "", false),
        (&of_another, 1, began, "", true),
        (&one_more, 1, began, noted, true),
    ] {
        let within = Some(Allowance { effects, since_ms, but });
        let sent = rig.journal.intent(&fence, &buffer, intent, within).await;
        assert_eq!(sent.is_ok(), fits, "{sent:?}");
        assert!(fits || matches!(sent, Err(JournalError::TooManyEffects)));
    }
    let traces = rig.journal.effects_on(&order, began).await.unwrap();
    assert_eq!(traces.len(), 4, "what was refused left nothing");
    assert!(traces[..3].iter().all(|trace| !trace.used && trace.installation == ONE && trace.run == run));

    let seq = rig.journal.record_event(rig.event(2)).await.unwrap().seq;
    let mut echo = rig::planned(seq);
    (echo.echo_of, echo.runs) = (Some(traces[0].id), Vec::new());
    rig.journal.plan(&fence, vec![echo]).await.unwrap();
    assert!(rig.journal.effects_on(&order, began).await.unwrap()[0].used);
    let events = rig.journal.events(rig.tenant, &Default::default()).await.unwrap().items;
    assert_eq!((events[0].echo_of, events[0].state, events[0].runs), (Some(run), "finished", 0));
}

#[tokio::test]
async fn an_effect_on_a_gift_keeps_the_order_it_was_seen_in_and_explains_one_event_of_each_order() {
    let rig = Rig::new().await;
    let (fence, run, _) = rig.entered(1).await;
    let buffer = rig.begin(run, 1);
    let (gift, began) = ("3732700000000000777", rig.clock.now());
    let intent = Intent { order_id: gift.into(), ..rig.intent(0, 0).await };
    rig.journal.intent(&fence, &buffer, &intent, None).await.unwrap();
    let before = rig.journal.effects(rig.tenant, run).await.unwrap().remove(0).before.unwrap();
    assert_eq!((&*before.order_id, before.digest), (ORDER, rig.order(20).digest));

    let (order, sibling) = (rig.lane(), LaneKey::new(rig.tenant, "3705115058471208929"));
    assert!(rig.journal.effects_on(&order, began).await.unwrap().is_empty());
    let effect = rig.journal.effects_on_gift(&order, gift, began).await.unwrap().remove(0);
    assert!(!effect.used);
    // Such an event always has its lane look: which gift its order was made of is in no column.
    let mut event = rig.event(2);
    (event.event, event.ext_type) = ("channels_ec_order_ext_info_update".into(), Some(GIFT_NOTE));
    let seq = rig.journal.record_event(event).await.unwrap().seq;
    assert_eq!(rig.journal.lane(&order).await.unwrap().events.len(), 1);
    let mut echo = rig::planned(seq);
    (echo.echo_of, echo.runs) = (Some(effect.id), Vec::new());
    rig.journal.plan(&fence, vec![echo]).await.unwrap();
    for (lane, used) in [(&order, true), (&sibling, false)] {
        assert_eq!(rig.journal.effects_on_gift(lane, gift, began).await.unwrap()[0].used, used, "{lane:?}");
    }
}
