//! A visit to one tenant: as many steps of its passes as its budget of calls allows.

use fangshi_journal::{Clock, Journal, LaneKey, Standing};
use fangshi_operations::{Class, Fault, Sent};
use fangshi_tenants::Tenant;

use crate::ahead;
use crate::bucket::Bucket;
use crate::config::ReconcileConfig;
use crate::error::ReconcileError;
use crate::reading::{Read, Reader, Shown};
use crate::seams::{Shop, Span};
use crate::walk::{self, Step, Which};

/// Orders whose time of their own has come, taken into one incremental pass at most.
const LOOKS: u32 = 500;
/// Steps of one visit: a tenant with much to do must not keep the others waiting.
const STEPS: usize = 64;
/// After a failure that time may cure, milliseconds.
const AGAIN_MS: i64 = 60_000;

/// When an order is looked at again whose time has come and that the platform does not show, milliseconds: a day.
const LOOK_AGAIN_MS: i64 = 86_400_000;

/// What a visit works with.
pub(crate) struct Visit<'a> {
    pub journal: &'a Journal,
    pub shop: &'a dyn Shop,
    pub clock: &'a Clock,
    pub config: &'a ReconcileConfig,
    pub tenant: &'a Tenant,
    pub bucket: &'a mut Bucket,
}

/// What a fault means for the passes.
enum Setback {
    /// The quota is used up: no call until then, unix milliseconds.
    Quota(i64),
    /// Later, from the same place.
    Later,
    /// Later, and no more than a few times: it may be about this order or this page alone.
    Tried,
    /// Nothing more can be done in this pass.
    Refused(&'static str),
    /// It is about this order or this page alone.
    Once,
}

impl Visit<'_> {
    /// Goes on with what is due; gives when to come again, unix milliseconds.
    ///
    /// # Errors
    /// The store failed: what was done since the last visit may be done again.
    pub(crate) async fn pay(mut self) -> Result<i64, ReconcileError> {
        let (tenant, now) = (self.tenant.id, self.clock.now());
        let mut standing = match self.journal.standing(tenant).await? {
            Some(standing) => standing,
            None => {
                let standing = walk::first(now, self.spread(), self.config);
                self.journal.keep_standing(tenant, &standing).await?;
                standing
            }
        };
        if walk::is_paused(&standing, now) {
            return Ok(standing.paused_until);
        }
        let begun = walk::begin(&mut standing, now, self.config);
        if begun.contains(&Which::Incremental) {
            let mut due = self.journal.orders_to_look_at(tenant, now, LOOKS).await?;
            due.extend(walk::take_later(&mut standing, now));
            if let Some(walk) = &mut standing.incremental.walk {
                walk.pending = due;
            }
        }
        let mut steps = 0;
        let again = loop {
            let Some(step) = walk::next(&standing, self.clock.now()) else { break walk::due_at(&standing) };
            if steps == STEPS {
                break self.clock.now();
            }
            if let Some(again) = self.afford(&mut standing, &step) {
                break again;
            }
            steps += 1;
            match self.step(&mut standing, step).await {
                Ok(None) => {}
                Ok(Some(again)) => break again,
                Err(error) => {
                    // What was done until now need not be done again, if the store takes it.
                    if let Err(unkept) = self.journal.keep_standing(tenant, &standing).await {
                        tracing::warn!(%tenant, error = %unkept, "what a visit did is done again");
                    }
                    return Err(error);
                }
            }
        };
        if steps > 0 || !begun.is_empty() {
            self.journal.keep_standing(tenant, &standing).await?;
        }
        Ok(again)
    }

    /// A number of the tenant's own, far apart for neighbours.
    fn spread(&self) -> u64 {
        self.tenant.id.0.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16
    }

    /// When the call of a step can be afforded, if not now. The full pass leaves half of a minute for the incremental one.
    fn afford(&mut self, standing: &mut Standing, step: &Step) -> Option<i64> {
        let which = match step {
            Step::Read(which, _) | Step::List(which, _) => *which,
            Step::End(_) => return None,
        };
        let (now, config) = (self.clock.now(), self.config);
        let reserve = if which == Which::Full { config.calls_per_minute / 2 } else { 0 };
        if let Err(again) = self.bucket.take(reserve, now) {
            return Some(again);
        }
        walk::take_of_day(standing, which, now, config.calls_per_day).err()
    }

    /// Takes one step; gives when to come again if the visit ends with it.
    async fn step(&self, standing: &mut Standing, step: Step) -> Result<Option<i64>, ReconcileError> {
        match step {
            Step::End(which) => {
                self.end(standing, which, None);
                Ok(None)
            }
            Step::List(which, span) => match self.shop.list(self.tenant.id, &span).await {
                Ok(page) => {
                    if let Some(walk) = &mut which.of(standing).walk {
                        walk::listed(walk, page);
                    }
                    Ok(None)
                }
                Err(fault) => Ok(self.unlisted(standing, which, &span, &fault)),
            },
            Step::Read(which, order_id) => {
                let reader = Reader {
                    journal: self.journal,
                    shop: self.shop,
                    clock: self.clock,
                    tenant: self.tenant,
                    since_s: standing.since_s,
                    grace_s: self.config.grace.as_secs() as i64,
                };
                let made = match reader.read(&order_id).await {
                    Ok(Ok(Shown { read, age_s })) => {
                        if let (Some(walk), Some(age_s)) = (&mut which.of(standing).walk, age_s) {
                            ahead::seen(walk, age_s);
                        }
                        match read {
                            Read::Made(made) => Some(made),
                            Read::Young => Some(0),
                            Read::Later(at) => {
                                walk::keep_for_later(standing, &order_id, at);
                                Some(0)
                            }
                            Read::Unusable => None,
                        }
                    }
                    Ok(Err(fault)) => match setback(&fault, self.clock.now()) {
                        Setback::Once => None,
                        other => {
                            if let Setback::Tried = other {
                                walk::tried(standing, which, self.clock.now());
                            }
                            return Ok(self.yield_to(standing, which, other));
                        }
                    },
                    Err(error) if error.is_of_one_order() => {
                        tracing::error!(tenant = %self.tenant.id, order_id, %error, "an order can't be reconciled");
                        None
                    }
                    Err(error) => return Err(error),
                };
                if made.is_none() {
                    let order = LaneKey::new(self.tenant.id, &order_id);
                    let now = self.clock.now();
                    self.journal.put_off_look(&order, now, now.saturating_add(LOOK_AGAIN_MS)).await?;
                }
                if let Some(walk) = &mut which.of(standing).walk {
                    walk::read(walk, made);
                }
                Ok(None)
            }
        }
    }

    /// What a page that was not listed makes of the visit.
    fn unlisted(&self, standing: &mut Standing, which: Which, span: &Span, fault: &Fault) -> Option<i64> {
        let (now, class) = (self.clock.now(), fault.class.name());
        let walk = which.of(standing).walk.as_mut()?;
        let setback = match setback(fault, now) {
            Setback::Once if !span.next_key.is_empty() => {
                walk::cursor_refused(walk, class);
                return None;
            }
            Setback::Tried => {
                let wish_ms = i64::from(fault.retry_after.unwrap_or(0)) * 1_000;
                if walk::list_tried(walk, wish_ms, now) {
                    return None;
                }
                Setback::Refused(class)
            }
            Setback::Once => Setback::Refused(class),
            other => other,
        };
        self.yield_to(standing, which, setback)
    }

    /// What a setback makes of the visit.
    fn yield_to(&self, standing: &mut Standing, which: Which, setback: Setback) -> Option<i64> {
        match setback {
            Setback::Quota(until) => {
                standing.paused_until = until;
                Some(until)
            }
            Setback::Later | Setback::Tried | Setback::Once => Some(self.clock.now() + AGAIN_MS),
            Setback::Refused(class) => {
                self.end(standing, which, Some(class));
                None
            }
        }
    }

    fn end(&self, standing: &mut Standing, which: Which, refused: Option<&'static str>) {
        walk::end(standing, which, refused, self.clock.now(), self.spread(), self.config);
        if let Some(last) = &which.of(standing).last {
            let (pass, outcome) = (which.name(), &*last.outcome);
            let labels = [("pass", pass.to_owned()), ("outcome", outcome.to_owned())];
            metrics::counter!("fangshi_reconcile_passes_total", &labels).increment(1);
            tracing::info!(tenant = %self.tenant.id, pass, outcome, listed = last.listed, read = last.read,
                made = last.made, failed = last.failed, "a pass of reconciliation ended");
        }
    }
}

/// Sorts the platform's refusals; `now` in unix milliseconds.
fn setback(fault: &Fault, now: i64) -> Setback {
    match fault.class {
        // 45009 and 45011: nothing is asked before the quota is new.
        Class::DayQuota | Class::MinuteQuota => {
            Setback::Quota(now.saturating_add(i64::from(fault.retry_after.unwrap_or(60)) * 1_000))
        }
        Class::Token | Class::Ticket | Class::Host => Setback::Later,
        // Nothing left the host: that says nothing about an order.
        Class::Unreachable if fault.sent == Sent::NotSent => Setback::Later,
        Class::Unreachable | Class::Busy | Class::TooOften | Class::Unanswered | Class::Unreadable => Setback::Tried,
        Class::Permission | Class::Revoked | Class::Reauthorize | Class::Suspended | Class::Config | Class::Bug => {
            Setback::Refused(fault.class.name())
        }
        Class::NotFound | Class::Conflict | Class::Invalid | Class::Other => Setback::Once,
    }
}
