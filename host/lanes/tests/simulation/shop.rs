//! The platform of the simulation: requests are under way until they arrive or are lost, whoever sent them may be gone by
//! then, and its ledger says what was really applied.

use std::collections::BTreeMap;

use fangshi_journal::{EffectKey, LaneKey, RunId, SnapshotRow};
use fangshi_lanes::decide::effect::UNDER_WAY_MS;
use fangshi_operations::{Class, Evidence, Fault, Operation, Sent, Verdict};
use serde_json::{Value, json};

/// A request on its way.
pub struct Request {
    pub id: u64,
    pub op: &'static Operation,
    pub lane: LaneKey,
    pub body: Value,
    pub run: RunId,
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
}

/// An effect that the platform applied.
#[derive(Debug, Clone)]
pub struct Applied {
    pub op: &'static Operation,
    pub lane: LaneKey,
    pub body: Value,
    pub run: RunId,
    pub key: EffectKey,
}

#[derive(Default)]
pub struct Shop {
    orders: BTreeMap<LaneKey, Order>,
    pub under_way: Vec<Request>,
    answers: BTreeMap<u64, Result<Value, Fault>>,
    next: u64,
    pub ledger: Vec<Applied>,
}

#[derive(Default, Clone)]
struct Order {
    note: String,
    waybills: Vec<Value>,
    changes: i64,
}

impl Shop {
    pub fn send(&mut self, request: Request, now: i64) -> u64 {
        self.next += 1;
        self.under_way.push(Request { id: self.next, until: now + UNDER_WAY_MS - 1, ..request });
        self.next
    }

    /// The answer of a request, once.
    pub fn answer(&mut self, id: u64) -> Option<Result<Value, Fault>> {
        self.answers.remove(&id)
    }

    /// The fate of one request under way, by its place.
    pub fn meet(&mut self, place: usize, fate: Fate) {
        let request = self.under_way.swap_remove(place);
        let id = request.id;
        let lost = || Err(Fault::new(Class::Unanswered, Sent::Unknown, "the connection broke"));
        let answer = match fate {
            Fate::Done => {
                self.apply(request);
                Ok(Value::Null)
            }
            Fate::AnswerLost => {
                self.apply(request);
                lost()
            }
            Fate::Lost => lost(),
            Fate::Refused(code) => {
                let class = match code {
                    100_003 => Class::TooOften,
                    101_100 => Class::Conflict,
                    -1 => Class::Busy,
                    _ => Class::Other,
                };
                let mut fault = Fault::new(class, Sent::Answered, "refused");
                fault.code = code;
                Err(fault)
            }
        };
        self.answers.insert(id, answer);
    }

    fn apply(&mut self, request: Request) {
        let order = self.orders.entry(request.lane.clone()).or_default();
        if let Some(note) = request.body.get("merchant_notes").and_then(Value::as_str) {
            order.note = note.to_owned();
        }
        for parcel in request.body.get("delivery_list").and_then(Value::as_array).into_iter().flatten() {
            order.waybills.push(parcel.clone());
        }
        order.changes += 1;
        let Request { op, lane, body, run, key, .. } = request;
        self.ledger.push(Applied { op, lane, body, run, key });
    }

    /// The order as it shows now.
    pub fn order(&self, lane: &LaneKey) -> Value {
        let order = self.orders.get(lane).cloned().unwrap_or_default();
        json!({
            "order_id": &*lane.order_id, "status": 20, "update_time": 1_000 + order.changes,
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
