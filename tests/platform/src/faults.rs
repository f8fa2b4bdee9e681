//! Faults on demand: the next N calls of a path answer wrongly, or not at all.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a call goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// Refused with this errcode; nothing is applied. -1 is "system busy".
    Errcode {
        /// The errcode.
        code: i64,
    },
    /// Answered with this errcode, and applied all the same.
    ErrcodeApplied {
        /// The errcode.
        code: i64,
    },
    /// No answer for this long (then the connection closes).
    Hang {
        /// Real milliseconds.
        for_ms: u64,
        /// Whether the call is applied first.
        applied: bool,
    },
    /// The connection breaks instead of an answer.
    Reset {
        /// Whether the call is applied first.
        applied: bool,
    },
    /// The connection breaks within the answer; the call was applied.
    ResetInBody,
    /// The answer comes a byte at a time; the call was applied.
    Trickle {
        /// Real milliseconds between bytes.
        every_ms: u64,
    },
    /// An HTTP status instead of an answer; nothing is applied.
    Status {
        /// 500 to 599, say.
        status: u16,
    },
    /// The answer is cut JSON; the call was applied.
    BrokenJson,
    /// The answer carries a member of this many bytes; the call was applied.
    Huge {
        /// Size in bytes.
        bytes: usize,
    },
    /// The answer comes late but whole.
    Slow {
        /// Real milliseconds.
        for_ms: u64,
    },
}

impl Fault {
    /// Whether the call is carried out in spite of the fault.
    pub fn applies(&self) -> bool {
        match self {
            Fault::Errcode { .. } | Fault::Status { .. } => false,
            Fault::Hang { applied, .. } | Fault::Reset { applied } => *applied,
            Fault::ErrcodeApplied { .. }
            | Fault::ResetInBody
            | Fault::Trickle { .. }
            | Fault::BrokenJson
            | Fault::Huge { .. }
            | Fault::Slow { .. } => true,
        }
    }

    /// Hangs for good, in the eyes of any client.
    pub fn hang(applied: bool) -> Self {
        Fault::Hang { for_ms: Duration::from_secs(3600).as_millis() as u64, applied }
    }
}

/// Which calls a fault hits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Only this shop's; none: anyone's.
    #[serde(default)]
    pub appid: Option<String>,
    /// Only this path; none: any.
    #[serde(default)]
    pub path: Option<String>,
}

impl Target {
    /// Calls of one path, by anyone.
    pub fn path(path: &str) -> Self {
        Target { appid: None, path: Some(path.to_owned()) }
    }

    /// All calls of one shop.
    pub fn shop(appid: &str) -> Self {
        Target { appid: Some(appid.to_owned()), path: None }
    }

    /// Calls of one path by one shop.
    pub fn shop_path(appid: &str, path: &str) -> Self {
        Target { appid: Some(appid.to_owned()), path: Some(path.to_owned()) }
    }

    fn hits(&self, appid: Option<&str>, path: &str) -> bool {
        self.path.as_deref().is_none_or(|p| p == path) && (self.appid.is_none() || self.appid.as_deref() == appid)
    }
}

/// The faults that are still due, in the order in which they were asked for.
#[derive(Debug, Default)]
pub(crate) struct FaultPlan(Vec<(Target, u64, Fault)>);

impl FaultPlan {
    pub(crate) fn add(&mut self, target: Target, times: u64, fault: Fault) {
        if times > 0 {
            self.0.push((target, times, fault));
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault for this call, used up once.
    pub(crate) fn take(&mut self, appid: Option<&str>, path: &str) -> Option<Fault> {
        let at = self.0.iter().position(|(target, _, _)| target.hits(appid, path))?;
        let fault = self.0[at].2.clone();
        self.0[at].1 -= 1;
        if self.0[at].1 == 0 {
            self.0.remove(at);
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_its_target_and_is_used_up() {
        let mut plan = FaultPlan::default();
        plan.add(Target::shop_path("wx1", "/a"), 2, Fault::Errcode { code: -1 });
        plan.add(Target::path("/b"), 1, Fault::BrokenJson);
        assert_eq!(plan.take(Some("wx2"), "/a"), None);
        assert_eq!(plan.take(None, "/a"), None);
        assert_eq!(plan.take(Some("wx1"), "/a"), Some(Fault::Errcode { code: -1 }));
        assert_eq!(plan.take(Some("wx2"), "/b"), Some(Fault::BrokenJson));
        assert_eq!(plan.take(Some("wx2"), "/b"), None);
        assert_eq!(plan.take(Some("wx1"), "/a"), Some(Fault::Errcode { code: -1 }));
        assert_eq!(plan.take(Some("wx1"), "/a"), None);
    }

    #[test]
    fn refusals_apply_nothing() {
        assert!(!Fault::Errcode { code: -1 }.applies());
        assert!(!Fault::Status { status: 502 }.applies());
        assert!(!Fault::hang(false).applies());
        assert!(Fault::ErrcodeApplied { code: -1 }.applies());
        assert!(Fault::hang(true).applies());
        assert!(Fault::ResetInBody.applies());
    }
}
