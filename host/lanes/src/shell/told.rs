//! Answers of calls as the journal keeps them: a code, and JSON.

use fangshi_operations::ContractError;
use fangshi_runtime::CallError;
use serde_json::Value;

/// The code of an answer: `ok`, or the case of the contract's error.
pub(crate) fn code(answer: &Result<Value, CallError>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(CallError::Denied(_)) => "denied",
        Err(CallError::Invalid(_)) => "invalid",
        Err(CallError::NotFound(_)) => "not-found",
        Err(CallError::Conflict(_)) => "conflict",
        Err(CallError::Limited { .. }) => "limited",
        Err(CallError::Unavailable(_)) => "unavailable",
        Err(CallError::OutcomeUnknown(_)) => "outcome-unknown",
        Err(CallError::Platform { .. }) => "platform",
        Err(CallError::Abort(_)) => "aborted",
    }
}

/// The JSON of an answer; of an error, its kind and detail.
pub(crate) fn to_json(answer: &Result<Value, CallError>) -> Value {
    match answer {
        Ok(value) => value.clone(),
        Err(error) => serde_json::to_value(error).unwrap_or(Value::Null),
    }
}

/// An answer read back; none if the row does not hold one.
pub(crate) fn from_json(code: Option<&str>, json: Option<&Value>) -> Option<Result<Value, CallError>> {
    match code? {
        "ok" => Some(Ok(json.cloned().unwrap_or(Value::Null))),
        _ => Some(Err(serde_json::from_value(json?.clone()).ok()?)),
    }
}

/// The same, but that what stopped the attempt at this call is no answer to it.
pub(crate) fn answered(code: Option<&str>, json: Option<&Value>) -> Option<Result<Value, CallError>> {
    from_json(code, json).filter(|answer| !matches!(answer, Err(CallError::Abort(_))))
}

/// The same eight cases, from the words of `operations` to those of `runtime`.
pub(crate) fn refusal(error: ContractError) -> CallError {
    match error {
        ContractError::Denied(text) => CallError::Denied(text),
        ContractError::Invalid(text) => CallError::Invalid(text),
        ContractError::NotFound(text) => CallError::NotFound(text),
        ContractError::Conflict(text) => CallError::Conflict(text),
        ContractError::Limited { retry_after } => CallError::Limited { retry_after },
        ContractError::Unavailable(text) => CallError::Unavailable(text),
        ContractError::OutcomeUnknown(text) => CallError::OutcomeUnknown(text),
        ContractError::Platform { code, message } => CallError::Platform { code, message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_answer_comes_back_as_it_was() {
        let answers = [
            Ok(json!({"a": 1})),
            Ok(Value::Null),
            Err(CallError::Denied("notes".into())),
            Err(CallError::Invalid("x".into())),
            Err(CallError::NotFound("x".into())),
            Err(CallError::Conflict("x".into())),
            Err(CallError::Limited { retry_after: Some(9) }),
            Err(CallError::Limited { retry_after: None }),
            Err(CallError::Unavailable("x".into())),
            Err(CallError::OutcomeUnknown("x".into())),
            Err(CallError::Platform { code: -7, message: "x".into() }),
        ];
        for answer in answers {
            assert_eq!(from_json(Some(code(&answer)), Some(&to_json(&answer))), Some(answer));
        }
        assert_eq!(from_json(None, None), None);
        assert_eq!(code(&Err(CallError::Unavailable(String::new()))), fangshi_journal::BUSY);
    }
}
