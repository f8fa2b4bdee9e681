//! The platform of the simulation: requests are under way until they arrive or are lost, whoever sent them may be gone by
//! then, and its ledger says what was really applied.

use std::collections::BTreeMap;

use fangshi_journal::{EffectKey, InstallationId, LaneKey, RunId, SnapshotRow};
use fangshi_lanes::decide::effect::ARRIVES_MS;
use fangshi_operations::{Class, Evidence, Fault, Operation, Sent, Verdict};
use serde_json::{Value, json};

use crate::change::{Change, Kind};

/// A request on its way.
pub struct Request {
    pub id: u64,
    pub op: &'static Operation,
    pub lane: LaneKey,
    pub body: Value,
    pub run: RunId,
    pub installation: InstallationId,
    pub key: EffectKey,
    /// It has arrived by then, or never will.
    pub until: i64,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Done,
    /// Done, and the answer is lost.
    AnswerLost,
    /// It never arrives.
    Lost,
    Refused(i64),
    /// Done, and the answer is that the platform is busy.
    BusyAndDone,
}

/// An effect that the platform applied.
#[derive(Debug, Clone)]
pub struct Applied {
    pub op: &'static Operation,
    pub lane: LaneKey,
    pub body: Value,
    pub run: RunId,
    pub installation: InstallationId,
    pub key: EffectKey,
    request: u64,
    /// The store that knew of it was lost.
    pub lost: bool,
    /// The platform said that it was busy all the same.
    pub busy: bool,
    /// In which life of the store it was applied: a restore begins the next.
    pub life: u32,
}

#[derive(Default)]
pub struct Shop {
    orders: BTreeMap<LaneKey, Order>,
    pub under_way: Vec<Request>,
    answers: BTreeMap<u64, Result<Value, Fault>>,
    next: u64,
    pub ledger: Vec<Applied>,
    /// Everything that happened to orders, by its number.
    pub changes: Vec<Change>,
    life: u32,
    /// Requests sent when the last backup was taken.
    backed_up: u64,
}

#[derive(Default, Clone)]
struct Order {
    note: String,
    waybills: Vec<Value>,
    /// When it changed last, unix seconds.
    updated: i64,
}

/// What is heard of a platform that is busy: nobody knows whether it was done.
fn busy() -> Fault {
    Fault { code: -1, ..Fault::new(Class::Busy, Sent::Unknown, "system busy") }
}

impl Shop {
    pub fn send(&mut self, request: Request, now: i64) -> u64 {
        self.next += 1;
        self.under_way.push(Request { id: self.next, until: now + ARRIVES_MS - 1, ..request });
        self.next
    }

    /// The answer of a request, once.
    pub fn answer(&mut self, id: u64) -> Option<Result<Value, Fault>> {
        self.answers.remove(&id)
    }

    /// A merchant or a buyer changes an order.
    pub fn happen(&mut self, lane: &LaneKey, kind: Kind, now: i64) {
        let number = self.changes.len();
        if kind == Kind::NOTED {
            self.orders.entry(lane.clone()).or_default().note = format!("by hand {number}");
        }
        self.change(lane, kind, now, false);
    }

    fn change(&mut self, lane: &LaneKey, kind: Kind, now: i64, ours: bool) {
        let order = self.orders.entry(lane.clone()).or_default();
        let at = now.div_euclid(1_000).max(order.updated + 1);
        order.updated = at;
        self.changes.push(Change { lane: lane.clone(), kind, at, ours });
    }

    /// Changes of an order with their numbers.
    pub fn changes_of(&self, lane: &LaneKey) -> impl Iterator<Item = (usize, &Change)> {
        self.changes.iter().enumerate().filter(move |(_, change)| change.lane == *lane)
    }

    /// The store is backed up: what is sent from now on, that copy will not know.
    pub fn back_up(&mut self) {
        self.backed_up = self.next;
    }

    /// The store is lost, and the copy takes its place.
    pub fn restore(&mut self) {
        assert!(self.under_way.is_empty(), "a restore takes longer than a request");
        let backed_up = self.backed_up;
        self.ledger.iter_mut().for_each(|one| one.lost |= one.request > backed_up);
        self.life += 1;
    }

    /// The fate of one request under way, by its place.
    pub fn meet(&mut self, place: usize, fate: Fate, now: i64) {
        let request = self.under_way.swap_remove(place);
        let id = request.id;
        let lost = || Err(Fault::new(Class::Unanswered, Sent::Unknown, "the connection broke"));
        let answer = match fate {
            Fate::Done => {
                self.apply(request, false, now);
                Ok(Value::Null)
            }
            Fate::AnswerLost => {
                self.apply(request, false, now);
                lost()
            }
            Fate::Lost => lost(),
            Fate::BusyAndDone => {
                self.apply(request, true, now);
                Err(busy())
            }
            Fate::Refused(-1) => Err(busy()),
            Fate::Refused(code) => {
                let class = match code {
                    100_003 => Class::TooOften,
                    101_100 => Class::Conflict,
                    _ => Class::Other,
                };
                let mut fault = Fault::new(class, Sent::Answered, "refused");
                fault.code = code;
                Err(fault)
            }
        };
        self.answers.insert(id, answer);
    }

    fn apply(&mut self, request: Request, busy: bool, now: i64) {
        let order = self.orders.entry(request.lane.clone()).or_default();
        if let Some(note) = request.body.get("merchant_notes").and_then(Value::as_str) {
            order.note = note.to_owned();
        }
        for parcel in request.body.get("delivery_list").and_then(Value::as_array).into_iter().flatten() {
            order.waybills.push(parcel.clone());
        }
        let raised = request.op.raises.iter().map(|ext_type| Kind::ext(*ext_type));
        let raised = raised.chain(request.op.raises_events.iter().map(|event| Kind { event, ext_type: None }));
        for kind in raised {
            self.change(&request.lane, kind, now, true);
        }
        let life = self.life;
        let Request { id, op, lane, body, run, installation, key, .. } = request;
        self.ledger.push(Applied { op, lane, body, run, installation, key, request: id, lost: false, busy, life });
    }

    /// The order as it shows now.
    pub fn order(&self, lane: &LaneKey) -> Value {
        let order = self.orders.get(lane).cloned().unwrap_or_default();
        json!({
            "order_id": &*lane.order_id, "status": 20, "update_time": order.updated,
            "order_detail": {
                "ext_info": {"merchant_notes": order.note, "customer_notes": ""},
                "delivery_info": {"delivery_product_info": order.waybills},
            },
        })
    }

    pub fn snapshot(&self, lane: &LaneKey, now: i64) -> SnapshotRow {
        SnapshotRow::new(&lane.order_id, self.order(lane), now)
    }

    /// What the order tells of an effect, by the real table of operations.
    pub fn verdict(
        &self,
        op: &'static Operation,
        body: &Value,
        lane: &LaneKey,
        before: Option<&Value>,
        at: i64,
    ) -> Verdict {
        let now = self.order(lane);
        op.judge(&Evidence { request: body, before, now: Some(&now), intended_at: at.div_euclid(1_000) })
    }
}
