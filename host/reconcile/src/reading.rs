//! Reading one order: what the platform shows, compared with what is known, written down with what follows.

use fangshi_journal::{Clock, Found, Journal, KnownOrder, LaneKey, Noted, Reading, Reconciled, Source, StoredEvent};
use fangshi_operations::Fault;
use fangshi_tenants::Tenant;
use serde_json::Value;

use crate::compare::{Facts, Judgement, Known, Snapshot, judge, message};
use crate::error::ReconcileError;
use crate::seams::Shop;

/// How a reading ended.
#[derive(Debug)]
pub(crate) enum Read {
    /// Compared; so many events were made.
    Made(u32),
    /// The order's last update is too young: its callback may be on its way, and the next pass lists it again.
    Young,
    /// The status lags behind the payment, or the order's events came quicker than it could be compared with them: read
    /// again at this time, unix milliseconds.
    Later(i64),
    /// The answer is older than what is known, or no order.
    Unusable,
}

/// An order that the platform showed.
pub(crate) struct Shown {
    /// How its reading ended.
    pub read: Read,
    /// The time between its update and its reading, seconds; none if it does not tell.
    pub age_s: Option<i64>,
}

/// What a reading needs.
pub(crate) struct Reader<'a> {
    pub journal: &'a Journal,
    pub shop: &'a dyn Shop,
    pub clock: &'a Clock,
    pub tenant: &'a Tenant,
    /// Orders placed before are taken as they are found, unix seconds.
    pub since_s: i64,
    /// How long an update waits for its callback, seconds.
    pub grace_s: i64,
}

/// A status that lags longer than this after the payment is taken as it is, seconds.
const LAG_S: i64 = 86_400;
/// When such an order, or one that could not be compared, is read again, milliseconds.
const AGAIN_MS: i64 = 600_000;
/// Comparisons of one reading: each is repeated only if an event of the order came meanwhile.
const COMPARISONS: usize = 5;

impl Reader<'_> {
    /// Reads and compares.
    ///
    /// # Errors
    /// The store failed. The inner one: the platform's.
    pub(crate) async fn read(&self, order_id: &str) -> Result<Result<Shown, Fault>, ReconcileError> {
        let order = LaneKey::new(self.tenant.id, order_id);
        let read_at = self.clock.now();
        let json = match self.shop.order(self.tenant.id, order_id).await {
            Ok(json) => json,
            Err(fault) => return Ok(Err(fault)),
        };
        let read_s = read_at.div_euclid(1_000);
        let facts = match Facts::of(&json, read_s) {
            Ok(facts) => facts,
            Err(error) => {
                tracing::warn!(tenant = %self.tenant.id, order_id, %error, "an order can't be compared");
                return Ok(Ok(Shown { read: Read::Unusable, age_s: None }));
            }
        };
        let age_s = Some(read_s.saturating_sub(facts.update_time));
        let read = self.judged(&order, &json, Snapshot { facts, read_at, seen: None }).await?;
        Ok(Ok(Shown { read, age_s }))
    }

    /// What a reading comes to.
    async fn judged(&self, order: &LaneKey, json: &Value, after: Snapshot) -> Result<Read, ReconcileError> {
        let (facts, read_s) = (&after.facts, after.read_at.div_euclid(1_000));
        if facts.update_time > read_s - self.grace_s {
            return Ok(Read::Young);
        }
        if facts.lags() && read_s - facts.pay_time < LAG_S {
            return Ok(Read::Later(after.read_at + AGAIN_MS));
        }
        for _ in 0..COMPARISONS {
            if let Some(made) = self.compare(order, json, &after).await? {
                return Ok(made);
            }
        }
        // An order this busy has its callbacks. No list shows it again unless it is updated once more.
        Ok(Read::Later(after.read_at + AGAIN_MS))
    }

    /// One comparison; none if an event of the order came meanwhile.
    async fn compare(&self, order: &LaneKey, json: &Value, after: &Snapshot) -> Result<Option<Read>, ReconcileError> {
        let known = self.journal.known_order(order).await?;
        let facts = &after.facts;
        let (before, whole) = known.as_ref().and_then(|known| self.snapshot(order, known, facts)).unzip();
        if before.as_ref().is_some_and(|before| before.facts.update_time > facts.update_time) {
            return Ok(Some(Read::Unusable));
        }
        let look_at = facts.number.as_ref().filter(|number| !number.expired && number.expires_at > 0);
        let look_at = look_at.map(|number| number.expires_at.saturating_mul(1_000));
        // Facts of another version are kept anew, so that the next change shows in all of them.
        let unchanged = whole == Some(true) && before.as_ref().is_some_and(|before| before.facts == *facts);
        if unchanged && known.as_ref().is_some_and(|known| known.look_at == look_at) {
            return Ok(Some(Read::Made(0)));
        }
        let events = self.journal.order_events(order).await?;
        let seen = events.last().map(|event| event.seq);
        let placed_since = known.is_none() && facts.create_time >= self.since_s;
        let judgement = match before.is_some() || placed_since {
            true => judge(before.as_ref(), after, &known_events(&events, &self.journal.reconciled(order).await?)),
            false => Judgement::default(),
        };
        self.report(order, &judgement);
        let openid = json.get("openid").and_then(Value::as_str);
        let user_name = self.tenant.user_name.as_deref();
        let now = self.clock.now();
        let found = judgement.told.iter().map(|told| Found {
            event: message(order, told, facts.update_time, user_name, openid, now),
            since: told.since,
        });
        let noted = self
            .journal
            .note_reading(Reading {
                order: order.clone(),
                known: KnownOrder {
                    status: facts.status,
                    update_time: facts.update_time,
                    read_at: after.read_at,
                    seen,
                    look_at,
                    facts: serde_json::to_value(facts).map_err(ReconcileError::Facts)?,
                },
                found: found.collect(),
                transition: judgement.transition,
            })
            .await?;
        match noted {
            Noted::Overtaken => Ok(None),
            Noted::Written(made) => {
                for told in &judgement.told {
                    metrics::counter!("fangshi_reconciled_events_total", "event" => told.change.word.event())
                        .increment(1);
                }
                Ok(Some(Read::Made(made)))
            }
        }
    }

    /// The snapshot of a known order, and whether it is whole. One that another version of the host wrote may be unreadable:
    /// the order is then taken as it is found.
    fn snapshot(&self, order: &LaneKey, known: &KnownOrder, now: &Facts) -> Option<(Snapshot, bool)> {
        let Some((facts, whole)) = Facts::kept(&known.facts, now) else {
            metrics::counter!("fangshi_unreadable_snapshots_total").increment(1);
            tracing::warn!(tenant = %self.tenant.id, order_id = %order.order_id,
                "what is known of an order can't be read: what changed since then is not told");
            return None;
        };
        Some((Snapshot { facts, read_at: known.read_at, seen: known.seen }, whole))
    }

    /// A change of status without a way in the guide's chart is told of, and not dropped.
    fn report(&self, order: &LaneKey, judgement: &Judgement) {
        let Some(transition) = judgement.transition else { return };
        let known = if transition.known { "yes" } else { "no" };
        metrics::counter!("fangshi_unknown_transitions_total", "known" => known).increment(1);
        let (from, to) = (transition.from, transition.to);
        if transition.known {
            tracing::info!(tenant = %self.tenant.id, order_id = %order.order_id, from, to,
                "a change of status that is not in the guide's chart, and known from elsewhere");
        } else {
            tracing::warn!(tenant = %self.tenant.id, order_id = %order.order_id, from, to,
                "a change of status that no chart has");
        }
    }
}

/// Events as the comparison takes them. A reconciled one counts with the `update_time` of its reading.
fn known_events(events: &[StoredEvent], reconciled: &[Reconciled]) -> Vec<Known> {
    let known = events.iter().map(|event| {
        let made = reconciled.iter().find(|made| made.seq == event.seq);
        Known {
            seq: event.seq,
            event: event.event.clone(),
            ext_type: event.ext_type,
            complete: complete(event),
            source: event.source,
            created_at: made.map_or(event.created_at, |made| made.update_time),
            received_at: event.received_at,
        }
    });
    known.collect()
}

/// `finish_delivery`; the canonical body has every scalar as text.
fn complete(event: &StoredEvent) -> Option<bool> {
    if event.source != Source::Callback {
        return None;
    }
    let body: Value = serde_json::from_slice(&event.body).ok()?;
    match body.pointer("/order_info/finish_delivery")?.as_str()? {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}
