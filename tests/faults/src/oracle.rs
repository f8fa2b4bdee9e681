//! The one oracle of the fault tests (DESIGN section 9): after a fault, the store and the platform's ledger are held against
//! what was acknowledged. The host must have ended, or its backlog be empty.
//!
//! What it can tell rests on the guests `one-unit` and `ships-by-time`: their requests name the event that made them, by its
//! number or by the callback's time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use fangshi_harness::Figures;
use fangshi_platform::{Call, Ledger};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

/// Tenant, order, installation, its first and its last attempt.
type RunOfLane = (i64, String, i64, Option<i64>, Option<i64>);

/// Operations of `one-unit` as the ledger and the store name them, and how often one request may be applied.
pub const EFFECTS: [(&str, &str, usize); 3] = [
    ("/channels/ec/order/merchantnotes/update", "notes/set-merchant-notes", 2),
    ("/channels/ec/order/delivery/send", "delivery/send", 1),
    ("/channels/ec/merchant/privatenumber/sendverifycode", "shop-phone/send-verify-code", 1),
];

/// Guests that are done only when each of these operations was carried out once, as an effect of the run.
const DUTIES: [(&str, &[&str]); 2] = [
    ("one-unit", &["notes/set-merchant-notes", "delivery/send", "shop-phone/send-verify-code"]),
    ("ships-by-time", &["delivery/send"]),
];

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// I1: acknowledged callbacks without an event.
    pub acknowledged_lost: usize,
    /// I1: callbacks with more than one event.
    pub events_doubled: usize,
    /// I1: events without their one run an installation.
    pub runs_missing: usize,
    /// I6: runs that are neither done, rejected nor parked.
    pub runs_unfinished: i64,
    /// I1: done runs without an effect that their guest is done by, or with more than one of it.
    pub duties_unmet: i64,
    /// Runs parked for what only the host itself can have done: a resume that went another way, a fault of the host, an attempt
    /// that was cut off too often, a version that could not be loaded.
    pub parked_by_the_host: i64,
    /// I2: runs of one order and installation that began before the run of an earlier event was over, calls about one order
    /// that overlapped, and notes out of sequence.
    pub lane_order_broken: usize,
    /// I3: effects that were applied more often than their kind allows.
    pub unsafe_effects_doubled: usize,
    /// I3: effects that the journal calls applied and the platform never applied.
    pub effects_invented: i64,
    /// I4: calls about an order with another shop's token.
    pub foreign_tokens: usize,
    /// Effects of which nobody can tell; people look at these.
    pub outcome_unknown: i64,
    /// Attempts that were cut off and resumed.
    pub attempts_resumed: i64,
    /// Effects that were sent more than once: cut off, unanswered or refused before.
    pub effects_sent_again: i64,
    /// Runs by their state: done, rejected, parked.
    pub ended: [i64; 3],
}

impl Found {
    /// Reads the store at `store` and judges.
    pub fn judge(store: &Path, ledger: &Ledger, acknowledged: &[(String, i64)]) -> Result<Found> {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
            let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(store).read_only(true)).await?;
            let mut found = Found::default();
            found.events(&pool, acknowledged).await?;
            found.runs(&pool).await?;
            found.endings(&pool).await?;
            found.effects(&pool, ledger).await?;
            Ok(found)
        })
    }

    async fn events(&mut self, pool: &SqlitePool, acknowledged: &[(String, i64)]) -> Result<()> {
        // What is not about an order (tickets) may well come twice in a second.
        let text =
            "SELECT order_id, created_at, count(*) FROM events WHERE order_id <> '' GROUP BY order_id, created_at";
        let rows: Vec<(String, i64, i64)> = sqlx::query_as(text).fetch_all(pool).await?;
        let events: HashMap<(String, i64), i64> =
            rows.into_iter().map(|(order, at, count)| ((order, at), count)).collect();
        self.acknowledged_lost = acknowledged.iter().filter(|one| !events.contains_key(one)).count();
        self.events_doubled = events.values().filter(|count| **count > 1).count();
        let without: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM events e WHERE (SELECT count(*) FROM runs r WHERE r.event_seq = e.seq) <> \
             (SELECT count(*) FROM installations i WHERE i.tenant_id = e.tenant_id)",
        )
        .fetch_one(pool)
        .await?;
        self.runs_missing = without as usize;
        Ok(())
    }

    async fn runs(&mut self, pool: &SqlitePool) -> Result<()> {
        let states: Vec<(i64, i64)> =
            sqlx::query_as("SELECT state, count(*) FROM runs GROUP BY state").fetch_all(pool).await?;
        for (state, count) in states {
            match state {
                2..=4 => self.ended[(state - 2) as usize] = count,
                _ => self.runs_unfinished += count,
            }
        }
        // Attempts are numbered as they become durable, so that no clock has a say.
        let runs: Vec<RunOfLane> = sqlx::query_as(
            "SELECT r.tenant_id, r.order_id, r.installation_id, min(a.id), max(a.id) FROM runs r \
             LEFT JOIN attempts a ON a.run_id = r.id WHERE r.repaired_at IS NULL \
             GROUP BY r.id ORDER BY r.tenant_id, r.order_id, r.installation_id, r.event_seq",
        )
        .fetch_all(pool)
        .await?;
        for pair in runs.windows(2) {
            let (before, after) = (&pair[0], &pair[1]);
            let same = (before.0, &before.1, before.2) == (after.0, &after.1, after.2);
            if same && after.3 <= before.4 {
                self.lane_order_broken += 1;
            }
        }
        Ok(())
    }

    /// How runs ended: whole, and not by the host's own doing.
    async fn endings(&mut self, pool: &SqlitePool) -> Result<()> {
        for (guest, operations) in DUTIES {
            for operation in operations {
                let unmet: i64 = sqlx::query_scalar(
                    "SELECT count(*) FROM runs r JOIN installations i ON i.id = r.installation_id \
                     JOIN plugins p ON p.id = i.plugin_id WHERE p.name = $1 AND r.state = 2 AND \
                     (SELECT count(*) FROM effects f WHERE f.run_id = r.id AND f.operation = $2 AND f.state = 1) <> 1",
                )
                .bind(guest)
                .bind(*operation)
                .fetch_one(pool)
                .await?;
                self.duties_unmet += unmet;
            }
        }
        // A run that came to the end of its attempts is parked as that: what the last one met tells why.
        self.parked_by_the_host = sqlx::query_scalar(
            "SELECT count(*) FROM runs r WHERE r.state = 4 AND \
             (r.reason = 'divergence' OR (SELECT a.outcome FROM attempts a WHERE a.run_id = r.id \
             ORDER BY a.number DESC LIMIT 1) IN ('divergence', 'host-fault', 'crashed', 'not-loaded'))",
        )
        .fetch_one(pool)
        .await?;
        Ok(())
    }

    async fn effects(&mut self, pool: &SqlitePool, ledger: &Ledger) -> Result<()> {
        self.outcome_unknown =
            sqlx::query_scalar("SELECT count(*) FROM effects WHERE state = 4").fetch_one(pool).await?;
        let number = |text: &'static str| sqlx::query_scalar(text).fetch_one(pool);
        self.attempts_resumed = number("SELECT count(*) FROM attempts WHERE resumes > 0").await?;
        self.effects_sent_again = number("SELECT count(*) FROM effects WHERE sends > 1").await?;
        let owners: HashMap<&str, &str> =
            ledger.pushes.iter().filter_map(|push| Some((push.order_id()?, push.appid.as_deref()?))).collect();
        let foreign = |call: &&Call| {
            let owner = call.order_id.as_deref().and_then(|order| owners.get(order));
            owner.is_some_and(|owner| call.appid.as_deref() != Some(*owner))
        };
        self.foreign_tokens = ledger.calls.iter().filter(foreign).count();
        self.lane_order_broken += overlaps(ledger);
        for (path, operation, most) in EFFECTS {
            let mut applied: BTreeMap<String, usize> = BTreeMap::new();
            let mut last: HashMap<&str, i64> = HashMap::new();
            let mut named: HashSet<Named> = HashSet::new();
            for call in ledger.calls.iter().filter(|call| call.path == path && call.applied) {
                let shop = call.appid.as_deref().unwrap_or_default();
                *applied.entry(format!("{shop} {}", call.request)).or_default() += 1;
                let name = Named::of(call).with_context(|| format!("a request of {path} names no event"))?;
                if let (Some(order), Named::Event(event), true) =
                    (&call.order_id, &name, call.request["merchant_notes"].is_string())
                {
                    let before = last.insert(order, *event).unwrap_or(0);
                    self.lane_order_broken += usize::from(*event < before);
                }
                named.insert(name);
            }
            self.unsafe_effects_doubled += applied.values().filter(|times| **times > most).count();
            let believed: Vec<(i64, String, i64)> = sqlx::query_as(
                "SELECT e.seq, e.order_id, e.created_at FROM effects f JOIN runs r ON r.id = f.run_id \
                 JOIN events e ON e.seq = r.event_seq WHERE f.operation = $1 AND f.state = 1",
            )
            .bind(operation)
            .fetch_all(pool)
            .await?;
            let invented = believed.into_iter().filter(|(event, order, at)| {
                !named.contains(&Named::Event(*event)) && !named.contains(&Named::Callback(order.clone(), *at))
            });
            self.effects_invented += invented.count() as i64;
        }
        Ok(())
    }

    /// The figures that every fault test prints.
    pub fn tell(&self, figures: &mut Figures) {
        figures.add("acknowledged_lost", self.acknowledged_lost, "events");
        figures.add("unsafe_effects_doubled", self.unsafe_effects_doubled, "effects");
        figures.add("lane_order_broken", self.lane_order_broken, "runs");
        figures.add("outcome_unknown", self.outcome_unknown, "effects");
        figures.add("events_doubled", self.events_doubled, "events");
        figures.add("runs_missing", self.runs_missing, "runs");
        figures.add("runs_unfinished", self.runs_unfinished, "runs");
        figures.add("duties_unmet", self.duties_unmet, "effects");
        figures.add("parked_by_the_host", self.parked_by_the_host, "runs");
        figures.add("effects_invented", self.effects_invented, "effects");
        figures.add("foreign_tokens", self.foreign_tokens, "calls");
        figures.add("attempts_resumed", self.attempts_resumed, "attempts");
        figures.add("effects_sent_again", self.effects_sent_again, "effects");
        for (name, count) in ["runs_done", "runs_rejected", "runs_parked"].iter().zip(self.ended) {
            figures.add(name, count, "runs");
        }
    }

    /// All that must be zero is zero.
    pub fn hold(&self, seed: u64) -> Result<()> {
        let broken = self.acknowledged_lost + self.events_doubled + self.runs_missing;
        let broken = broken + self.lane_order_broken + self.unsafe_effects_doubled + self.foreign_tokens;
        ensure!(
            broken == 0
                && self.runs_unfinished == 0
                && self.effects_invented == 0
                && self.duties_unmet == 0
                && self.parked_by_the_host == 0,
            "invariants are broken (seed {seed}): {self:?}"
        );
        Ok(())
    }
}

/// The event that a request names.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Named {
    /// By its number.
    Event(i64),
    /// By its order and CreateTime.
    Callback(String, i64),
}

impl Named {
    /// None: it names none.
    pub fn of(call: &Call) -> Option<Named> {
        let request = &call.request;
        if let Some(note) = request["merchant_notes"].as_str() {
            return Some(Named::Event(note.strip_prefix('e')?.parse().ok()?));
        }
        if let Some(waybill) = request.pointer("/delivery_list/0/waybill_id").and_then(|waybill| waybill.as_str()) {
            return match waybill.strip_prefix("AT") {
                Some(at) => Some(Named::Callback(call.order_id.clone()?, at.parse().ok()?)),
                None => Some(Named::Event(waybill.strip_prefix("SFe")?.parse().ok()?)),
            };
        }
        Some(Named::Event(request["mobile"].as_str()?.strip_prefix("139")?.parse().ok()?))
    }
}

/// Calls about one order that were under way at once; those that a fault or the host's end left hanging don't count.
fn overlaps(ledger: &Ledger) -> usize {
    let mut of_order: HashMap<&str, Vec<(u64, u64)>> = HashMap::new();
    for call in ledger.calls.iter().filter(|call| call.fault.is_none() && call.ended > 0) {
        if let Some(order) = &call.order_id {
            of_order.entry(order).or_default().push((call.began, call.ended));
        }
    }
    let mut found = 0;
    for spans in of_order.values_mut() {
        spans.sort_unstable();
        found += spans.windows(2).filter(|pair| pair[1].0 < pair[0].1).count();
    }
    found
}

#[cfg(test)]
#[path = "oracle/tests.rs"]
mod tests;
