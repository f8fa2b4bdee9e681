//! Texts that JSON's escapes would make many times as long: kept in about their own length, and read as they were said.
#![allow(clippy::unwrap_used)]

mod rig;

use std::sync::Arc;

use fangshi_journal::{CallKind, CallRow, EffectState};
use rig::Rig;
use serde_json::{Value, json};

const SAID: usize = 300_000;

/// A call whose request and answer are control characters.
async fn noisy(rig: &Rig, position: u32, kind: CallKind) -> CallRow {
    let request = json!({"method": "POST", "body": "\u{1}".repeat(SAID)});
    let answer = json!({"status": 200, "headers": [], "body": "\u{0}\"".repeat(SAID / 2)});
    CallRow {
        digest: rig.journal.call_digest(rig.tenant, "http/send", &request).await.unwrap(),
        request: Arc::new(request),
        ..rig.call(position, "http/send", kind, Some(answer)).await
    }
}

#[tokio::test]
async fn a_call_is_kept_in_four_thirds_of_what_was_said_and_is_read_as_it_was() {
    let rig = Rig::new().await;
    let (fence, run, _) = rig.entered(1).await;
    let buffer = rig.begin(run, 1);
    let read = noisy(&rig, 0, CallKind::Read).await;
    buffer.call(&read).unwrap();
    assert!(buffer.waiting_bytes() < 3 * SAID as u64, "{} wait", buffer.waiting_bytes());

    let effect = noisy(&rig, 1, CallKind::Effect).await;
    let mut intent = rig.intent(1, 0).await;
    (intent.key.operation, intent.key.digest) = ("http/send".into(), effect.digest);
    intent.request = effect.request.clone();
    rig.journal.intent(&fence, &buffer, &intent, None).await.unwrap();
    assert_eq!(buffer.waiting_bytes(), 0, "all of it is durable");
    let mut outcome = rig.outcome(&intent, EffectState::Applied).await;
    outcome.call = CallRow { effect: Some(intent.key.clone()), ..effect.clone() };
    rig.journal.outcome(&fence, &buffer, &outcome).await.unwrap();

    for column in ["request", "answer"] {
        for table in ["calls", "effects"] {
            let text = format!("SELECT MAX(LENGTH({column})) FROM {table}");
            let longest = rig.count(Box::leak(text.into_boxed_str())).await;
            assert!(longest < (SAID * 4 / 3 + 1_000) as i64, "{table}.{column}: {longest}");
        }
    }
    // The calls of both, the effect once more, and its request with the intent and with the outcome.
    let kept = buffer.kept_bytes();
    assert!(kept > 6 * SAID as u64 && kept < 12 * SAID as u64, "{kept}");

    let open = rig.journal.open_attempt(rig.tenant, run, 1).await.unwrap().unwrap();
    assert!(open.kept_bytes > 6 * SAID as u64, "a resume knows what is kept: {}", open.kept_bytes);
    for (recorded, made) in open.calls.iter().zip([&read, &effect]) {
        assert_eq!((&recorded.request, &recorded.answer, recorded.digest), (&*made.request, &made.answer, made.digest));
    }
    assert_eq!(rig.journal.effects(rig.tenant, run).await.unwrap()[0].answer, effect.answer);
    let shown = rig.journal.run(rig.tenant, run).await.unwrap().unwrap();
    let shown: Vec<(&Value, &Option<Value>)> =
        shown.attempt_list[0].calls.iter().map(|call| (&call.request, &call.answer)).collect();
    assert_eq!(shown, [(&*read.request, &read.answer), (&*effect.request, &effect.answer)]);
}
