//! Whether the end of a run was its plugin's own doing.

use fangshi_runtime::Outcome;
use fangshi_tenants::{Conduct, Fault};

use super::ending::{Halt, JOURNAL_BYTES, code_of, figure};

/// What the end of a run says about its plugin; `halt` outranks what the runtime reports, as in [`ending`]. `waiting`: at
/// its deadline it waited for the host or the platform, not for an outside host. `allowed`: faults in a row before its
/// installation is put into quarantine.
///
/// [`ending`]: super::ending::ending
pub fn conduct(halt: Option<&Halt>, outcome: Option<&Outcome>, waiting: bool, allowed: u32) -> Conduct {
    let fault = |outcome: &'static str, figure: String| Conduct::Fault(Fault { outcome, figure, allowed });
    let outcome = match (halt, outcome) {
        (Some(Halt::Loop { allowed: effects }), _) => {
            return fault("loop", format!("effects_per_hour: {effects} allowed"));
        }
        (Some(Halt::JournalFull { allowed }), _) => return fault("limit", figure(JOURNAL_BYTES, *allowed)),
        (Some(Halt::KvFull { limit, allowed }), _) => return fault("limit", figure(limit, *allowed)),
        (Some(Halt::Divergence(_)), _) => return fault("divergence", String::new()),
        // The platform, the host or a person. That a process dies again and again may have any cause.
        (
            Some(
                Halt::OrderUnavailable { .. }
                | Halt::NotLoaded(_)
                | Halt::Crashed
                | Halt::Removed
                | Halt::Paused
                | Halt::Stopped(_)
                | Halt::Withdrawn { .. },
            ),
            _,
        )
        | (None, None) => return Conduct::Untold,
        (None, Some(outcome)) => outcome,
    };
    match outcome {
        Outcome::Done | Outcome::RetryLater { .. } | Outcome::Reject { .. } => Conduct::Well,
        Outcome::Limit { limit, allowed } => fault(code_of(outcome), figure(limit, *allowed)),
        // A platform that is slow must not bring a shop's plugins down.
        Outcome::Deadline if waiting => Conduct::Untold,
        Outcome::Trap { .. } | Outcome::Deadline => fault(code_of(outcome), String::new()),
        Outcome::Aborted(fangshi_runtime::Abort::Divergence(_)) => fault(code_of(outcome), String::new()),
        Outcome::EventUnfit { .. } | Outcome::Aborted(_) | Outcome::HostFault(_) => Conduct::Untold,
    }
}

#[cfg(test)]
mod tests {
    use fangshi_runtime::Abort;

    use super::*;

    fn of(outcome: Outcome) -> Conduct {
        conduct(None, Some(&outcome), false, 3)
    }

    fn fault(outcome: &'static str, figure: &str) -> Conduct {
        Conduct::Fault(Fault { outcome, figure: figure.into(), allowed: 3 })
    }

    #[test]
    fn what_a_plugin_does_to_itself_is_its_fault_with_the_figure() {
        assert_eq!(of(Outcome::Trap { message: "its own words".into() }), fault("trap", ""));
        assert_eq!(of(Outcome::Limit { limit: "fuel", allowed: 9 }), fault("limit", "fuel: 9 allowed"));
        assert_eq!(of(Outcome::Deadline), fault("deadline", ""));
        assert_eq!(of(Outcome::Aborted(Abort::Divergence("x".into()))), fault("divergence", ""));
        let halted = |halt| conduct(Some(&halt), Some(&Outcome::Done), false, 3);
        assert_eq!(halted(Halt::Loop { allowed: 60 }), fault("loop", "effects_per_hour: 60 allowed"));
        assert_eq!(halted(Halt::JournalFull { allowed: 9 }), fault("limit", "journal_bytes: 9 allowed"));
        let full = Halt::KvFull { limit: "kv_keys", allowed: 9 };
        assert_eq!(halted(full), fault("limit", "kv_keys: 9 allowed"));
        assert_eq!(halted(Halt::Divergence("x".into())), fault("divergence", ""));
    }

    #[test]
    fn what_others_do_to_it_is_not() {
        assert_eq!(conduct(None, Some(&Outcome::Deadline), true, 3), Conduct::Untold, "it waited for the platform");
        assert_eq!(of(Outcome::HostFault("x".into())), Conduct::Untold);
        assert_eq!(of(Outcome::EventUnfit { reason: "x".into() }), Conduct::Untold);
        assert_eq!(conduct(None, None, false, 3), Conduct::Untold);
        let trap = Outcome::Trap { message: String::new() };
        for halt in [
            Halt::OrderUnavailable { message: String::new(), after: None, never: false },
            Halt::NotLoaded(String::new()),
            Halt::Crashed,
            Halt::Removed,
            Halt::Paused,
            Halt::Stopped(fangshi_tenants::Stop::Quarantined),
            Halt::Withdrawn { grants: vec![] },
        ] {
            assert_eq!(conduct(Some(&halt), Some(&trap), false, 3), Conduct::Untold, "{halt:?}");
        }
    }

    #[test]
    fn an_orderly_end_is_none_whatever_it_says() {
        assert_eq!(of(Outcome::Done), Conduct::Well);
        assert_eq!(of(Outcome::Reject { reason: String::new() }), Conduct::Well);
        assert_eq!(of(Outcome::RetryLater { reason: String::new(), after: None }), Conduct::Well);
    }
}
