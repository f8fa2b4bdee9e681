//! A shop in memory, and how it treats the next calls.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use async_trait::async_trait;
use fangshi_database::{BoxFuture, Clock, TenantId};
use fangshi_lanes::Shop;
use fangshi_operations::{Asker, Class, Evidence, Fault, Operation, Proof, Sent, Verdict, gift_of};
use serde_json::{Value, json};

/// How the shop treats the next call of an effect.
#[derive(Debug, Clone)]
pub enum Mood {
    /// Refuses with this.
    Refuse(Fault),
    /// Applies it and loses the answer.
    LoseAnswer,
    /// Loses the request: not applied, no answer.
    LoseRequest,
    /// Says that it is busy, and applies it or not.
    Busy { applied: bool },
    /// Applies it and never answers.
    Hang,
    /// Never answers, and nothing was applied.
    Vanish,
}

/// A shop in memory.
pub struct FakeShop {
    pub orders: Mutex<BTreeMap<String, Value>>,
    /// Every call that reached it: (tenant, operation, request, applied).
    pub ledger: Mutex<Vec<(TenantId, &'static str, Value, bool)>>,
    pub moods: Mutex<VecDeque<Mood>>,
    /// By when each effect was to be let go.
    pub by: Mutex<Vec<(&'static str, Option<i64>)>>,
    /// Reads of orders fail so often.
    pub reads_fail: AtomicU32,
    pub reads: AtomicU32,
    /// Looks for what became of an effect fail so often.
    pub looks_fail: AtomicU32,
    /// How orders are refused, if they are.
    pub unreadable: Mutex<Option<Fault>>,
    pub hanging: tokio::sync::Notify,
    /// What decodes of other runs left.
    pub kept: Mutex<Option<Value>>,
    /// What happens while the next requests to outside hosts are answered.
    pub outside_meanwhile: Mutex<VecDeque<BoxFuture<'static, ()>>>,
    /// The body of every answer of an outside host.
    pub outside_says: Mutex<String>,
    /// Whether outside hosts take requests and never answer.
    pub outside_hangs: AtomicBool,
    pub(super) clock: Clock,
}

pub fn refused(class: Class, code: i64) -> Fault {
    let mut fault = Fault::new(class, Sent::Answered, "refused");
    fault.code = code;
    fault.rid = Some("rid-1".into());
    fault
}

impl FakeShop {
    fn order(&self, id: &str) -> Value {
        let now = self.clock.now_s();
        self.orders
            .lock()
            .unwrap()
            .entry(id.to_owned())
            .or_insert_with(|| {
                json!({"order_id": id, "status": 20, "update_time": now - 100_000,
                       "order_detail": {"ext_info": {"merchant_notes": "", "customer_notes": ""}}})
            })
            .clone()
    }

    /// Makes orders the parts of a gift; they were changed just now.
    pub fn give(&self, gift: &str, orders: &[&str]) {
        for id in orders {
            let mut order = self.order(id);
            order["order_present_info"] = json!({"present_order_id_str": gift, "present_note": ""});
            order["update_time"] = json!(self.clock.now_s());
            self.orders.lock().unwrap().insert((*id).to_owned(), order);
        }
    }

    fn made_of(&self, gift: &str) -> Vec<String> {
        let orders = self.orders.lock().unwrap();
        let made = orders.iter().filter(|(_, order)| gift_of(order).as_deref() == Some(gift));
        made.map(|(id, _)| id.clone()).collect()
    }

    fn apply(&self, tenant: TenantId, op: &'static Operation, request: &Value) {
        let id = op.order_of(request).unwrap_or_default().to_owned();
        let changed = if op.proof() == Proof::PresentOrder { self.made_of(&id) } else { vec![id] };
        for id in changed {
            self.change(id, request);
        }
        self.ledger.lock().unwrap().push((tenant, op.name, request.clone(), true));
    }

    fn change(&self, id: String, request: &Value) {
        let mut order = self.order(&id);
        if let Some(note) = request.get("notes") {
            order["order_present_info"]["present_note"] = note.clone();
        }
        if let Some(note) = request.get("merchant_notes") {
            order["order_detail"]["ext_info"]["merchant_notes"] = note.clone();
        }
        if let Some(parcels) = request.get("delivery_list").and_then(Value::as_array) {
            let shown = &mut order["order_detail"]["delivery_info"]["delivery_product_info"];
            let mut all = shown.as_array().cloned().unwrap_or_default();
            all.extend(parcels.iter().cloned());
            *shown = Value::Array(all);
        }
        order["update_time"] = json!(self.clock.now_s());
        self.orders.lock().unwrap().insert(id, order);
    }

    /// The merchant writes another note.
    pub fn note_by_hand(&self, order: &str, note: &str) {
        self.orders.lock().unwrap().get_mut(order).unwrap()["order_detail"]["ext_info"]["merchant_notes"] = note.into();
    }

    /// The note that an order shows.
    pub fn note(&self, order: &str) -> Value {
        self.orders.lock().unwrap()[order]["order_detail"]["ext_info"]["merchant_notes"].clone()
    }

    /// Effects that were applied.
    pub fn applied(&self) -> Vec<Value> {
        self.ledger.lock().unwrap().iter().filter(|call| call.3).map(|call| call.2.clone()).collect()
    }
}

#[async_trait]
impl Shop for FakeShop {
    async fn call(
        &self,
        tenant: TenantId,
        op: &'static Operation,
        request: &Value,
        by: Option<i64>,
    ) -> Result<Value, Fault> {
        tokio::task::yield_now().await;
        if op.effect {
            self.by.lock().unwrap().push((op.name, by));
        }
        if !op.effect {
            self.ledger.lock().unwrap().push((tenant, op.name, request.clone(), false));
            return Ok(json!({"order_ids": [], "next_key": "", "has_more": false}));
        }
        let mood = self.moods.lock().unwrap().pop_front();
        match mood {
            None => {
                self.apply(tenant, op, request);
                Ok(Value::Null)
            }
            Some(Mood::Refuse(fault)) => {
                self.ledger.lock().unwrap().push((tenant, op.name, request.clone(), false));
                Err(fault)
            }
            Some(Mood::LoseAnswer) => {
                self.apply(tenant, op, request);
                Err(Fault::new(Class::Unanswered, Sent::Unknown, "the connection broke"))
            }
            Some(Mood::Busy { applied }) => {
                match applied {
                    true => self.apply(tenant, op, request),
                    false => self.ledger.lock().unwrap().push((tenant, op.name, request.clone(), false)),
                }
                Err(Fault { sent: Sent::Unknown, ..refused(Class::Busy, -1) })
            }
            Some(Mood::LoseRequest) => Err(Fault::new(Class::Unanswered, Sent::Unknown, "the connection broke")),
            Some(Mood::Hang) => {
                self.apply(tenant, op, request);
                self.hanging.notify_one();
                std::future::pending().await
            }
            Some(Mood::Vanish) => {
                self.hanging.notify_one();
                std::future::pending().await
            }
        }
    }

    async fn read_order(&self, _: TenantId, order_id: &str) -> Result<Value, Fault> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.reads_fail.load(Ordering::SeqCst) > 0 {
            self.reads_fail.fetch_sub(1, Ordering::SeqCst);
            return Err(Fault::new(Class::Unreachable, Sent::NotSent, "no connection"));
        }
        if let Some(refused) = self.unreadable.lock().unwrap().clone() {
            return Err(refused);
        }
        Ok(self.order(order_id))
    }

    async fn outside(&self, tenant: TenantId, request: &Value, _: u64) -> Result<Value, Fault> {
        self.ledger.lock().unwrap().push((tenant, "http", request.clone(), true));
        if self.outside_hangs.load(Ordering::SeqCst) {
            self.hanging.notify_one();
            std::future::pending::<()>().await;
        }
        let meanwhile = self.outside_meanwhile.lock().unwrap().pop_front();
        if let Some(meanwhile) = meanwhile {
            meanwhile.await;
        }
        let body = self.outside_says.lock().unwrap().clone();
        Ok(json!({"status": 200, "headers": [], "body": body}))
    }

    async fn kept(
        &self,
        _: Asker,
        _: &'static Operation,
        _: &Value,
        _: Option<&Value>,
    ) -> Result<Option<Value>, Fault> {
        Ok(self.kept.lock().unwrap().clone())
    }

    async fn settle(
        &self,
        _: TenantId,
        op: &'static Operation,
        request: &Value,
        before: Option<&Value>,
        intended_at: i64,
    ) -> Result<Verdict, Fault> {
        if self.looks_fail.load(Ordering::SeqCst) > 0 {
            self.looks_fail.fetch_sub(1, Ordering::SeqCst);
            return Err(Fault::new(Class::Unreachable, Sent::NotSent, "no connection"));
        }
        let changed = op.order_of(request).unwrap_or_default();
        let now = match op.proof() {
            Proof::None => None,
            Proof::PresentOrder => self.made_of(changed).first().map(|made| self.order(made)),
            _ => Some(self.order(changed)),
        };
        Ok(op.judge(&Evidence { request, before, now: now.as_ref(), intended_at }))
    }
}
