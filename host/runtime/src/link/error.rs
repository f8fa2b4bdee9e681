//! The variant `error` of `fangshi:host/errors`, for hand-written and for dynamic functions.

use wasmtime::component::{ComponentType, Lower, Val};

use crate::call::CallError;
use crate::state::Stop;

/// The contract's record of a platform refusal.
#[derive(Debug, Clone, ComponentType, Lower)]
#[component(record)]
pub(super) struct PlatformError {
    code: i32,
    message: String,
}

/// The contract's variant.
#[derive(Debug, Clone, ComponentType, Lower)]
#[component(variant)]
pub(super) enum GuestError {
    #[component(name = "denied")]
    Denied(String),
    #[component(name = "invalid")]
    Invalid(String),
    #[component(name = "not-found")]
    NotFound,
    #[component(name = "conflict")]
    Conflict(String),
    #[component(name = "limited")]
    Limited(Option<u32>),
    #[component(name = "unavailable")]
    Unavailable(String),
    #[component(name = "outcome-unknown")]
    OutcomeUnknown(String),
    #[component(name = "platform")]
    Platform(PlatformError),
}

impl GuestError {
    /// What the guest sees of a refusal; an abort is none and stops the run.
    pub fn from_call(error: CallError) -> Result<GuestError, Stop> {
        Ok(match error {
            CallError::Denied(text) => GuestError::Denied(text),
            CallError::Invalid(text) => GuestError::Invalid(text),
            CallError::NotFound(_) => GuestError::NotFound,
            CallError::Conflict(text) => GuestError::Conflict(text),
            CallError::Limited { retry_after } => GuestError::Limited(retry_after),
            CallError::Unavailable(text) => GuestError::Unavailable(text),
            CallError::OutcomeUnknown(text) => GuestError::OutcomeUnknown(text),
            CallError::Platform { code, message } => {
                let nearest = code.clamp(i32::MIN.into(), i32::MAX.into());
                GuestError::Platform(PlatformError { code: i32::try_from(nearest).unwrap_or_default(), message })
            }
            CallError::Abort(abort) => return Err(Stop::Abort(abort)),
        })
    }

    /// The same as a dynamic value.
    pub fn into_val(self) -> Val {
        let (case, payload) = match self {
            GuestError::Denied(text) => ("denied", Some(Val::String(text))),
            GuestError::Invalid(text) => ("invalid", Some(Val::String(text))),
            GuestError::NotFound => ("not-found", None),
            GuestError::Conflict(text) => ("conflict", Some(Val::String(text))),
            GuestError::Limited(after) => ("limited", Some(Val::Option(after.map(|s| Box::new(Val::U32(s)))))),
            GuestError::Unavailable(text) => ("unavailable", Some(Val::String(text))),
            GuestError::OutcomeUnknown(text) => ("outcome-unknown", Some(Val::String(text))),
            GuestError::Platform(PlatformError { code, message }) => {
                let record = vec![("code".into(), Val::S32(code)), ("message".into(), Val::String(message))];
                ("platform", Some(Val::Record(record)))
            }
        };
        Val::Variant(case.into(), payload.map(Box::new))
    }
}
