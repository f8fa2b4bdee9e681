//! The task that watches what the operator is to know, and sends alerts to the one address that the config names.
//!
//! The body is `{"id", "kind", "tenant", "subject", "count", "first_at", "last_at", "ended_at", "text"}`: a number that an
//! alert keeps however often it is sent, a code (`run-parked`, `deadline-near`, `tenant-stopped`, `breaker-open`,
//! `installation-quarantined`, `backlog-old`), an id (`t0`: the host itself), a code or an id, how often, unix milliseconds,
//! when it was over (null: it holds on), and the same in words. Nothing of a shop or a buyer is in it. Whatever is not answered
//! with 2xx is sent again, with growing waits, after a restart too.

use std::time::Duration;

use fangshi_journal::{ALERT_WAIT_MS, Alert, AlertKind, Condition, Journal, JournalError};
use fangshi_operations::{Operations, Outgoing};
use fangshi_tenants::{TenantId, Tenants};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// Between looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Alerts of one look.
const AT_ONCE: u32 = 50;
const FIRST_WAIT_MS: i64 = 5_000;

/// What the task works with.
pub struct Watch {
    pub tenants: Tenants,
    pub journal: Journal,
    pub operations: Operations,
    /// Where alerts go; none: they are kept to be read with the admin API.
    pub outgoing: Option<Outgoing>,
    /// How long anything may be overdue, milliseconds.
    pub backlog_old_ms: u64,
}

impl Watch {
    /// Looks at once and then until aborted.
    pub fn start(self) -> JoinHandle<()> {
        tokio::spawn(async move {
            loop {
                if let Err(error) = self.look().await {
                    tracing::warn!(%error, "alerts wait");
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        })
    }

    async fn look(&self) -> Result<(), JournalError> {
        self.journal.conditions_hold(self.conditions().await?).await?;
        let Some(outgoing) = &self.outgoing else { return Ok(()) };
        for alert in self.journal.due_alerts(AT_ONCE).await? {
            let now = self.journal.clock().now();
            match outgoing.post(&body(&alert), now.div_euclid(1_000)).await {
                Ok(()) => self.journal.alert_sent(&alert).await?,
                Err(error) => {
                    tracing::warn!(alert = alert.id, tries = alert.tries + 1, error, "an alert was not taken");
                    self.journal.alert_refused(&alert, now.saturating_add(wait_ms(alert.tries))).await?;
                    // The others need not wait for the receiver's timeout one after the other to hear the same.
                    break;
                }
            }
        }
        Ok(())
    }

    async fn conditions(&self) -> Result<Vec<Condition>, JournalError> {
        let tenants = self.tenants.list(None, u32::MAX).await;
        let stopped = tenants.iter().filter(|tenant| !tenant.is_active()).map(|tenant| Condition {
            kind: AlertKind::TenantStopped,
            tenant: tenant.id,
            subject: tenant.state.code(),
        });
        let mut holding: Vec<Condition> = stopped.collect();
        let held = self.operations.held_back();
        let open = |tenant| Condition { kind: AlertKind::BreakerOpen, tenant, subject: "weixin" };
        holding.extend(held.into_iter().map(open));
        if self.journal.overdue_ms().await? > self.backlog_old_ms {
            holding.push(Condition { kind: AlertKind::BacklogOld, tenant: TenantId::HOST, subject: "events" });
        }
        Ok(holding)
    }
}

/// How long to wait after so many sendings that failed: 5 s, doubled up to an hour.
fn wait_ms(tries: u32) -> i64 {
    FIRST_WAIT_MS.saturating_mul(1 << tries.min(16)).min(ALERT_WAIT_MS)
}

fn body(alert: &Alert) -> Value {
    let (subject, tenant, over) = (&alert.subject, alert.tenant, alert.ended_at.is_some());
    let text = match alert.kind {
        AlertKind::RunParked => format!("{} runs were parked ({subject}) and wait for a person", alert.count),
        AlertKind::DeadlineNear => {
            format!("the platform decides by itself soon, or nobody can find out when, and {subject} was not done")
        }
        AlertKind::TenantStopped if over => format!("{tenant} was {subject} for a while: that is over"),
        AlertKind::TenantStopped => format!("{tenant} is {subject}: its runs wait"),
        AlertKind::BreakerOpen if over => format!("the platform failed for {tenant} for a while: that is over"),
        AlertKind::BreakerOpen => format!("the platform fails for {tenant}: its calls are held back"),
        AlertKind::InstallationQuarantined => {
            format!("{subject} of {tenant} failed again and again by its own fault and was paused: its events wait")
        }
        AlertKind::BacklogOld if over => "events or runs were overdue for too long: that is over".to_owned(),
        AlertKind::BacklogOld => "events or runs have been overdue for too long".to_owned(),
    };
    json!({
        "id": alert.id,
        "kind": alert.kind.code(),
        "tenant": tenant.to_string(),
        "subject": subject,
        "count": alert.count,
        "first_at": alert.first_at,
        "last_at": alert.last_at,
        "ended_at": alert.ended_at,
        "text": text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end_at_an_hour() {
        assert_eq!([0, 1, 2, 9, 10, 99].map(wait_ms), [5_000, 10_000, 20_000, 2_560_000, 3_600_000, 3_600_000]);
    }

    #[test]
    fn an_alert_says_what_whose_and_how_often() {
        let alert = Alert {
            id: 7,
            kind: AlertKind::RunParked,
            tenant: TenantId(3),
            subject: "trap".into(),
            count: 2,
            first_at: 1,
            last_at: 2,
            ended_at: Some(2),
            tries: 0,
            sent_at: None,
        };
        let told = body(&alert);
        assert_eq!((&told["kind"], &told["tenant"], &told["count"]), (&json!("run-parked"), &json!("t3"), &json!(2)));
        assert_eq!(told["text"], "2 runs were parked (trap) and wait for a person");
        assert_eq!(told["ended_at"], 2);
        let stopped = Alert { kind: AlertKind::TenantStopped, subject: "suspended".into(), ..alert };
        assert_eq!(body(&stopped)["text"], "t3 was suspended for a while: that is over");
        let holds = body(&Alert { ended_at: None, ..stopped });
        assert_eq!((&holds["text"], &holds["ended_at"]), (&json!("t3 is suspended: its runs wait"), &json!(null)));
    }
}
