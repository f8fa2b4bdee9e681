//! What is wrong with a config: the key, the file, the line when it is known, and what is expected.

use std::fmt;
use std::path::{Path, PathBuf};

/// One wrong key of a config file. Never carries the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key with its section, such as `operator.token`; empty if the file as a whole is meant.
    pub key: String,
    /// The config file.
    pub file: PathBuf,
    /// Line in the file, from 1.
    pub line: Option<usize>,
    /// What is expected, and what was found instead.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(out, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(out, ": {}", self.key)?;
        }
        write!(out, ": {}", self.message)
    }
}

/// All that is wrong with a config, so that one start shows everything to correct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// In the order of the file's keys; never empty.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// An error about the file as a whole.
    pub fn whole_file(file: &Path, line: Option<usize>, message: impl Into<String>) -> Self {
        let problem = Problem { key: String::new(), file: file.to_owned(), line, message: message.into() };
        ConfigError { problems: vec![problem] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            if number > 0 {
                writeln!(out)?;
            }
            write!(out, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
