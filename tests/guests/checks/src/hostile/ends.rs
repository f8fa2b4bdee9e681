//! How a hostile guest must end, as its file says it.
use anyhow::{Context, Result, bail};
use fangshi_runtime::Outcome;

use super::End;

/// How a guest must end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ends {
    /// Well: what it did harmed nobody.
    Done,
    /// With a reason of its own.
    Reject,
    /// With a trap whose message holds these words.
    Trap(String),
    /// At a limit, which is told with its figure.
    Limit(String, u64),
    /// At its deadline.
    Deadline,
    /// Before it ran, with this code.
    Refused(String),
    /// In any way that is its own doing: for guests that nobody has written.
    Somehow,
}

impl Ends {
    /// `done`, `reject`, `trap WORDS`, `limit NAME ALLOWED`, `deadline`, `refused CODE`.
    pub fn read(line: &str) -> Result<Ends> {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        Ok(match kind {
            "done" => Ends::Done,
            "reject" => Ends::Reject,
            "trap" => Ends::Trap(rest.to_owned()),
            "limit" => {
                let (name, allowed) = rest.split_once(' ').context("limit NAME ALLOWED")?;
                Ends::Limit(name.to_owned(), allowed.parse()?)
            }
            "deadline" => Ends::Deadline,
            "refused" => Ends::Refused(rest.to_owned()),
            other => bail!("no such end: {other}"),
        })
    }

    /// Whether it ended so.
    pub fn fits(&self, end: &End) -> bool {
        let outcome = match end {
            End::Refused(code, _) => return matches!(self, Ends::Somehow) || *self == Ends::Refused(code.clone()),
            End::Ran(report) => &report.outcome,
        };
        match (self, outcome) {
            (Ends::Done, Outcome::Done) | (Ends::Reject, Outcome::Reject { .. }) => true,
            (Ends::Deadline, Outcome::Deadline) => true,
            (Ends::Trap(words), Outcome::Trap { message }) => message.contains(words.as_str()),
            (Ends::Limit(name, figure), Outcome::Limit { limit, allowed }) => limit == name && allowed == figure,
            (Ends::Somehow, outcome) => !matches!(outcome, Outcome::HostFault(_) | Outcome::Aborted(_)),
            _ => false,
        }
    }
}
