//! A refusal: the errcode and its text (platform page 6).

/// Why the platform does not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} {message}")]
pub struct Refusal {
    /// The errcode.
    pub code: i64,
    /// The errmsg, without the rid that the answer gets.
    pub message: String,
}

impl Refusal {
    /// Any errcode.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Refusal { code, message: message.into() }
    }

    /// 100002.
    pub(crate) fn no_order() -> Self {
        Refusal::new(100002, "order not found")
    }

    /// 101100.
    pub(crate) fn state(message: impl Into<String>) -> Self {
        Refusal::new(101100, message)
    }

    /// 10020116.
    pub(crate) fn not_now(message: impl Into<String>) -> Self {
        Refusal::new(10020116, message)
    }

    /// 40097.
    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Refusal::new(40097, message)
    }

    /// 47001.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Refusal::new(47001, message)
    }
}
