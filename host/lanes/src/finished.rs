//! News of ended attempts, for metrics, pages and whoever waits.

use fangshi_journal::{EventSeq, InstallationId, Next, RunId, TenantId, Usage};

/// An attempt that ended, durably.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Whose.
    pub tenant: TenantId,
    /// Empty without an order.
    pub order_id: String,
    /// The event.
    pub event: EventSeq,
    /// The run.
    pub run: RunId,
    /// The installation.
    pub installation: InstallationId,
    /// `on-pay`.
    pub hook: String,
    /// From 1.
    pub attempt: u32,
    /// Code: `done`, `retry-later`, `trap`, …
    pub outcome: &'static str,
    /// What becomes of the run.
    pub next: Next,
    /// What the attempt used.
    pub usage: Usage,
    /// Its installation was put into quarantine by it.
    pub quarantined: bool,
}

/// Counts an ended attempt.
pub(crate) fn count(finished: &Finished) {
    metrics::counter!("fangshi_attempts_total", "outcome" => finished.outcome).increment(1);
    metrics::histogram!("fangshi_attempt_seconds").record(finished.usage.wall_ms as f64 / 1_000.0);
    metrics::histogram!("fangshi_attempt_fuel").record(finished.usage.fuel as f64);
    if finished.quarantined {
        metrics::counter!("fangshi_quarantined_total").increment(1);
        let (tenant, installation) = (finished.tenant, finished.installation);
        tracing::warn!(%tenant, %installation, outcome = finished.outcome, "an installation was put into quarantine");
    }
    if let Next::Parked { reason } = finished.next {
        metrics::counter!("fangshi_parked_total", "reason" => reason).increment(1);
        tracing::warn!(tenant = %finished.tenant, run = %finished.run, reason, "a run was parked");
    }
}
