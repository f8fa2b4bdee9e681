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
    match earlier.map(|effect| effect.state) {
        None | Some(EffectState::RefusedForNow) => Way::Send,
        Some(EffectState::Applied | EffectState::Refused) => Way::Recorded,
        Some(EffectState::Intent | EffectState::Unknown) => Way::Settle,
    }
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

/// Settles an effect that may have been applied. `unsure` counts its sends before the last that never got an answer: an
/// effect is sent again once, and after that only found out about. `verdict` is `None` where nothing needs to be read.
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

/// How an answered effect is kept for later attempts: settled, or open to another try because the refusal may change.
pub fn keep(answer: &Result<Value, CallError>) -> EffectState {
    match answer {
        Ok(_) => EffectState::Applied,
        Err(CallError::Limited { .. } | CallError::Unavailable(_) | CallError::Conflict(_) | CallError::Denied(_)) => {
            EffectState::RefusedForNow
        }
        Err(CallError::OutcomeUnknown(_) | CallError::Abort(_)) => EffectState::Unknown,
        Err(CallError::Invalid(_) | CallError::NotFound(_) | CallError::Platform { .. }) => EffectState::Refused,
    }
}
