//! What becomes of an effect call: the answers that are kept, and intents without an outcome.

use fangshi_journal::{Effect, EffectState};
use fangshi_operations::{MOST_CONNECTING, Repeat, Verdict};
use fangshi_runtime::CallError;
use serde_json::Value;

/// How a call that has an effect key is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the outcome that an earlier attempt recorded: nothing is sent.
    Recorded,
    /// By sending: it was never sent, or refused for now.
    Send,
    /// It may have been applied: first find out.
    Settle,
}

/// The way of a call, by what the run's earlier attempts left of the same effect.
pub fn way(earlier: Option<&Effect>) -> Way {
    let Some(effect) = earlier else { return Way::Send };
    match effect.state {
        EffectState::Applied | EffectState::Refused => Way::Recorded,
        EffectState::Intent | EffectState::Unknown => Way::Settle,
        // The last send was refused, but one before it may have been applied.
        EffectState::RefusedForNow if effect.unsure > 0 => Way::Settle,
        EffectState::RefusedForNow => Way::Send,
    }
}

/// Sends of an effect that never got an answer, the last one included. A busy platform gave one: once nothing shows of that
/// send, it is in doubt no more.
pub fn unanswered(effect: &Effect) -> u32 {
    let open = matches!(effect.state, EffectState::Intent | EffectState::Unknown);
    effect.unsure + u32::from(open && !effect.met_a_busy_platform())
}

/// How long after its intent a call to be verified is still let go, milliseconds: the sync of the log or a new token may take
/// their time, and whoever finds the intent alone must know until when it was sent.
const LET_GO_MS: i64 = 5_000;
/// How long a request that was let go may wait for its connection, milliseconds, as the operations' client does.
const CONNECTING_MS: i64 = MOST_CONNECTING.as_millis() as i64;
/// How long a request that has left may still be on its way, milliseconds. The platform itself gives up on an answer after 5 s
/// (platform page, section 1.5), and is taken to be as quick.
const ON_ITS_WAY_MS: i64 = 5_000;

/// How long a request that was let go may take to arrive, milliseconds.
pub const ARRIVES_MS: i64 = CONNECTING_MS + ON_ITS_WAY_MS;

/// By when a call must be let go that was intended at a time, or not at all. Unix milliseconds.
pub fn let_go_by(repeat: Repeat, intended_at: i64) -> Option<i64> {
    (repeat == Repeat::Verify).then(|| intended_at.saturating_add(LET_GO_MS))
}

/// Until when the last send of an effect may be on its way, unix milliseconds: it had left before its outcome was known.
pub fn under_way_until(effect: &Effect) -> i64 {
    let latest = effect.intent_at.saturating_add(LET_GO_MS + CONNECTING_MS);
    effect.outcome_at.map_or(latest, |at| at.min(latest)).saturating_add(ON_ITS_WAY_MS)
}

/// Whether it is, so that what does not show yet proves nothing: then a call to be verified is not sent again for now. A clock
/// that was set back proves nothing either.
pub fn is_under_way(repeat: Repeat, effect: &Effect, now: i64) -> bool {
    repeat == Repeat::Verify && (effect.intent_at..under_way_until(effect)).contains(&now)
}

/// What a look tells of an effect, by how it was sent. What a busy platform was asked for and does no harm twice is sent again
/// as after any refusal, unless it shows, or it is known how it was before and somebody changed it since.
pub fn looked(repeat: Repeat, earlier: &Effect, verdict: Option<Verdict>) -> Option<Verdict> {
    let refused = repeat == Repeat::Resend && earlier.met_a_busy_platform() && earlier.before.is_none();
    match verdict {
        Some(Verdict::Changed(_) | Verdict::Unclear(_)) if refused => Some(Verdict::Again),
        verdict => verdict,
    }
}

/// What to do about an effect that may have been applied.
#[derive(Debug, Clone, PartialEq)]
pub enum Settled {
    /// It was: this is the answer.
    Applied(Value),
    /// It was not, or once more does no harm: send again.
    SendAgain,
    /// It does not show, and may be on its way: a later attempt looks again.
    Later,
    /// Nobody can tell: the plugin or a person decides.
    Unknown(String),
}

/// Settles an effect that may have been applied. `unsure` counts its sends without an answer but for one: an effect is
/// sent again once, and after that only found out about. `verdict` is `None` where nothing needs to be read. While the last
/// send is `under_way`, that it does not show proves nothing.
pub fn settle(repeat: Repeat, unsure: u32, verdict: Option<Verdict>, under_way: bool) -> Settled {
    match (repeat, verdict) {
        (Repeat::Unknown, _) => Settled::Unknown("sent without an answer; nothing shows whether it was done".into()),
        (_, Some(Verdict::Applied(answer))) => Settled::Applied(answer),
        (_, Some(Verdict::Changed(text) | Verdict::Unclear(text))) => Settled::Unknown(text),
        (_, Some(Verdict::Again) | None) if under_way => Settled::Later,
        (_, Some(Verdict::Again) | None) if unsure == 0 => Settled::SendAgain,
        (_, Some(Verdict::Again) | None) => Settled::Unknown("sent twice without an answer".into()),
    }
}

/// The same for a run that came with a restored store, which does not know what the run has sent since the backup: only
/// what is to be verified is sent, and only where it does not show.
pub fn settle_restored(repeat: Repeat, unsure: u32, verdict: Option<Verdict>, under_way: bool) -> Settled {
    match (repeat, settle(repeat, unsure, verdict, under_way)) {
        (Repeat::Verify, settled) => settled,
        (_, Settled::SendAgain) => {
            Settled::Unknown("the store was restored: it may have been done since the backup".into())
        }
        (_, settled) => settled,
    }
}

/// A refusal of an effect that an earlier send may have done: so the plugin is told, in a text of every case. It is about this
/// try alone, and nothing else should be done in the effect's place.
pub fn in_doubt(refused: CallError) -> CallError {
    let told = |text: String| format!("an earlier try may have been applied: {text}");
    match refused {
        CallError::Unavailable(text) => CallError::Unavailable(told(text)),
        CallError::Conflict(text) => CallError::Conflict(told(text)),
        CallError::Invalid(text) => CallError::Invalid(told(text)),
        CallError::Denied(text) => CallError::Denied(told(text)),
        CallError::Platform { code, message } => CallError::Platform { code, message: told(message) },
        // A case without a text would say that nothing was done.
        CallError::Limited { .. } => CallError::Unavailable(told("too often, or a quota is used up".into())),
        CallError::NotFound(text) => CallError::Unavailable(told(text)),
        other => other,
    }
}

/// Whether an answer leaves its effect open: the next equal call of the attempt is then the same effect once more, not a
/// second one. A plugin that calls again what was refused for now wants it done once.
pub fn leaves_open(answer: &Result<Value, CallError>) -> bool {
    answer.is_err() && keep(answer, 0) == EffectState::RefusedForNow
}

/// How an answered effect is kept for later attempts: settled, or open to another try because the refusal may change. A
/// refusal settles nothing while one of the `unsure` sends before it may have been applied.
pub fn keep(answer: &Result<Value, CallError>, unsure: u32) -> EffectState {
    match answer {
        Ok(_) => EffectState::Applied,
        Err(CallError::Limited { .. } | CallError::Unavailable(_) | CallError::Conflict(_) | CallError::Denied(_)) => {
            EffectState::RefusedForNow
        }
        Err(CallError::OutcomeUnknown(_) | CallError::Abort(_)) => EffectState::Unknown,
        Err(CallError::Invalid(_) | CallError::NotFound(_) | CallError::Platform { .. }) if unsure > 0 => {
            EffectState::RefusedForNow
        }
        Err(CallError::Invalid(_) | CallError::NotFound(_) | CallError::Platform { .. }) => EffectState::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fangshi_journal::{BUSY, EffectKey};

    fn effect(state: EffectState, unsure: u32) -> Effect {
        Effect {
            key: EffectKey { operation: "delivery/send".into(), digest: [0; 32], nth: 0 },
            state,
            sends: unsure + 1,
            unsure,
            attempt: 1,
            result: None,
            answer: None,
            before: None,
            intent_at: 1_000,
            outcome_at: None,
        }
    }

    #[test]
    fn a_refused_effect_is_sent_again_unless_an_earlier_send_is_in_doubt() {
        assert_eq!(way(Some(&effect(EffectState::RefusedForNow, 0))), Way::Send);
        assert_eq!(way(Some(&effect(EffectState::RefusedForNow, 1))), Way::Settle);
        assert_eq!(way(Some(&effect(EffectState::Refused, 0))), Way::Recorded);
        let gone = Err(CallError::Platform { code: 9, message: "no".into() });
        assert_eq!((keep(&gone, 0), keep(&gone, 1)), (EffectState::Refused, EffectState::RefusedForNow));
    }

    #[test]
    fn the_last_send_counts_as_unanswered_until_its_outcome() {
        assert_eq!(unanswered(&effect(EffectState::Intent, 0)), 1);
        assert_eq!(unanswered(&effect(EffectState::Unknown, 1)), 2);
        assert_eq!(unanswered(&effect(EffectState::RefusedForNow, 1)), 1);
        let mut busy = effect(EffectState::Unknown, 1);
        busy.result = Some(BUSY.to_owned());
        assert_eq!((unanswered(&busy), way(Some(&busy))), (1, Way::Settle));
    }

    #[test]
    fn what_must_not_be_done_twice_waits_until_it_can_no_longer_be_on_its_way() {
        let until = |repeat, outcome_at, now| {
            let effect = Effect { outcome_at, ..effect(EffectState::Intent, 0) };
            is_under_way(repeat, &effect, now).then(|| under_way_until(&effect))
        };
        // Its sender is gone: it was let go in time, had to connect, and is on its way.
        let let_go_by = let_go_by(Repeat::Verify, 1_000).unwrap();
        assert_eq!(until(Repeat::Verify, None, 1_000), Some(let_go_by + ARRIVES_MS));
        assert!(until(Repeat::Verify, None, let_go_by + ARRIVES_MS - 1).is_some());
        assert_eq!(until(Repeat::Verify, None, let_go_by + ARRIVES_MS), None);
        assert_eq!(until(Repeat::Verify, None, 999), None, "a clock that was set back holds nothing up");
        // Its sender was told that there is no answer: by then it had left.
        assert_eq!(until(Repeat::Verify, Some(1_200), 1_300), Some(1_200 + ON_ITS_WAY_MS));
        assert_eq!(until(Repeat::Verify, Some(90_000), 1_300), Some(let_go_by + ARRIVES_MS));
        assert_eq!(until(Repeat::Resend, None, 1_000), None, "the same value again does no harm");
        assert_eq!(
            super::let_go_by(Repeat::Unknown, 1_000),
            None,
            "and what is never sent again may leave when it will"
        );
    }

    #[test]
    fn a_refusal_says_that_an_earlier_try_is_in_doubt_and_stays_what_it_is() {
        let refused = [
            CallError::Unavailable("busy".into()),
            CallError::Conflict("busy".into()),
            CallError::Invalid("busy".into()),
            CallError::Denied("busy".into()),
            CallError::Platform { code: 9, message: "busy".into() },
        ];
        for refused in refused {
            let told = in_doubt(refused.clone());
            assert_eq!(std::mem::discriminant(&told), std::mem::discriminant(&refused));
            let text = format!("{told:?}");
            assert!(text.contains("may have been applied") && text.contains("busy"), "{text}");
        }
        for wordless in [CallError::Limited { retry_after: Some(5) }, CallError::NotFound(String::new())] {
            let CallError::Unavailable(text) = in_doubt(wordless) else { panic!("it has no text to say so") };
            assert!(text.contains("may have been applied"), "{text}");
        }
    }

    #[test]
    fn only_what_may_change_leaves_a_call_open() {
        for (answer, open) in [
            (Ok(Value::Null), false),
            (Err(CallError::Limited { retry_after: None }), true),
            (Err(CallError::Conflict(String::new())), true),
            (Err(CallError::Unavailable(String::new())), true),
            (Err(CallError::OutcomeUnknown(String::new())), false),
            (Err(CallError::Invalid(String::new())), false),
        ] {
            assert_eq!(leaves_open(&answer), open, "{answer:?}");
        }
    }
}
