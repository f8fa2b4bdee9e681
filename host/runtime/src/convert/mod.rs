//! Between JSON and component values, driven by the contract's types.

mod from_json;
mod to_json;

#[cfg(test)]
mod tests;

use std::fmt;

pub(crate) use from_json::{View, from_json};
pub(crate) use to_json::to_json;

/// What an element of a list counts at the border beside its content: lists of what is empty have an end too.
pub(crate) const ELEMENT_BYTES: u64 = 8;

/// A value that can't be what the contract says it is. Says where and of what kind, never the value itself: it may be
/// buyer data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mismatch {
    path: Vec<String>,
    wanted: &'static str,
    found: &'static str,
}

impl Mismatch {
    fn new(wanted: &'static str, found: &'static str) -> Self {
        Mismatch { path: Vec::new(), wanted, found }
    }

    fn under(mut self, step: impl Into<String>) -> Self {
        self.path.push(step.into());
        self
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.path.iter().rev().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            f.write_str(step)?;
        }
        if self.path.is_empty() {
            f.write_str("the value")?;
        }
        write!(f, ": expected {}, found {}", self.wanted, self.found)
    }
}
