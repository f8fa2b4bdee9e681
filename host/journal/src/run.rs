//! The states of a run.

use serde::{Deserialize, Serialize};

use crate::JournalError;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// No attempt yet, or one is under way.
    Ready,
    /// Waits for its retry.
    Waiting,
    /// An attempt ended ok.
    Done,
    /// The plugin gave up.
    Rejected,
    /// Given up after the last attempt; waits for a person, blocks nobody else.
    Parked,
}

impl RunState {
    /// As stored in `runs.state`.
    pub(crate) fn code(self) -> i64 {
        match self {
            RunState::Ready => 0,
            RunState::Waiting => 1,
            RunState::Done => 2,
            RunState::Rejected => 3,
            RunState::Parked => 4,
        }
    }

    pub(crate) fn from_code(code: i64) -> Result<RunState, JournalError> {
        Ok(match code {
            0 => RunState::Ready,
            1 => RunState::Waiting,
            2 => RunState::Done,
            3 => RunState::Rejected,
            4 => RunState::Parked,
            other => return Err(JournalError::Corrupt(format!("run state {other}"))),
        })
    }

    /// Whether it is over (for the lane).
    pub fn is_finished(self) -> bool {
        matches!(self, RunState::Done | RunState::Rejected | RunState::Parked)
    }
}
