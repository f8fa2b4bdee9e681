//! What becomes of an effect call: the answers that are kept, and intents without an outcome.

use fangshi_journal::{Effect, EffectState};
use fangshi_operations::{Repeat, Verdict};
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

/// How long a request whose sender is gone may still be on its way, milliseconds. The platform itself gives up on an
/// answer after 5 s (platform page, section 1.5), and is taken to be as quick.
pub const UNDER_WAY_MS: i64 = 5_000;

/// Whether the last send may still be on its way, so that what does not show yet proves nothing: then a call to be
/// verified is not sent again for now. Times in unix milliseconds; a clock that was set back proves nothing either.
pub fn is_under_way(repeat: Repeat, intent_at: i64, now: i64) -> bool {
    repeat == Repeat::Verify && (intent_at..intent_at.saturating_add(UNDER_WAY_MS)).contains(&now)
}

/// What to do about an effect that may have been applied.
#[derive(Debug, Clone, PartialEq)]
pub enum Settled {
    /// It was: this is the answer.
    Applied(Value),
    /// It was not, or once more does no harm: send again.
    SendAgain,
    /// Nobody can tell: the plugin or a person decides.
    Unknown(String),
}

/// Settles an effect that may have been applied. `unsure` counts its sends without an answer but for one: an effect is
/// sent again once, and after that only found out about. `verdict` is `None` where nothing needs to be read.
pub fn settle(repeat: Repeat, unsure: u32, verdict: Option<Verdict>) -> Settled {
    match (repeat, verdict) {
        (Repeat::Unknown, _) => Settled::Unknown("sent without an answer; nothing shows whether it was done".into()),
        (_, Some(Verdict::Applied(answer))) => Settled::Applied(answer),
        (_, Some(Verdict::Changed(text) | Verdict::Unclear(text))) => Settled::Unknown(text),
        (_, Some(Verdict::Again) | None) if unsure == 0 => Settled::SendAgain,
        (_, Some(Verdict::Again) | None) => Settled::Unknown("sent twice without an answer".into()),
    }
}

/// The same for a run that came with a restored store, which does not know what the run has sent since the backup: only
/// what is to be verified is sent, and only where it does not show.
pub fn settle_restored(repeat: Repeat, unsure: u32, verdict: Option<Verdict>) -> Settled {
    match (repeat, settle(repeat, unsure, verdict)) {
        (Repeat::Verify, settled) => settled,
        (_, Settled::SendAgain) => {
            Settled::Unknown("the store was restored: it may have been done since the backup".into())
        }
        (_, settled) => settled,
    }
}

/// The same for a call that was sent just now and got no answer. What is to be verified is not sent again at once: the
/// request may still be on its way, so that only a later attempt can tell by its absence.
pub fn settle_at_once(repeat: Repeat, unsure: u32, verdict: Option<Verdict>) -> Settled {
    match (repeat, settle(repeat, unsure, verdict)) {
        (Repeat::Resend, settled) => settled,
        (_, Settled::SendAgain) => Settled::Unknown("sent without an answer; it does not show yet".into()),
        (_, settled) => settled,
    }
}

/// A refusal of an effect that an earlier send may have done: so the plugin is told, in a text of every case. It is about this
/// try alone, and nothing else should be done in the effect's place.
pub fn in_doubt(refused: CallError) -> CallError {
    let told = |text: String| format!("an earlier try was sent without an answer and may have been applied: {text}");
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
        let under_way = |now| is_under_way(Repeat::Verify, 1_000, now);
        assert!(under_way(1_000) && under_way(999 + UNDER_WAY_MS));
        assert!(!under_way(1_000 + UNDER_WAY_MS));
        assert!(!under_way(999), "a clock that was set back holds nothing up");
        assert!(!is_under_way(Repeat::Resend, 1_000, 1_000), "the same value again does no harm");
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
