//! Settings of lanes, and the limits of an installation.

use std::collections::HashMap;
use std::time::Duration;

use fangshi_journal::TenantId;
use fangshi_runtime::{BOUNDS, Bound, Limits};
use serde_json::Value;

use crate::decide::retry::Schedule;

/// Settings. `LanesConfig::default()` is right for a small host.
#[derive(Debug, Clone)]
pub struct LanesConfig {
    /// Lanes that are worked on at one time, waiting for the platform included. Default 64: the runtime's pool.
    pub max_concurrent_runs: usize,
    /// Of these, for one tenant at most. Default 16.
    pub per_tenant: usize,
    /// Shares of tenants when lanes have to wait; one that is not named has a share of 1. Default: none is.
    pub weights: HashMap<TenantId, u32>,
    /// The schedule of attempts.
    pub schedule: Schedule,
    /// Wall-clock limit of one attempt. Default 60 s; an installation's `deadline_ms` can only lower it.
    pub deadline: Duration,
    /// How often the sweeper looks for lanes that nobody poked; `None`: only when told to ([`Lanes::sweep`]).
    /// Default 5 s.
    ///
    /// [`Lanes::sweep`]: crate::Lanes::sweep
    pub sweep_every: Option<Duration>,
    /// Wait after the store failed, before the lane is tried again. Default 2 s.
    pub store_wait: Duration,
    /// How long before the platform decides by itself the operator is told of a run that is not done. Default 2 h.
    pub deadline_alert: Duration,
    /// How often a cut-off attempt is resumed before it counts as failed. Default 3.
    pub resumes: u32,
    /// Bytes that one attempt may make the journal keep, sealed: requests and answers of its calls (those of effects are kept
    /// twice), orders and log. No call begins beyond it; the attempt ends as `limit` then. Default 64 MiB: more than the
    /// limits of one run that everybody has let through.
    pub journal_bytes: u64,
}

impl Default for LanesConfig {
    fn default() -> Self {
        LanesConfig {
            max_concurrent_runs: 64,
            per_tenant: 16,
            weights: HashMap::new(),
            schedule: Schedule::default(),
            deadline: Duration::from_secs(60),
            sweep_every: Some(Duration::from_secs(5)),
            store_wait: Duration::from_secs(2),
            deadline_alert: Duration::from_secs(2 * 3_600),
            resumes: 3,
            journal_bytes: 64 << 20,
        }
    }
}

/// The `limits` of an installation: those of one run ([`Limits`]), and some that span runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLimits {
    /// What one run may use.
    pub run: Limits,
    /// Effects that the installation may make on one order within an hour (`effects_per_hour`); beyond, the run is
    /// parked as a loop. Default 60 (range 0 to 10,000; with 0 the installation can read only).
    pub effects_per_hour: u32,
    /// Keys that the installation may keep in `kv` (`kv_keys`); beyond, `set` is answered `invalid` with the figure, and an
    /// attempt whose keys have no room any more at its end ends as a limit. Default 10,000 (range 0 to 1,000,000).
    pub kv_keys: u32,
    /// Bytes of these keys and their values together (`kv_bytes`); beyond, as with `kv_keys`. Default 16 MiB (range 0 to
    /// 1 GiB).
    pub kv_bytes: u64,
    /// Whether events that its own effects caused are given to it too (`echoes`). Default false.
    pub echoes: bool,
}

/// What one member of the JSON form may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitRange {
    /// A whole number from the least to the greatest value, both included.
    Number {
        /// The least value.
        least: u64,
        /// The value if the member is absent.
        default: u64,
        /// The greatest value.
        most: u64,
    },
    /// True or false.
    Switch {
        /// The value if the member is absent.
        default: bool,
    },
}

/// A number that spans runs, as [`Bound`] is one of a single run.
struct Spanning {
    name: &'static str,
    default: u64,
    most: u64,
    get: fn(&RunLimits) -> u64,
    set: fn(&mut RunLimits, u64),
}

/// Each fits its member, since it is at most `most` first.
const SPANNING: &[Spanning] = &[
    Spanning {
        name: "effects_per_hour",
        default: 60,
        most: 10_000,
        get: |limits| limits.effects_per_hour.into(),
        set: |limits, value| limits.effects_per_hour = value as u32,
    },
    Spanning {
        name: "kv_keys",
        default: 10_000,
        most: 1_000_000,
        get: |limits| limits.kv_keys.into(),
        set: |limits, value| limits.kv_keys = value as u32,
    },
    Spanning {
        name: "kv_bytes",
        default: 16 << 20,
        most: 1 << 30,
        get: |limits| limits.kv_bytes,
        set: |limits, value| limits.kv_bytes = value,
    },
];
const ECHOES: &str = "echoes";

impl Default for RunLimits {
    fn default() -> Self {
        let mut limits =
            RunLimits { run: Limits::default(), effects_per_hour: 0, kv_keys: 0, kv_bytes: 0, echoes: false };
        for one in SPANNING {
            (one.set)(&mut limits, one.default);
        }
        limits
    }
}

impl RunLimits {
    /// Every member of the JSON form and what it may hold: those of one run first.
    pub fn members() -> Vec<(&'static str, LimitRange)> {
        let number =
            |bound: &Bound| LimitRange::Number { least: bound.least, default: bound.default, most: bound.most };
        let mut members: Vec<_> = BOUNDS.iter().map(|bound| (bound.name, number(bound))).collect();
        let spanning = |one: &Spanning| LimitRange::Number { least: 0, default: one.default, most: one.most };
        members.extend(SPANNING.iter().map(|one| (one.name, spanning(one))));
        members.push((ECHOES, LimitRange::Switch { default: false }));
        members
    }

    /// Reads the JSON form. Absent members take the default.
    ///
    /// # Errors
    /// A sentence that names the member that is unknown, wrong or out of its range, with the range and the value.
    pub fn parse(limits: &Value) -> Result<RunLimits, String> {
        let members = match limits {
            Value::Null => return Ok(RunLimits::default()),
            Value::Object(members) => members,
            _ => return Err("limits must be an object".into()),
        };
        let mut parsed = RunLimits::default();
        for (name, value) in members {
            parsed.put(name, checked(name, value)?);
        }
        Ok(parsed)
    }

    /// Reads limits out of the store. They were right when they were written, but an older version may have allowed
    /// more: a number out of its range is brought into it, and what can't be read takes the default. A run must not
    /// fail over it.
    pub fn stored(limits: &Value) -> RunLimits {
        let mut read = RunLimits::default();
        for (name, value) in limits.as_object().into_iter().flatten() {
            match clamped(name, value) {
                Some(value) => read.put(name, value),
                None => tracing::debug!(limit = name, "a stored limit can't be read: the default applies"),
            }
        }
        read
    }

    /// A number by its name; 0 for a name that is none.
    pub(crate) fn get(&self, name: &str) -> u64 {
        let of_run = BOUNDS.iter().find(|bound| bound.name == name).map(|bound| bound.get(&self.run));
        let spanning = || SPANNING.iter().find(|one| one.name == name).map(|one| (one.get)(self));
        of_run.or_else(spanning).unwrap_or(0)
    }

    fn put(&mut self, name: &str, value: Checked) {
        match value {
            Checked::Number(number) => {
                if let Some(bound) = BOUNDS.iter().find(|bound| bound.name == name) {
                    bound.set(&mut self.run, number);
                } else if let Some(one) = SPANNING.iter().find(|one| one.name == name) {
                    (one.set)(self, number);
                }
            }
            Checked::Switch(on) => self.echoes = on,
        }
    }
}

/// A value that fits its member.
enum Checked {
    Number(u64),
    Switch(bool),
}

fn range_of(name: &str) -> Option<LimitRange> {
    RunLimits::members().into_iter().find(|(known, _)| *known == name).map(|(_, range)| range)
}

fn checked(name: &str, value: &Value) -> Result<Checked, String> {
    match range_of(name) {
        None => Err(unknown(&RunLimits::members(), name)),
        Some(LimitRange::Switch { .. }) => value
            .as_bool()
            .map(Checked::Switch)
            .ok_or_else(|| format!("{name} must be true or false, not {}", told(value))),
        Some(LimitRange::Number { .. }) => checked_number(&RunLimits::members(), name, value).map(Checked::Number),
    }
}

/// A number of one of these members, within its range.
pub(crate) fn checked_number(members: &[(&'static str, LimitRange)], name: &str, value: &Value) -> Result<u64, String> {
    let Some((_, LimitRange::Number { least, most, .. })) = members.iter().find(|(known, _)| *known == name) else {
        return Err(unknown(members, name));
    };
    match value.as_u64() {
        Some(number) if (least..=most).contains(&&number) => Ok(number),
        _ => Err(format!("{name} must be a whole number from {least} to {most}, not {}", told(value))),
    }
}

fn unknown(members: &[(&'static str, LimitRange)], name: &str) -> String {
    let known: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    format!("unknown limit `{}`, expected one of {}", short(name), known.join(", "))
}

fn clamped(name: &str, value: &Value) -> Option<Checked> {
    match range_of(name)? {
        LimitRange::Switch { .. } => value.as_bool().map(Checked::Switch),
        LimitRange::Number { least, most, .. } => {
            // A negative number is a number too small.
            let number = value.as_u64().or_else(|| value.as_i64().map(|_| least))?;
            Some(Checked::Number(number.clamp(least, most)))
        }
    }
}

/// A value for a message: as it was written, but not at any length.
fn told(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        value => short(&value.to_string()),
    }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn limits_that_span_runs_stand_beside_those_of_one_run() {
        let limits = RunLimits::parse(&json!({"fuel": 50_000, "effects_per_hour": 2, "echoes": true})).unwrap();
        assert_eq!((limits.run.fuel, limits.effects_per_hour, limits.echoes), (50_000, 2, true));
        assert_eq!(RunLimits::parse(&json!({})), Ok(RunLimits::default()));
        assert_eq!(RunLimits::parse(&Value::Null), Ok(RunLimits::default()));
    }

    #[test]
    fn every_member_ends_at_its_bounds_and_the_refusal_says_where() {
        let mut numbers = 0;
        for (name, range) in RunLimits::members() {
            let LimitRange::Number { least, default, most } = range else { continue };
            numbers += 1;
            for right in [least, default, most] {
                RunLimits::parse(&json!({ name: right })).unwrap();
            }
            for wrong in [i128::from(least) - 1, i128::from(most) + 1, i128::from(u64::MAX)] {
                let value: Value = serde_json::from_str(&wrong.to_string()).unwrap();
                let told = RunLimits::parse(&json!({ name: value })).unwrap_err();
                assert_eq!(told, format!("{name} must be a whole number from {least} to {most}, not {wrong}"));
            }
        }
        assert_eq!(numbers, BOUNDS.len() + SPANNING.len());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let unknown = RunLimits::parse(&json!({"fule": 5})).unwrap_err();
        assert!(unknown.contains("`fule`"), "{unknown}");
        for (name, _) in RunLimits::members() {
            assert!(unknown.contains(name), "{name} is not among the known ones: {unknown}");
        }
        assert!(unknown.contains("effects_per_hour, kv_keys, kv_bytes, echoes"), "{unknown}");
        assert!(RunLimits::parse(&json!({"fuel": 1.5})).unwrap_err().ends_with("not 1.5"));
        assert!(RunLimits::parse(&json!({"fuel": "much"})).unwrap_err().contains("fuel must be a whole number"));
        assert!(RunLimits::parse(&json!({"echoes": 1})).unwrap_err().contains("echoes must be true or false, not 1"));
        assert!(RunLimits::parse(&json!([])).is_err());
    }

    #[test]
    fn stored_limits_never_stop_a_run() {
        let kept = json!({"fuel": 5, "memory_bytes": u64::MAX, "host_calls": -1, "deadline_ms": "long", "gone": 1,
            "effects_per_hour": 4_294_967_295_u64, "echoes": true});
        let limits = RunLimits::stored(&kept);
        assert_eq!((limits.run.fuel, limits.run.memory_bytes, limits.run.host_calls), (10_000, 1 << 30, 0));
        assert_eq!(limits.run.deadline_ms, Limits::default().deadline_ms);
        assert_eq!((limits.effects_per_hour, limits.echoes), (10_000, true));
        assert_eq!(RunLimits::stored(&Value::Null), RunLimits::default());
        assert_eq!(RunLimits::stored(&json!("x")), RunLimits::default());
    }
}
