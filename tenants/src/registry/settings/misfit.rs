//! A value that does not fit, and what is expected instead.

use std::fmt;

use serde_json::{Number, Value};

/// A setting that does not fit. Never holds its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Misfit {
    /// Its name.
    pub member: String,
    /// What is expected.
    pub expected: Expected,
}

/// What is expected of a setting. `Display` goes on after its name: "must be …".
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// Any value at all: it is missing.
    Given,
    /// That it is left out: the plugin has no such setting.
    Nothing,
    /// A text of so many characters.
    Text {
        /// At least.
        least: u64,
        /// At most.
        most: u64,
    },
    /// A text that holds this.
    Pattern(String),
    /// A whole number.
    Integer {
        /// At least.
        least: Option<i64>,
        /// At most.
        most: Option<i64>,
    },
    /// A number.
    Number {
        /// At least.
        least: Option<Number>,
        /// At most.
        most: Option<Number>,
    },
    /// True or false.
    Switch,
    /// One of these.
    OneOf(Vec<Value>),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.member, self.expected)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expected::Given => write!(f, "is missing"),
            Expected::Nothing => write!(f, "is no setting of this version: leave it out"),
            Expected::Text { least: 0, most } => write!(f, "must be a text of at most {most} characters"),
            Expected::Text { least, most } => write!(f, "must be a text of {least} to {most} characters"),
            Expected::Pattern(pattern) => write!(f, "must be a text that matches {pattern}"),
            Expected::Integer { least, most } => write!(f, "must be an integer{}", Bounds(least, most)),
            Expected::Number { least, most } => write!(f, "must be a number{}", Bounds(least, most)),
            Expected::Switch => write!(f, "must be true or false"),
            Expected::OneOf(choices) => {
                let choices: Vec<String> = choices.iter().map(Value::to_string).collect();
                write!(f, "must be one of {}", choices.join(", "))
            }
        }
    }
}

struct Bounds<'a, T>(&'a Option<T>, &'a Option<T>);

impl<T: fmt::Display> fmt::Display for Bounds<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (None, None) => Ok(()),
            (Some(least), None) => write!(f, " of at least {least}"),
            (None, Some(most)) => write!(f, " of at most {most}"),
            (Some(least), Some(most)) => write!(f, " from {least} to {most}"),
        }
    }
}
