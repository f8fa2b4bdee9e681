//! One order: the document as the platform shows it, and what the document hides.

use serde_json::{Value, json};

use crate::orders::address::Address;
use crate::orders::chart;
use crate::refusal::Refusal;

/// What becomes of the order when it is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ordinary,
    Present,
    Group,
}

/// An address change that waits for somebody's answer.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub address: Address,
    /// Unix seconds; also tells one request from the next.
    pub asked_at: i64,
}

/// An application to see the real number.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    pub apply_time_ms: i64,
    pub state: i64,
    pub reason: String,
    pub task_id: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub id: String,
    pub appid: String,
    /// The `order` object of getorder. Members unknown to us stay as they were loaded.
    pub doc: Value,
    pub kind: Kind,
    /// The recipient in clear.
    pub address: Address,
    /// Main number that the next allocation gives (none: drawn).
    pub next_main_number: Option<String>,
    pub applied_again: bool,
    pub price_changes: u32,
    pub address_changes: u32,
    pub delivery_changes: u32,
    /// A merchant's change that waits for the buyer.
    pub proposal: Option<Pending>,
    /// A buyer's change that waits for the merchant.
    pub request: Option<Pending>,
    pub audit: Option<Audit>,
    /// Platform's ms of the last change, for 100003.
    pub changed_ms: i64,
    /// Until then getorder shows status 10 although paid.
    pub lag_until_ms: i64,
}

impl Order {
    pub(crate) fn status(&self) -> i64 {
        self.doc["status"].as_i64().unwrap_or(0)
    }

    pub(crate) fn openid(&self) -> &str {
        self.doc["openid"].as_str().unwrap_or("")
    }

    pub(crate) fn create_time(&self) -> i64 {
        self.doc["create_time"].as_i64().unwrap_or(0)
    }

    pub(crate) fn update_time(&self) -> i64 {
        self.doc["update_time"].as_i64().unwrap_or(0)
    }

    pub(crate) fn detail(&mut self) -> &mut Value {
        &mut self.doc["order_detail"]
    }

    pub(crate) fn delivery(&mut self) -> &mut Value {
        &mut self.doc["order_detail"]["delivery_info"]
    }

    pub(crate) fn address_info(&mut self) -> &mut Value {
        &mut self.doc["order_detail"]["delivery_info"]["address_info"]
    }

    pub(crate) fn products(&self) -> &[Value] {
        self.doc["order_detail"]["product_infos"].as_array().map_or(&[], Vec::as_slice)
    }

    pub(crate) fn products_mut(&mut self) -> &mut [Value] {
        self.doc["order_detail"]["product_infos"].as_array_mut().map_or(&mut [], Vec::as_mut_slice)
    }

    pub(crate) fn deliver_method(&self) -> i64 {
        self.doc["order_detail"]["delivery_info"]["deliver_method"].as_i64().unwrap_or(0)
    }

    /// Notes a change: `update_time` grows with each, even within a second.
    pub(crate) fn touch(&mut self, now_ms: i64) {
        let next = (now_ms / 1000).max(self.update_time() + 1);
        self.doc["update_time"] = json!(next);
        self.changed_ms = now_ms;
    }

    /// Changes the status, if the chart has the way.
    pub(crate) fn go(&mut self, to: i64, now_ms: i64) -> Result<(), Refusal> {
        let from = self.status();
        if !chart::allowed(from, to) {
            return Err(Refusal::state(format!("order status {from} does not allow {to}")));
        }
        self.doc["status"] = json!(to);
        self.touch(now_ms);
        Ok(())
    }

    /// Replaces the recipient; a virtual number belongs to the old phone and goes.
    pub(crate) fn move_to(&mut self, address: Address) {
        let shown = address.masked(&self.appid);
        let same_phone = address.tel_number == self.address.tel_number;
        let info = self.address_info();
        if let (Some(info), Value::Object(shown)) = (info.as_object_mut(), shown) {
            info.extend(shown);
            if !same_phone {
                info.remove("tel_number_ext_info");
                info.insert("use_tel_number".to_owned(), json!(0));
            }
        }
        self.address = address;
    }

    /// Ends a buyer's request, whatever became of it.
    pub(crate) fn end_request(&mut self) -> Option<Pending> {
        let request = self.request.take()?;
        if let Some(delivery) = self.delivery().as_object_mut() {
            delivery.remove("address_under_review");
            delivery.remove("address_apply_time");
        }
        Some(request)
    }

    /// What `getorder` shows now.
    pub(crate) fn shown(&self, now_ms: i64) -> Value {
        let mut doc = self.doc.clone();
        if now_ms < self.lag_until_ms && chart::allowed(chart::UNPAID, self.status()) {
            doc["status"] = json!(chart::UNPAID);
        }
        doc
    }
}

/// Whether a document can be loaded as an order: the members that the fake changes must be there.
pub(crate) fn check(doc: &Value) -> Result<String, String> {
    let id = doc["order_id"].as_str().filter(|id| !id.is_empty()).ok_or("order_id must be a text")?;
    for name in ["status", "create_time", "update_time"] {
        doc[name].as_i64().ok_or(format!("{name} must be a number"))?;
    }
    for pointer in [
        "/order_detail/delivery_info/address_info",
        "/order_detail/price_info",
        "/order_detail/pay_info",
        "/order_detail/ext_info",
        "/order_detail/settle_info",
        "/aftersale_detail",
    ] {
        doc.pointer(pointer).and_then(Value::as_object).ok_or(format!("{pointer} must be an object"))?;
    }
    for pointer in ["/order_detail/product_infos", "/order_detail/delivery_info/delivery_product_info"] {
        let items = doc.pointer(pointer).and_then(Value::as_array).ok_or(format!("{pointer} must be an array"))?;
        if items.iter().any(|item| !item.is_object()) {
            return Err(format!("{pointer} must hold objects"));
        }
    }
    Ok(id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real() -> Value {
        let file: Value = serde_json::from_str(include_str!("../../fixtures/getorder-before.json")).unwrap();
        file["order"].clone()
    }

    #[test]
    fn the_real_order_loads_and_a_broken_one_does_not() {
        assert_eq!(check(&real()).unwrap(), "3732676853715311104");
        let mut broken = real();
        broken["order_detail"]["delivery_info"] = json!([]);
        assert!(check(&broken).unwrap_err().contains("address_info"));
        let mut number = real();
        number["order_id"] = json!(3732676853715311104_u64);
        assert!(check(&number).is_err());
    }
}
