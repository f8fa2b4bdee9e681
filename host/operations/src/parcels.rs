//! Parcels, compared: those of a request with those that an order shows.

use serde_json::Value;

/// One parcel, reduced to what tells it from others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Parcel {
    pub waybill_id: String,
    pub delivery_id: String,
    /// Product, SKU and count, sorted.
    pub items: Vec<(String, String, i64)>,
}

impl Parcel {
    /// Whether both are the same parcel: by courier and waybill, or, without a waybill, by what is in it.
    pub(crate) fn is(&self, other: &Parcel) -> bool {
        if self.waybill_id.is_empty() && other.waybill_id.is_empty() {
            return self.items == other.items;
        }
        self.waybill_id == other.waybill_id && self.delivery_id == other.delivery_id
    }
}

/// The parcels that an order shows, sorted.
pub(crate) fn of_order(order: &Value) -> Vec<Parcel> {
    listed(order.pointer("/order_detail/delivery_info/delivery_product_info"))
}

/// The parcels of a list, sorted.
pub(crate) fn listed(list: Option<&Value>) -> Vec<Parcel> {
    let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut parcels: Vec<Parcel> = list.iter().map(one).collect();
    parcels.sort();
    parcels
}

/// One parcel.
pub(crate) fn one(value: &Value) -> Parcel {
    let text = |value: &Value, name: &str| match value.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let count = |value: &Value| match value.get("product_cnt") {
        Some(Value::String(text)) => text.parse().unwrap_or_default(),
        Some(other) => other.as_i64().unwrap_or_default(),
        None => 0,
    };
    let items = value.get("product_infos").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut items: Vec<_> =
        items.iter().map(|item| (text(item, "product_id"), text(item, "sku_id"), count(item))).collect();
    items.sort();
    Parcel { waybill_id: text(value, "waybill_id"), delivery_id: text(value, "delivery_id"), items }
}
