//! From a refused call to the hook's outcome: `?` on any call of the contract does the sensible thing.
use crate::{Error, Failure, Retry};

/// What a hook answers.
pub type Outcome = Result<(), Failure>;

/// Asks for a new attempt on the host's schedule. Put no buyer data into the reason: people read it.
pub fn retry_later(reason: impl Into<String>) -> Failure {
    Failure::RetryLater(Retry { reason: reason.into(), after_seconds: None })
}

/// Gives up on this event for good. Put no buyer data into the reason: people read it.
pub fn reject(reason: impl Into<String>) -> Failure {
    Failure::Reject(reason.into())
}

/// What may pass by itself is tried again (busy, limited, unreachable, the order's state of this moment); what would fail
/// the same way again is rejected, with the reason for the person who reads the run.
impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Limited(after_seconds) => {
                Failure::RetryLater(Retry { reason: "limited by the platform or a quota".to_owned(), after_seconds })
            }
            Error::Unavailable(text) => retry_later(format!("unavailable: {text}")),
            Error::Conflict(text) => retry_later(format!("the order's state forbids it now: {text}")),
            Error::Denied(text) => reject(format!("denied: {text}")),
            Error::Invalid(text) => reject(format!("invalid request: {text}")),
            Error::NotFound => reject("not found in this shop"),
            Error::OutcomeUnknown(text) => reject(format!("outcome unknown, look at the order: {text}")),
            Error::Platform(refusal) => {
                reject(format!("refused by the platform ({}): {}", refusal.code, refusal.message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Error, Failure, PlatformError, Retry};

    fn after_question_mark(error: Error) -> Failure {
        fn hook(error: Error) -> crate::Outcome {
            Err(error)?;
            Ok(())
        }
        hook(error).unwrap_err()
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        let limited = after_question_mark(Error::Limited(Some(30)));
        assert!(matches!(limited, Failure::RetryLater(Retry { after_seconds: Some(30), .. })), "{limited:?}");
        for error in [Error::Unavailable("busy".into()), Error::Conflict("status 10".into())] {
            let failure = after_question_mark(error);
            assert!(matches!(failure, Failure::RetryLater(Retry { after_seconds: None, .. })), "{failure:?}");
        }
    }

    #[test]
    fn what_would_fail_again_is_rejected_with_its_reason() {
        for (error, part) in [
            (Error::Denied("notes".into()), "notes"),
            (Error::Invalid("merchant_notes".into()), "merchant_notes"),
            (Error::NotFound, "not found"),
            (Error::OutcomeUnknown("add-phone".into()), "add-phone"),
            (Error::Platform(PlatformError { code: 40097, message: "bad".into() }), "40097"),
        ] {
            let Failure::Reject(reason) = after_question_mark(error) else { panic!("{part} was not rejected") };
            assert!(reason.contains(part), "{reason}");
        }
    }
}
