//! Gifts: accepted, not accepted, noted.

use serde_json::json;

use crate::message::OrderEvent;
use crate::orders::address::Address;
use crate::orders::chart;
use crate::refusal::Refusal;
use crate::state::State;

impl State {
    /// The recipient accepts: the order is theirs and goes to 20; a sku of their choice raises type 11.
    pub(crate) fn accept_present(
        &mut self,
        id: &str,
        openid: &str,
        address: Address,
        new_sku: Option<&str>,
        now_ms: i64,
    ) -> Result<(), Refusal> {
        let order = self.order(id)?;
        if order.status() != chart::PRESENT {
            return Err(Refusal::state("no gift waits here"));
        }
        order.go(chart::TO_SHIP, now_ms)?;
        order.doc["openid"] = json!(openid);
        order.move_to(address);
        if let (Some(sku), Some(product)) = (new_sku, order.products_mut().first_mut()) {
            product["sku_id"] = json!(sku);
        }
        self.await_shipping(id, now_ms)?;
        if new_sku.is_some() {
            self.raise(id, OrderEvent::ExtInfo { ext_type: 11 }, now_ms);
        }
        Ok(())
    }

    /// Not accepted (in time): the giver gets the money back.
    pub(crate) fn refuse_present(&mut self, id: &str, now_ms: i64) -> Result<(), Refusal> {
        let order = self.order(id)?;
        if order.status() != chart::PRESENT {
            return Err(Refusal::state("no gift waits here"));
        }
        order.go(chart::REFUNDED, now_ms)?;
        self.raise(id, OrderEvent::Cancel { cancel_type: 3 }, now_ms);
        Ok(())
    }

    /// The orders of one gift in this shop.
    pub(crate) fn orders_of_present(&self, appid: &str, present_order_id: &str) -> Vec<String> {
        self.orders
            .values()
            .filter(|o| o.appid == appid && o.doc["present_order_id_str"] == json!(present_order_id))
            .map(|o| o.id.clone())
            .collect()
    }

    /// The merchant's note on a gift: on each of its orders, each with type 8.
    pub(crate) fn write_present_note(&mut self, ids: &[String], notes: &str, now_ms: i64) -> Result<(), Refusal> {
        for id in ids {
            let order = self.order(id)?;
            order.doc["present_note"] = json!(notes);
            order.doc["order_present_info"]["present_note"] = json!(notes);
            order.touch(now_ms);
            self.raise(id, OrderEvent::ExtInfo { ext_type: 8 }, now_ms);
        }
        Ok(())
    }
}
