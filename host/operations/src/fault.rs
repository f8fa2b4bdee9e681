//! Why a call failed, and what is known of its effect.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A failed call. `message` is for the plugin and for pages: no token, no buyer data.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{class:?} ({code}): {message}")]
pub struct Fault {
    /// What kind of failure it is.
    pub class: Class,
    /// The platform's `errcode`; 0 if the platform did not give one.
    pub code: i64,
    /// What happened, in words.
    pub message: String,
    /// The platform's request id, which its support asks for.
    pub rid: Option<String>,
    /// Whether the platform may have applied the call.
    pub sent: Sent,
    /// Seconds to wait, where known.
    pub retry_after: Option<u32>,
}

/// How far a failed call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sent {
    /// It never left: refused here, no token, or no connection.
    NotSent,
    /// The platform answered, and its answer says that nothing was applied (or, for
    /// [`Class::Unreadable`], that it was).
    Answered,
    /// It left and no usable answer came, or the platform was busy ([`Class::Busy`]): applied or not.
    Unknown,
}

/// Kinds of failure; the platform's codes are sorted into them by [`crate::errcode`] (platform page, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The platform is busy: try again with growing waits. Of what must not be done twice, after a look ([`Sent::Unknown`]).
    Busy,
    /// The access token is not good (any more): refresh once, retry once.
    Token,
    /// The component's ticket is missing or too old: wait for the next push.
    Ticket,
    /// The host's settings at the platform are wrong (appid, secret, IP white list): the operator's business.
    Config,
    /// The host built a wrong request: a defect of the host.
    Bug,
    /// The shop has not granted the permission set, or the API is closed to it.
    Permission,
    /// The shop took the authorization back.
    Revoked,
    /// The authorization is void; the merchant must authorize again.
    Reauthorize,
    /// The tenant is suspended: no calls are made for it.
    Suspended,
    /// The host's own store failed.
    Host,
    /// The request is wrong and would be wrong again.
    Invalid,
    /// What the request names is not in this shop.
    NotFound,
    /// The order's present state forbids it.
    Conflict,
    /// Too often on one order or one phone: wait seconds to minutes.
    TooOften,
    /// The quota of this minute is used up.
    MinuteQuota,
    /// The quota of this day is used up.
    DayQuota,
    /// Any other code of the platform.
    Other,
    /// Nothing was applied: no connection, or a read without an answer.
    Unreachable,
    /// An effect was sent and no usable answer came.
    Unanswered,
    /// The platform says it is done, but its answer lacks what the contract promises.
    Unreadable,
}

impl Class {
    /// Its name in metrics and on pages.
    pub fn name(self) -> &'static str {
        match self {
            Class::Busy => "busy",
            Class::Token => "token",
            Class::Ticket => "ticket",
            Class::Config => "config",
            Class::Bug => "bug",
            Class::Permission => "permission",
            Class::Revoked => "revoked",
            Class::Reauthorize => "reauthorize",
            Class::Suspended => "suspended",
            Class::Host => "host",
            Class::Invalid => "invalid",
            Class::NotFound => "not-found",
            Class::Conflict => "conflict",
            Class::TooOften => "too-often",
            Class::MinuteQuota => "minute-quota",
            Class::DayQuota => "day-quota",
            Class::Other => "other",
            Class::Unreachable => "unreachable",
            Class::Unanswered => "unanswered",
            Class::Unreadable => "unreadable",
        }
    }
}

/// The eight cases of the WIT variant `error` of `fangshi:host/errors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContractError {
    /// No right to this.
    Denied(String),
    /// The request is wrong and would be wrong again; the text names the member.
    Invalid(String),
    /// What the call names does not exist (the text is for the journal).
    NotFound(String),
    /// The order's state forbids it.
    Conflict(String),
    /// Too often, or a quota is used up.
    Limited {
        /// Seconds to wait, where known.
        retry_after: Option<u32>,
    },
    /// The platform can't be reached or is busy. Nothing was changed, or the same call, made again, finds out first whether this or
    /// an earlier try was applied.
    Unavailable(String),
    /// Sent without an answer: applied or not.
    OutcomeUnknown(String),
    /// Any other refusal.
    Platform {
        /// The platform's code.
        code: i64,
        /// The platform's text.
        message: String,
    },
}

impl Fault {
    /// A request refused here, before anything was sent.
    pub fn invalid(message: impl Into<String>) -> Fault {
        Fault::new(Class::Invalid, Sent::NotSent, message)
    }

    /// A failure without a code of the platform.
    pub fn new(class: Class, sent: Sent, message: impl Into<String>) -> Fault {
        Fault { class, code: 0, message: message.into(), rid: None, sent, retry_after: None }
    }

    /// What the plugin is told.
    pub fn to_contract(&self) -> ContractError {
        let message = self.message.clone();
        match self.class {
            Class::Permission => ContractError::Denied(message),
            Class::Invalid => ContractError::Invalid(message),
            Class::NotFound => ContractError::NotFound(message),
            Class::Conflict => ContractError::Conflict(message),
            Class::TooOften | Class::MinuteQuota | Class::DayQuota => {
                ContractError::Limited { retry_after: self.retry_after }
            }
            // The merchant, the operator or time will cure these: a retry is the right answer.
            Class::Busy
            | Class::Token
            | Class::Ticket
            | Class::Config
            | Class::Bug
            | Class::Revoked
            | Class::Reauthorize
            | Class::Suspended
            | Class::Host
            | Class::Unreachable => ContractError::Unavailable(message),
            Class::Unanswered | Class::Unreadable => ContractError::OutcomeUnknown(message),
            Class::Other => ContractError::Platform { code: self.code, message },
        }
    }

    /// The same failure of a read: without an effect there is no unknown outcome.
    pub(crate) fn of_a_read(mut self) -> Fault {
        if matches!(self.class, Class::Unanswered | Class::Unreadable) {
            self.class = Class::Unreachable;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unanswered_effect_is_an_unknown_outcome_and_an_unanswered_read_is_not() {
        let fault = Fault::new(Class::Unanswered, Sent::Unknown, "the connection broke");
        assert_eq!(fault.to_contract(), ContractError::OutcomeUnknown("the connection broke".into()));
        assert_eq!(fault.of_a_read().to_contract(), ContractError::Unavailable("the connection broke".into()));
    }

    #[test]
    fn a_new_code_of_the_platform_reaches_the_plugin_as_it_came() {
        let mut fault = Fault::new(Class::Other, Sent::Answered, "what is new");
        fault.code = 9_999_999;
        assert_eq!(fault.to_contract(), ContractError::Platform { code: 9_999_999, message: "what is new".into() });
    }
}
