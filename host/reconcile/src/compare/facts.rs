//! What is kept of an order: times, counts, and marks of the parts whose change has an event.

use std::collections::BTreeSet;

use fangshi_operations::filled;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use super::chart;
use super::mark::Mark;

/// An order, as far as comparing goes. Times are unix seconds; 0: not yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// `status`.
    pub status: i64,
    /// `create_time`.
    pub create_time: i64,
    /// `update_time`.
    pub update_time: i64,
    /// `pay_info.pay_time`.
    pub pay_time: i64,
    /// Whether it was paid, or given for free.
    pub paid: bool,
    /// Whether it was ready to be shipped at some time.
    pub shippable: bool,
    /// Times of the parcels, each once.
    pub parcels: BTreeSet<i64>,
    /// When nothing was left to ship, or 1 if only the status tells.
    pub shipped_at: i64,
    /// `ext_info.confirm_receipt_time`, or 1 if only the status tells.
    pub confirmed_at: i64,
    /// `settle_info.settle_time`.
    pub settled_at: i64,
    /// `address_info.tel_number_ext_info`.
    pub number: Option<Number>,
    /// The recipient: name, address, masked phone.
    pub address: Option<Mark>,
    /// Whether `tel_number` is shown whole.
    pub real_number: bool,
    /// `address_under_review`. Kept by another name since one of empty members is none: what was kept before says nothing of that.
    #[serde(rename = "address_wish")]
    pub wished_address: Option<Mark>,
    /// `address_apply_time`.
    pub wished_at: i64,
    /// `ext_info.merchant_notes`.
    pub note: Option<Mark>,
    /// `present_note`, in either place. Kept by another name since an empty place no longer hides the other.
    #[serde(rename = "note_of_gift")]
    pub gift_note: Option<Mark>,
    /// `commission_infos`.
    pub commission: Option<Mark>,
    /// `sharer_info`, `sku_sharer_infos`.
    pub sharer: Option<Mark>,
    /// What was ordered.
    pub skus: Option<Mark>,
    /// Wishes for another SKU, each as it was asked.
    pub sku_wishes: BTreeSet<Mark>,
    /// SKUs that were wished for and are what is ordered now.
    pub sku_granted: BTreeSet<Mark>,
    /// The merchant's changes of the price.
    pub price: Option<Mark>,
    /// `dropship_info`.
    pub dropship: Option<Mark>,
    /// Everything else.
    pub rest: Option<Mark>,
}

/// A virtual number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    /// Of `virtual_tel_number`.
    pub mark: Option<Mark>,
    /// `virtual_tel_expire_time`, unix seconds; 0 if it is not told.
    pub expires_at: i64,
    /// `has_delay_times`.
    pub delays: i64,
    /// Whether it was over when the order was read.
    pub expired: bool,
}

/// getorder's answer lacks what every order has; nothing of it is repeated here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the order has no readable {0}")]
pub struct Unreadable(pub &'static str);

/// A number that the platform may send as text.
fn number(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

impl Facts {
    /// Reads getorder's `order` object (platform page, section 5). `now`: unix seconds at which it was asked for.
    ///
    /// # Errors
    /// [`Unreadable`]: `status`, `create_time` or `update_time` is no number.
    pub fn of(order: &Value, now: i64) -> Result<Facts, Unreadable> {
        let top = |name: &'static str| number(order.get(name)).ok_or(Unreadable(name));
        let at = |pointer: &str| order.pointer(pointer);
        let time = |pointer: &str| number(at(pointer)).unwrap_or(0).max(0);
        let (status, update_time) = (top("status")?, top("update_time")?);
        let pay_time = time("/order_detail/pay_info/pay_time");
        let delivery = at("/order_detail/delivery_info").cloned().unwrap_or_default();
        let address = delivery.get("address_info").cloned().unwrap_or_default();
        let products = at("/order_detail/product_infos").and_then(Value::as_array).cloned().unwrap_or_default();
        let parcels: BTreeSet<i64> = delivery
            .get("delivery_product_info")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|parcel| number(parcel.get("delivery_time")).unwrap_or(0))
            .collect();
        let past = |statuses: &[i64]| statuses.contains(&status);
        let promised = products.iter().any(|product| number(product.get("delivery_deadline")).unwrap_or(0) > 0);
        let ended = past(&[chart::OVERSOLD, chart::REFUNDED]);
        let shipping = [chart::TO_SHIP, chart::PARTLY_SHIPPED, chart::SHIPPED, chart::FINISHED];
        let ship_done = number(delivery.get("ship_done_time")).unwrap_or(0);
        let confirmed = time("/order_detail/ext_info/confirm_receipt_time");
        let told = |time: i64, statuses: &[i64]| if time == 0 { i64::from(past(statuses)) } else { time };
        Ok(Facts {
            status,
            create_time: top("create_time")?,
            update_time,
            pay_time,
            // A free gift has a way of payment and no time of it.
            paid: pay_time > 0 || past(&shipping) || past(&[chart::PRESENT, chart::GROUP]),
            shippable: past(&shipping) || (ended && (promised || !parcels.is_empty())),
            shipped_at: told(ship_done.max(0), &[chart::SHIPPED, chart::FINISHED]),
            confirmed_at: told(confirmed, &[chart::FINISHED]),
            settled_at: time("/order_detail/settle_info/settle_time"),
            number: virtual_number(address.get("tel_number_ext_info"), now),
            address: recipient(&address),
            real_number: address.get("tel_number").and_then(Value::as_str).is_some_and(is_whole),
            wished_address: Mark::of(delivery.get("address_under_review").filter(|wish| filled(wish))),
            wished_at: number(delivery.get("address_apply_time")).unwrap_or(0),
            note: Mark::of(at("/order_detail/ext_info/merchant_notes")),
            gift_note: Mark::of(order.get("present_note")).or_else(|| Mark::of(at("/order_present_info/present_note"))),
            commission: Mark::of(at("/order_detail/commission_infos")),
            sharer: Mark::of_all([
                ("sharer_info", at("/order_detail/sharer_info")),
                ("sku_sharer_infos", at("/order_detail/sku_sharer_infos")),
            ]),
            skus: ordered(&products),
            sku_wishes: products.iter().filter_map(wish).collect(),
            sku_granted: products.iter().filter(|product| is_granted(product)).filter_map(wish).collect(),
            price: price(order, &products),
            dropship: Mark::of(Some(
                &products.iter().filter_map(|p| p.pointer("/dropship_info/ds_order_id")).cloned().collect(),
            )),
            rest: rest(order),
            parcels,
        })
    }

    /// What an order is before anything happens to it: the comparison for one that was placed since. What the platform
    /// fills in by itself at the placing is no change.
    pub fn unplaced(of: &Facts) -> Facts {
        Facts {
            status: 0,
            create_time: of.create_time,
            update_time: of.create_time.saturating_sub(1),
            pay_time: 0,
            paid: false,
            shippable: false,
            parcels: BTreeSet::new(),
            shipped_at: 0,
            confirmed_at: 0,
            settled_at: 0,
            number: None,
            address: of.address.clone(),
            real_number: of.real_number,
            wished_address: None,
            wished_at: 0,
            note: None,
            gift_note: of.gift_note.clone(),
            commission: of.commission.clone(),
            sharer: of.sharer.clone(),
            skus: of.skus.clone(),
            sku_wishes: BTreeSet::new(),
            sku_granted: BTreeSet::new(),
            price: None,
            dropship: None,
            rest: None,
        }
    }

    /// Facts as they were kept, if this version of the host can read them, and whether they are whole. What the version that
    /// kept them knew nothing of is taken as it is `now`: that is no change.
    pub fn kept(kept: &Value, now: &Facts) -> Option<(Facts, bool)> {
        if ["status", "create_time", "update_time"].iter().any(|name| kept.get(name).is_none()) {
            return None;
        }
        let mut filled = serde_json::to_value(now).ok()?;
        let whole = lay_over(&mut filled, kept);
        Some((serde_json::from_value(filled).ok()?, whole))
    }

    /// Whether the status lags behind the payment (platform page, section 0, row 8): the reading is not to be believed yet.
    pub fn lags(&self) -> bool {
        self.status == chart::UNPAID && self.pay_time > 0
    }
}

/// Puts the members of one value in the place of another's. Whether all of them were there.
fn lay_over(on: &mut Value, from: &Value) -> bool {
    match (on, from) {
        (Value::Object(on), Value::Object(from)) => {
            let mut whole = true;
            for (name, on) in on.iter_mut() {
                whole &= from.get(name).is_some_and(|from| lay_over(on, from));
            }
            whole
        }
        (on, from) => {
            *on = from.clone();
            true
        }
    }
}

fn virtual_number(info: Option<&Value>, now: i64) -> Option<Number> {
    let info = info.filter(|info| Mark::of(info.get("virtual_tel_number")).is_some())?;
    let expires_at = number(info.get("virtual_tel_expire_time")).unwrap_or(0);
    Some(Number {
        mark: Mark::of(info.get("virtual_tel_number")),
        expires_at,
        delays: number(info.get("has_delay_times")).unwrap_or(0),
        expired: expires_at > 0 && expires_at <= now,
    })
}

fn is_whole(phone: &str) -> bool {
    !phone.is_empty() && !phone.contains('*')
}

/// The recipient without what a virtual or real number changes.
fn recipient(address: &Value) -> Option<Mark> {
    const MEMBERS: [&str; 9] = [
        "user_name",
        "postal_code",
        "province_name",
        "city_name",
        "county_name",
        "detail_info",
        "national_code",
        "house_number",
        "hash_code",
    ];
    let phone = Value::from(masked(address.get("tel_number").and_then(Value::as_str).unwrap_or_default()));
    let members = MEMBERS.map(|name| (name, address.get(name)));
    let more = [("tel_number", Some(&phone)), ("virtual_order_tel_number", address.get("virtual_order_tel_number"))];
    Mark::of_all(members.into_iter().chain(more))
}

/// A phone as the platform masks it, shown or not.
fn masked(phone: &str) -> String {
    let digits: Vec<char> = phone.chars().collect();
    match digits.len() {
        8.. if is_whole(phone) => {
            let (head, tail) = (&digits[..3], &digits[digits.len() - 4..]);
            format!("{}****{}", head.iter().collect::<String>(), tail.iter().collect::<String>())
        }
        _ => phone.to_owned(),
    }
}

/// What was ordered, in whatever order the platform shows it.
fn ordered(products: &[Value]) -> Option<Mark> {
    let mut ids: Vec<[Option<&Value>; 2]> =
        products.iter().map(|product| [product.get("product_id"), product.get("sku_id")]).collect();
    ids.sort_by_cached_key(|ids| ids.map(|id| id.map(ToString::to_string)));
    Mark::of(Some(&json!(ids)))
}

/// A wish, whatever became of it: values of `preshipment_change_sku_state` are unconfirmed.
fn wish(product: &Value) -> Option<Mark> {
    let info = product.get("change_sku_info").filter(|info| filled(info))?;
    let members = ["old_sku_id", "new_sku_id", "ddl_time_stamp"].map(|name| (name, info.get(name)));
    Mark::of_all(members)
}

fn is_granted(product: &Value) -> bool {
    let wished = product.pointer("/change_sku_info/new_sku_id");
    wished.is_some_and(|wished| Mark::of(Some(wished)) == Mark::of(product.get("sku_id")))
}

/// What only a merchant's change of the price sets.
fn price(order: &Value, products: &[Value]) -> Option<Mark> {
    const OF_PRODUCT: [&str; 2] = ["is_change_price", "change_price"];
    const OF_ORDER: [&str; 3] = ["change_down_price", "change_freight", "is_change_freight"];
    let set = |value: Option<&Value>| {
        value.filter(|value| !matches!(value, Value::Bool(false)) && **value != json!(0)).cloned()
    };
    let of_products: Vec<Value> =
        products.iter().map(|product| json!(OF_PRODUCT.map(|name| set(product.get(name))))).collect();
    let info = order.pointer("/order_detail/price_info");
    let of_order = OF_ORDER.map(|name| set(info.and_then(|info| info.get(name))));
    Mark::of(Some(&json!([of_products, of_order])))
}

/// What no other fact looks at: a difference here explains an update of which no event tells.
fn rest(order: &Value) -> Option<Mark> {
    let mut order = order.clone();
    let mut take = |pointer: &str, names: &[&str]| {
        if let Some(Value::Object(members)) = order.pointer_mut(pointer) {
            names.iter().for_each(|name| drop(members.remove(*name)));
        }
    };
    take("", &["update_time", "status", "present_note"]);
    take("/order_present_info", &["present_note"]);
    take("/order_detail", &["pay_info", "commission_infos", "sharer_info", "sku_sharer_infos", "settle_info"]);
    take("/order_detail/ext_info", &["merchant_notes", "confirm_receipt_time"]);
    take(
        "/order_detail/delivery_info",
        &["address_info", "address_under_review", "address_apply_time", "delivery_product_info", "ship_done_time"],
    );
    Mark::of(Some(&order))
}
