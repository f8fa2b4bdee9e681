//! A buyer's wish for another sku before shipping (types 9 and 10).
//!
//! The values of `preshipment_change_sku_state` are unconfirmed (platform page 8.6); the fake uses 1 to 4.

use serde_json::{Value, json};

use crate::message::OrderEvent;
use crate::orders::chart;
use crate::orders::order::Order;
use crate::refusal::Refusal;
use crate::state::{State, Timer};

/// Waits for the merchant.
pub(crate) const PENDING: i64 = 1;
const APPROVED: i64 = 2;
const REFUSED: i64 = 3;
const LAPSED: i64 = 4;

/// Whether a change waits for the merchant: it blocks shipping (page 4.1).
pub(crate) fn is_pending(order: &Order) -> bool {
    order.products().iter().any(product_is_pending)
}

fn product_is_pending(product: &Value) -> bool {
    product["change_sku_info"]["preshipment_change_sku_state"] == json!(PENDING)
}

impl State {
    /// The buyer asks.
    pub(crate) fn ask_sku(
        &mut self,
        id: &str,
        sku: &str,
        new_sku: &str,
        within_s: i64,
        now_ms: i64,
    ) -> Result<(), Refusal> {
        let deadline = now_ms / 1000 + within_s;
        let order = self.order(id)?;
        if order.status() != chart::TO_SHIP {
            return Err(Refusal::state("a sku can be changed before shipping only"));
        }
        if is_pending(order) {
            return Err(Refusal::not_now("a change waits already"));
        }
        let product = order
            .products_mut()
            .iter_mut()
            .find(|p| p["sku_id"] == json!(sku))
            .ok_or_else(|| Refusal::new(606031, "sku_id is not of this order"))?;
        product["change_sku_info"] = json!({
            "preshipment_change_sku_state": PENDING, "old_sku_id": sku, "new_sku_id": new_sku,
            "ddl_time_stamp": deadline,
        });
        order.touch(now_ms);
        self.raise(id, OrderEvent::ExtInfo { ext_type: 9 }, now_ms);
        self.set_timer(deadline * 1000, Timer::SkuLapse { order_id: id.to_owned(), deadline });
        Ok(())
    }

    /// The merchant decides. Approval swaps the sku and raises type 10; no type is documented for a refusal.
    pub(crate) fn decide_sku(&mut self, id: &str, approve: bool, now_ms: i64) -> Result<(), Refusal> {
        let order = self.order(id)?;
        let product = order
            .products_mut()
            .iter_mut()
            .find(|p| product_is_pending(p))
            .ok_or_else(|| Refusal::not_now("no sku change waits"))?;
        if approve {
            product["sku_id"] = product["change_sku_info"]["new_sku_id"].clone();
        }
        product["change_sku_info"]["preshipment_change_sku_state"] = json!(if approve { APPROVED } else { REFUSED });
        order.touch(now_ms);
        if approve {
            self.raise(id, OrderEvent::ExtInfo { ext_type: 10 }, now_ms);
        }
        Ok(())
    }

    /// Nobody decided in time.
    pub(crate) fn lapse_sku(&mut self, id: &str, deadline: i64, now_ms: i64) {
        let Some(order) = self.orders.get_mut(id) else { return };
        let due = order
            .products_mut()
            .iter_mut()
            .find(|p| product_is_pending(p) && p["change_sku_info"]["ddl_time_stamp"] == json!(deadline));
        if let Some(product) = due {
            product["change_sku_info"]["preshipment_change_sku_state"] = json!(LAPSED);
            order.touch(now_ms);
        }
    }
}
