//! What a tenant may use: the operator's defaults, over them its plan's figures, over them its own. An installation may have
//! less, never more.

use std::collections::BTreeMap;

use fangshi_runtime::MAX_CONCURRENT_RUNS;
use serde_json::{Map, Value};

use crate::config::{LimitRange, RunLimits, checked_number};

/// Limits by name.
pub type Figures = BTreeMap<String, u64>;

/// A limit of a tenant as a whole, beside those that each of its installations has.
struct Whole {
    name: &'static str,
    least: u64,
    default: u64,
    most: u64,
}

/// Runs of the tenant at once.
pub const RUNS_AT_ONCE: &str = "runs_at_once";
/// Attempts of the tenant that begin within a second.
pub const RUNS_PER_SECOND: &str = "runs_per_second";
/// Bytes that attempts of the tenant make the journal keep within an hour.
pub const JOURNAL_BYTES_PER_HOUR: &str = "journal_bytes_per_hour";
/// Bytes of one component that is uploaded.
pub const COMPONENT_BYTES: &str = "component_bytes";
/// Installations that hear one hook, and so may be started by one event.
pub const HOOKS_PER_EVENT: &str = "hooks_per_event";

/// Runs of an installation that end badly by its own fault, one after the other, before the host pauses it; 0: it never does.
pub const QUARANTINE_AFTER: &str = "quarantine_after";

const WHOLE: &[Whole] = &[
    Whole { name: RUNS_AT_ONCE, least: 1, default: 16, most: MAX_CONCURRENT_RUNS as u64 },
    Whole { name: RUNS_PER_SECOND, least: 1, default: 10_000, most: 1_000_000 },
    Whole { name: JOURNAL_BYTES_PER_HOUR, least: 1 << 20, default: 1 << 30, most: 1 << 40 },
    Whole { name: COMPONENT_BYTES, least: 1 << 10, default: 32 << 20, most: 256 << 20 },
    Whole { name: HOOKS_PER_EVENT, least: 1, default: 32, most: 1_000 },
    // More than the attempts of one run: one order that a plugin can't bear is no reason.
    Whole { name: QUARANTINE_AFTER, least: 0, default: 20, most: 1_000_000 },
];

/// The operator's figures for everybody, and its plans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plans {
    /// For everybody; a limit that is not here has its usual value.
    pub everybody: Figures,
    /// By the name of the plan.
    pub named: BTreeMap<String, Figures>,
}

impl Plans {
    /// Every limit that a plan or a tenant may have, with its range: those of an installation first.
    pub fn members() -> Vec<(&'static str, LimitRange)> {
        let number = |(name, range)| matches!(range, LimitRange::Number { .. }).then_some((name, range));
        let mut members: Vec<_> = RunLimits::members().into_iter().filter_map(number).collect();
        let whole = |one: &Whole| LimitRange::Number { least: one.least, default: one.default, most: one.most };
        members.extend(WHOLE.iter().map(|one| (one.name, whole(one))));
        members
    }

    /// Reads a tenant's own limits.
    ///
    /// # Errors
    /// A sentence that names the member that is unknown, wrong or out of its range.
    pub fn parse(own: &Map<String, Value>) -> Result<Figures, String> {
        let members = Plans::members();
        let read = own.iter().map(|(name, value)| Ok((name.clone(), checked_number(&members, name, value)?)));
        read.collect()
    }

    /// What a tenant has. A plan that the config no longer knows counts as none; `own` was right when it was written.
    pub fn of(&self, plan: Option<&str>, own: &Value) -> TenantLimits {
        let plan = plan.and_then(|plan| self.named.get(plan));
        let figures = Plans::members().into_iter().filter_map(|(name, range)| {
            let LimitRange::Number { least, default, most } = range else { return None };
            let own = own.get(name).and_then(Value::as_u64);
            let set = own.or_else(|| plan?.get(name).copied()).or_else(|| self.everybody.get(name).copied());
            Some((name, set.unwrap_or(default).clamp(least, most)))
        });
        TenantLimits { figures: figures.collect() }
    }
}

/// What one tenant has of each limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantLimits {
    figures: BTreeMap<&'static str, u64>,
}

impl TenantLimits {
    /// One figure; 0 for a limit that there is none of.
    pub fn get(&self, name: &str) -> u64 {
        self.figures.get(name).copied().unwrap_or(0)
    }

    /// All of them, by name.
    pub fn all(&self) -> Value {
        self.figures
            .iter()
            .map(|(name, figure)| ((*name).to_owned(), Value::from(*figure)))
            .collect::<Map<_, _>>()
            .into()
    }

    /// What an installation gets whose own limits are these: every member of [`RunLimits`], none above the tenant's.
    pub fn effective(&self, installation: &Value) -> Value {
        let own = RunLimits::stored(installation);
        let mut effective = Map::new();
        for (name, range) in RunLimits::members() {
            let value = match range {
                LimitRange::Switch { .. } => Value::from(own.echoes),
                LimitRange::Number { .. } if installation.get(name).is_some() => {
                    Value::from(own.get(name).min(self.get(name)))
                }
                LimitRange::Number { .. } => Value::from(self.get(name)),
            };
            effective.insert(name.to_owned(), value);
        }
        Value::Object(effective)
    }

    /// The same without the members that have their usual value: every attempt records it.
    pub fn pinned(&self, installation: &Value) -> Value {
        let mut pinned = self.effective(installation);
        if let Some(members) = pinned.as_object_mut() {
            for (name, range) in RunLimits::members() {
                let usual = match range {
                    LimitRange::Number { default, .. } => Value::from(default),
                    LimitRange::Switch { default } => Value::from(default),
                };
                if members.get(name) == Some(&usual) {
                    members.remove(name);
                }
            }
        }
        pinned
    }

    /// The first limit of an installation that is above the tenant's: its name, what is asked and what is there.
    pub fn exceeded(&self, installation: &Value) -> Option<(&'static str, u64, u64)> {
        let above = |(name, range)| {
            let LimitRange::Number { .. } = range else { return None };
            let asked = installation.get(name).and_then(Value::as_u64)?;
            (asked > self.get(name)).then_some((name, asked, self.get(name)))
        };
        RunLimits::members().into_iter().find_map(above)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plans() -> Plans {
        let figures = |of: &[(&str, u64)]| of.iter().map(|(name, figure)| ((*name).to_owned(), *figure)).collect();
        Plans {
            everybody: figures(&[("fuel", 100_000), ("kv_keys", 5)]),
            named: [("large".to_owned(), figures(&[("fuel", 9_000_000), ("runs_at_once", 40)]))].into(),
        }
    }

    #[test]
    fn the_nearest_figure_counts() {
        let plans = plans();
        let nobody = plans.of(None, &json!({}));
        assert_eq!((nobody.get("fuel"), nobody.get("kv_keys"), nobody.get(RUNS_AT_ONCE)), (100_000, 5, 16));
        let large = plans.of(Some("large"), &json!({}));
        assert_eq!((large.get("fuel"), large.get("kv_keys"), large.get(RUNS_AT_ONCE)), (9_000_000, 5, 40));
        let own = plans.of(Some("large"), &json!({"fuel": 20_000}));
        assert_eq!((own.get("fuel"), own.get(RUNS_AT_ONCE)), (20_000, 40));
        assert_eq!(plans.of(Some("gone"), &json!({})), nobody, "a plan that is no longer there");
        let usual = Plans::default().of(None, &json!({}));
        for (name, range) in Plans::members() {
            let LimitRange::Number { default, .. } = range else { panic!("{name} is no number") };
            assert_eq!(usual.get(name), default, "{name}");
        }
    }

    #[test]
    fn an_installation_has_what_it_asks_for_and_never_more_than_its_tenant() {
        let tenant = plans().of(None, &json!({}));
        let effective = tenant.effective(&json!({"fuel": 50_000, "kv_keys": 1_000, "echoes": true}));
        assert_eq!(
            (&effective["fuel"], &effective["kv_keys"], &effective["echoes"]),
            (&json!(50_000), &json!(5), &json!(true))
        );
        assert_eq!(effective["host_calls"], 1_000, "the usual value of what nobody set");
        assert_eq!(effective.as_object().unwrap().len(), RunLimits::members().len());
        RunLimits::parse(&effective).unwrap();
        let pinned = tenant.pinned(&json!({"host_calls": 1_000}));
        assert_eq!(pinned, json!({"fuel": 100_000, "kv_keys": 5}), "what is as usual is not recorded");
        assert_eq!(RunLimits::stored(&pinned), RunLimits::stored(&tenant.effective(&json!({}))));
        assert_eq!(tenant.exceeded(&json!({"fuel": 100_001})), Some(("fuel", 100_001, 100_000)));
        assert_eq!(tenant.exceeded(&json!({"fuel": 100_000, "echoes": true})), None);
    }

    #[test]
    fn a_tenants_own_limits_are_checked() {
        let of = |value: Value| Plans::parse(value.as_object().unwrap());
        assert_eq!(of(json!({"runs_at_once": 3})).unwrap()["runs_at_once"], 3);
        assert!(of(json!({"runs_at_once": 0})).unwrap_err().contains("runs_at_once must be a whole number from 1"));
        assert!(of(json!({"echoes": true})).unwrap_err().contains("unknown limit `echoes`"));
        assert!(of(json!({"fuel": "much"})).is_err());
    }
}
