//! Settings of lanes, and the limits of an installation.

use std::time::Duration;

use fangshi_runtime::Limits;
use serde_json::Value;

use crate::decide::retry::Schedule;

/// Settings. `LanesConfig::default()` is right for a small host.
#[derive(Debug, Clone)]
pub struct LanesConfig {
    /// Lanes that are worked on at one time, waiting for the platform included. Default 64: the runtime's pool.
    pub max_concurrent_runs: usize,
    /// Of these, for one tenant at most. Default 16.
    pub per_tenant: usize,
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
}

impl Default for LanesConfig {
    fn default() -> Self {
        LanesConfig {
            max_concurrent_runs: 64,
            per_tenant: 16,
            schedule: Schedule::default(),
            deadline: Duration::from_secs(60),
            sweep_every: Some(Duration::from_secs(5)),
            store_wait: Duration::from_secs(2),
            deadline_alert: Duration::from_secs(2 * 3_600),
            resumes: 3,
        }
    }
}

/// The `limits` of an installation: those of one run ([`Limits`]), and two that span runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLimits {
    /// What one run may use.
    pub run: Limits,
    /// Effects that the installation may make on one order within an hour (`effects_per_hour`); beyond, the run is
    /// parked as a loop. Default 60.
    pub effects_per_hour: u32,
    /// Whether events that its own effects caused are given to it too (`echoes`). Default false.
    pub echoes: bool,
}

impl Default for RunLimits {
    fn default() -> Self {
        RunLimits { run: Limits::default(), effects_per_hour: 60, echoes: false }
    }
}

impl RunLimits {
    /// Reads the JSON form. Absent members take the default.
    ///
    /// # Errors
    /// A sentence that names the member that is unknown or wrong.
    pub fn parse(limits: &Value) -> Result<RunLimits, String> {
        let mut members = match limits {
            Value::Null => return Ok(RunLimits::default()),
            Value::Object(members) => members.clone(),
            _ => return Err("limits must be an object".into()),
        };
        let mut parsed = RunLimits::default();
        if let Some(number) = members.remove("effects_per_hour") {
            parsed.effects_per_hour = number
                .as_u64()
                .and_then(|number| u32::try_from(number).ok())
                .ok_or("effects_per_hour must be a number from 0 to 4294967295")?;
        }
        if let Some(wish) = members.remove("echoes") {
            parsed.echoes = wish.as_bool().ok_or("echoes must be true or false")?;
        }
        parsed.run = serde_json::from_value(Value::Object(members)).map_err(|error| error.to_string())?;
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn limits_that_span_runs_stand_beside_those_of_one_run() {
        let limits = RunLimits::parse(&json!({"fuel": 5, "effects_per_hour": 2, "echoes": true})).unwrap();
        assert_eq!((limits.run.fuel, limits.effects_per_hour, limits.echoes), (5, 2, true));
        assert_eq!(RunLimits::parse(&json!({})), Ok(RunLimits::default()));
        assert_eq!(RunLimits::parse(&Value::Null), Ok(RunLimits::default()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(RunLimits::parse(&json!({"fule": 5})).unwrap_err().contains("fule"));
        assert!(RunLimits::parse(&json!({"effects_per_hour": -1})).unwrap_err().contains("effects_per_hour"));
        assert!(RunLimits::parse(&json!({"echoes": 1})).unwrap_err().contains("echoes"));
        assert!(RunLimits::parse(&json!([])).is_err());
    }
}
