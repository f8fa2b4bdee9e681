//! The order's life without shipping: payment, cancellation, receipt, settlement, refund, and the small changes.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::message::OrderEvent;
use crate::orders::chart;
use crate::orders::order::Kind;
use crate::refusal::Refusal;
use crate::state::State;

/// Who ended something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The buyer: code 1.
    User,
    /// Time: code 2.
    Timeout,
}

impl By {
    fn code(self) -> i64 {
        match self {
            By::User => 1,
            By::Timeout => 2,
        }
    }
}

impl State {
    /// The buyer pays: to 20, to 12 for a gift, to 13 for 一起买.
    pub(crate) fn pay(&mut self, id: &str, now_ms: i64) -> Result<(), Refusal> {
        let now_s = now_ms / 1000;
        let lag_s = self.settings.status_lag_s;
        let prepay = self.dice.hex(20);
        let transaction = self.dice.digits(28);
        let order = self.order(id)?;
        let next = match order.kind {
            Kind::Ordinary => chart::TO_SHIP,
            Kind::Present => chart::PRESENT,
            Kind::Group => chart::GROUP,
        };
        order.go(next, now_ms)?;
        order.lag_until_ms = now_ms + lag_s * 1000;
        order.detail()["pay_info"] = if order.doc["order_present_info"]["is_b2c_free_present"] == json!(true) {
            json!({"payment_method": 1})
        } else {
            json!({
                "payment_method": 1, "prepay_id": format!("up_wx{prepay}"), "prepay_time": now_s, "pay_time": now_s,
                "transaction_id": transaction,
            })
        };
        self.raise(id, OrderEvent::Pay { pay_time: now_s }, now_ms);
        if next == chart::TO_SHIP {
            self.await_shipping(id, now_ms)?;
        }
        Ok(())
    }

    /// What holds from status 20 on: the deadline of shipping (two days, as in the real order), and the event.
    pub(crate) fn await_shipping(&mut self, id: &str, now_ms: i64) -> Result<(), Refusal> {
        let deadline = now_ms / 1000 + 172_800;
        let order = self.order(id)?;
        for product in order.products_mut() {
            product["delivery_deadline"] = json!(deadline);
        }
        order.delivery()["predict_delivery_time"] = json!(deadline);
        order.delivery()["delivery_time_type"] = json!(1);
        self.raise(id, OrderEvent::WaitShipping, now_ms);
        Ok(())
    }

    /// The group of 一起买 is complete, or it failed.
    pub(crate) fn end_group(&mut self, id: &str, complete: bool, now_ms: i64) -> Result<(), Refusal> {
        let order = self.order(id)?;
        if order.status() != chart::GROUP {
            return Err(Refusal::state("the order waits for no group"));
        }
        if complete {
            order.go(chart::TO_SHIP, now_ms)?;
            return self.await_shipping(id, now_ms);
        }
        order.go(chart::REFUNDED, now_ms)?;
        self.raise(id, OrderEvent::Cancel { cancel_type: 3 }, now_ms);
        Ok(())
    }

    /// Cancelled before payment.
    pub(crate) fn cancel(&mut self, id: &str, by: By, now_ms: i64) -> Result<(), Refusal> {
        self.order(id)?.go(chart::CANCELLED, now_ms)?;
        self.raise(id, OrderEvent::Cancel { cancel_type: by.code() }, now_ms);
        Ok(())
    }

    /// Oversold: the merchant cancels (known from an SDK only).
    pub(crate) fn oversell(&mut self, id: &str, now_ms: i64) -> Result<(), Refusal> {
        self.order(id)?.go(chart::OVERSOLD, now_ms)?;
        self.raise(id, OrderEvent::Cancel { cancel_type: 4 }, now_ms);
        Ok(())
    }

    /// Every item is refunded.
    pub(crate) fn refund_all(&mut self, id: &str, now_ms: i64) -> Result<(), Refusal> {
        let order = self.order(id)?;
        if matches!(order.status(), chart::PRESENT | chart::GROUP) {
            return Err(Refusal::state("nothing was bought for good yet"));
        }
        order.go(chart::REFUNDED, now_ms)?;
        for product in order.products_mut() {
            product["finish_aftersale_sku_cnt"] = product["sku_cnt"].clone();
        }
        let aftersale = format!("{id}01");
        order.doc["aftersale_detail"]["aftersale_order_list"] = json!([{"aftersale_order_id": aftersale}]);
        self.raise(id, OrderEvent::Cancel { cancel_type: 3 }, now_ms);
        Ok(())
    }

    /// Received.
    pub(crate) fn confirm(&mut self, id: &str, by: By, now_ms: i64) -> Result<(), Refusal> {
        let order = self.order(id)?;
        order.go(chart::FINISHED, now_ms)?;
        order.detail()["ext_info"]["confirm_receipt_time"] = json!(now_ms / 1000);
        self.raise(id, OrderEvent::Confirm { confirm_type: by.code() }, now_ms);
        Ok(())
    }

    /// Settled, once, after receipt.
    pub(crate) fn settle(&mut self, id: &str, now_ms: i64) -> Result<(), Refusal> {
        let now_s = now_ms / 1000;
        let order = self.order(id)?;
        if order.status() != chart::FINISHED {
            return Err(Refusal::state("only a finished order is settled"));
        }
        let settle = &mut order.detail()["settle_info"];
        if !settle["settle_time"].is_null() {
            return Err(Refusal::state("the order is settled already"));
        }
        settle["settle_time"] = json!(now_s);
        settle["commission_fee"] = settle["predict_commission_fee"].clone();
        order.touch(now_ms);
        self.raise(id, OrderEvent::Settle { settle_time: now_s }, now_ms);
        Ok(())
    }

    /// The merchant's note, by call or in the shop's own back office.
    pub(crate) fn write_note(&mut self, id: &str, notes: &str, now_ms: i64) -> Result<(), Refusal> {
        let order = self.order(id)?;
        order.detail()["ext_info"]["merchant_notes"] = json!(notes);
        order.touch(now_ms);
        self.raise(id, OrderEvent::ExtInfo { ext_type: 3 }, now_ms);
        Ok(())
    }

    /// The buyer urges; nothing changes.
    pub(crate) fn urge(&mut self, id: &str, now_ms: i64) -> Result<(), Refusal> {
        let status = self.order(id)?.status();
        if !matches!(status, chart::TO_SHIP | chart::PARTLY_SHIPPED) {
            return Err(Refusal::state("there is nothing to ship"));
        }
        self.raise(id, OrderEvent::ExtInfo { ext_type: 7 }, now_ms);
        Ok(())
    }

    /// Any other change: a JSON merge patch of the document and an ext_info_update of any type, known or not.
    pub(crate) fn extra(&mut self, id: &str, ext_type: i64, patch: &Value, now_ms: i64) -> Result<(), Refusal> {
        let order = self.order(id)?;
        let mut doc = order.doc.clone();
        merge(&mut doc, patch);
        match crate::orders::order::check(&doc) {
            Ok(patched) if patched == id => order.doc = doc,
            Ok(_) => return Err(Refusal::argument("the patch changes the order id")),
            Err(why) => return Err(Refusal::argument(why)),
        }
        order.touch(now_ms);
        self.raise(id, OrderEvent::ExtInfo { ext_type }, now_ms);
        Ok(())
    }
}

/// RFC 7386: null removes, objects merge, all else replaces.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    if let Some(members) = target.as_object_mut() {
        for (name, value) in patch {
            if value.is_null() {
                members.remove(name);
            } else {
                merge(members.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
    }
}
