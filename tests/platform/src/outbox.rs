//! Pushes that wait: what is due when, and what an attempt's end means for the next.

use std::collections::{BTreeSet, HashSet};

use crate::dice::Dice;
use crate::envelope::EncryptedPush;
use crate::ledger::{AttemptEnd, Push, PushAttempt, PushState};
use crate::message::{EventMessage, PushForm};
use crate::retry::Rule;
use crate::settings::RetryEnvelope;

/// Which of the receiver's URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Messages and events of a shop.
    Shop(String),
    /// Ticket and authorization changes.
    Authorization,
}

/// A push to be raised.
pub(crate) struct Raised {
    pub to: Destination,
    /// For the ledger.
    pub appid: Option<String>,
    pub name: String,
    pub event: Option<EventMessage>,
    /// The message as it will be encrypted.
    pub text: String,
    pub openid: Option<String>,
    pub form: PushForm,
    pub rule: Rule,
    /// False: only noted.
    pub addressed: bool,
    pub dropped: bool,
    /// Platform's ms of the first attempt.
    pub due_ms: i64,
}

/// What the ledger's push leaves out.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub to: Destination,
    pub text: String,
    pub openid: Option<String>,
    pub rule: Rule,
    /// The first envelope, where retries repeat it.
    pub same: Option<EncryptedPush>,
    pub repeats: bool,
    /// Pushes of one lane go one at a time.
    lane: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pushes: Vec<Push>,
    parcels: Vec<Parcel>,
    due: BTreeSet<(i64, u64)>,
    busy: HashSet<String>,
    in_flight: usize,
}

impl Outbox {
    pub(crate) fn add(&mut self, raised: Raised, seed: u64, envelope: RetryEnvelope, now_ms: i64) -> u64 {
        let id = self.pushes.len() as u64 + 1;
        let state = match (raised.addressed, raised.dropped) {
            (false, _) => PushState::NoUrl,
            (true, true) => PushState::Dropped,
            (true, false) => PushState::Waiting,
        };
        let repeats = match envelope {
            RetryEnvelope::Same => true,
            RetryEnvelope::Fresh => false,
            RetryEnvelope::BySeed => Dice::for_thing(seed, "retry envelope", id).chance(0.5),
        };
        if state == PushState::Waiting {
            self.due.insert((raised.due_ms, id));
        }
        self.parcels.push(Parcel {
            to: raised.to,
            text: raised.text,
            openid: raised.openid,
            rule: raised.rule,
            same: None,
            repeats,
            lane: raised.event.as_ref().map(|e| e.order_id.clone()),
        });
        self.pushes.push(Push {
            id,
            appid: raised.appid,
            name: raised.name,
            event: raised.event,
            form: raised.form,
            raised_ms: now_ms,
            state,
            attempts: Vec::new(),
        });
        id
    }

    pub(crate) fn pushes(&self) -> &[Push] {
        &self.pushes
    }

    pub(crate) fn push(&self, id: u64) -> Option<&Push> {
        self.pushes.get(usize::try_from(id).ok()?.checked_sub(1)?)
    }

    pub(crate) fn parcel(&mut self, id: u64) -> Option<&mut Parcel> {
        self.parcels.get_mut(usize::try_from(id).ok()?.checked_sub(1)?)
    }

    /// Takes what is due, at most so many in flight, one at a time of each order.
    pub(crate) fn pick(&mut self, most: usize, now_ms: i64) -> Vec<u64> {
        let mut picked = Vec::new();
        let mut later = Vec::new();
        while self.in_flight < most {
            let Some(&(due, id)) = self.due.first() else { break };
            if due > now_ms {
                break;
            }
            self.due.pop_first();
            let lane = self.parcels.get(id as usize - 1).and_then(|p| p.lane.clone());
            if lane.is_some_and(|lane| !self.busy.insert(lane)) {
                later.push((due, id));
                continue;
            }
            self.in_flight += 1;
            picked.push(id);
        }
        self.due.extend(later);
        picked
    }

    /// Notes how an attempt ended, and when the next is due.
    pub(crate) fn ended(&mut self, id: u64, mut attempt: PushAttempt, now_ms: i64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let at = id as usize - 1;
        let (Some(push), Some(parcel)) = (self.pushes.get_mut(at), self.parcels.get(at)) else { return };
        if let Some(lane) = &parcel.lane {
            self.busy.remove(lane);
        }
        attempt.number = push.attempts.len() as u32 + 1;
        let accepted = attempt.end == AttemptEnd::Accepted;
        push.attempts.push(attempt);
        if accepted {
            push.state = PushState::Delivered;
        } else if let Some(wait_s) = parcel.rule.wait_s(push.attempts.len()) {
            self.due.insert((now_ms + wait_s * 1000, id));
        } else {
            push.state = PushState::GivenUp;
        }
    }

    /// Platform's ms of the next attempt.
    pub(crate) fn next_due(&self) -> Option<i64> {
        self.due.first().map(|(due, _)| *due)
    }

    pub(crate) fn is_quiet(&self, now_ms: i64) -> bool {
        self.in_flight == 0 && self.next_due().is_none_or(|due| due > now_ms)
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.in_flight == 0 && self.due.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{OrderEvent, PushForm};

    fn add(outbox: &mut Outbox, order: &str, due_ms: i64) -> u64 {
        let event = EventMessage {
            to_user_name: String::new(),
            from_user_name: String::new(),
            create_time: 0,
            order_id: order.to_owned(),
            event: OrderEvent::New,
        };
        let raised = Raised {
            to: Destination::Authorization,
            appid: None,
            name: String::new(),
            event: Some(event),
            text: String::new(),
            openid: None,
            form: PushForm::ALL[0],
            rule: Rule::Store,
            addressed: true,
            dropped: false,
            due_ms,
        };
        outbox.add(raised, 1, RetryEnvelope::Same, 0)
    }

    fn attempt(end: AttemptEnd) -> PushAttempt {
        PushAttempt { number: 0, at_ms: 0, status: None, answer: String::new(), end }
    }

    #[test]
    fn one_push_of_an_order_at_a_time_and_a_bound_on_all() {
        let mut outbox = Outbox::default();
        let first = add(&mut outbox, "a", 0);
        let second = add(&mut outbox, "a", 0);
        let other = add(&mut outbox, "b", 0);
        let third = add(&mut outbox, "c", 0);
        let later = add(&mut outbox, "d", 1);
        assert_eq!(outbox.pick(2, 0), [first, other]);
        assert_eq!(outbox.pick(2, 0), [0; 0]);
        outbox.ended(first, attempt(AttemptEnd::Accepted), 0);
        assert_eq!(outbox.pick(9, 0), [second, third]);
        assert!(!outbox.is_quiet(0));
        // A push that failed makes way for the next of its order: an older event may arrive later.
        outbox.ended(second, attempt(AttemptEnd::Timeout), 0);
        assert_eq!(outbox.pick(9, 0), [second]);
        for id in [other, third] {
            outbox.ended(id, attempt(AttemptEnd::Accepted), 0);
        }
        outbox.ended(second, attempt(AttemptEnd::Accepted), 0);
        assert!(outbox.is_quiet(0) && !outbox.is_drained());
        assert_eq!(outbox.pick(9, 1), [later]);
    }
}
