//! Placing an order: the document of a fresh one.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::message::OrderEvent;
use crate::orders::address::Address;
use crate::orders::chart;
use crate::orders::order::{Kind, Order};
use crate::state::State;

/// One sku of a new order.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct NewItem {
    /// Product id.
    pub product_id: String,
    /// Sku id.
    pub sku_id: String,
    /// The merchant's code of the sku.
    pub sku_code: String,
    /// Title.
    pub title: String,
    /// Units.
    pub sku_cnt: i64,
    /// Price of a unit in 分.
    pub sale_price: i64,
}

impl Default for NewItem {
    fn default() -> Self {
        NewItem {
            product_id: "10000154828123".to_owned(),
            sku_id: "3616331648".to_owned(),
            sku_code: "MIC4007".to_owned(),
            title: "Xbox无线控制器".to_owned(),
            sku_cnt: 1,
            sale_price: 39_800,
        }
    }
}

/// What makes an order a gift.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NewPresent {
    /// Orders of one gift share it; empty: drawn.
    pub present_order_id: String,
    /// Who pays.
    pub giver_openid: String,
    /// 0 chat, 1 group, …
    pub send_type: i64,
    /// The giver's words.
    pub note: String,
    /// A free gift of the merchant: pay_info then holds only payment_method.
    pub free: bool,
}

/// An order to be placed. Everything has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct NewOrder {
    /// 19 digits; none: drawn, and never representable as an f64.
    pub order_id: Option<String>,
    /// The buyer; empty: drawn.
    pub openid: String,
    /// What is bought.
    pub items: Vec<NewItem>,
    /// To whom.
    pub address: Address,
    /// Freight in 分.
    pub freight: i64,
    /// A coupon that the platform pays, in 分.
    pub cash_coupon: i64,
    /// The buyer's note.
    pub customer_notes: String,
    /// 0 courier, 1 no courier.
    pub deliver_method: i64,
    /// 0 none, 1 jewellery, 2 fresh goods.
    pub quality_inspect_type: i64,
    /// Set for a gift.
    pub present: Option<NewPresent>,
    /// 一起买.
    pub group: bool,
    /// Main virtual number that decoding will give; none: drawn.
    pub virtual_main_number: Option<String>,
}

impl Default for NewOrder {
    fn default() -> Self {
        NewOrder {
            order_id: None,
            openid: String::new(),
            items: vec![NewItem::default()],
            address: Address::default(),
            freight: 0,
            cash_coupon: 0,
            customer_notes: String::new(),
            deliver_method: 0,
            quality_inspect_type: 0,
            present: None,
            group: false,
            virtual_main_number: None,
        }
    }
}

impl NewOrder {
    /// One unit of one sku at this price (分).
    pub fn priced(sale_price: i64) -> Self {
        NewOrder { items: vec![NewItem { sale_price, ..NewItem::default() }], ..NewOrder::default() }
    }
}

impl State {
    /// Places an order: status 10 and its event.
    pub(crate) fn place(&mut self, appid: &str, new: NewOrder, now_ms: i64) -> Result<String, String> {
        if !self.shops.contains_key(appid) {
            return Err(format!("no shop {appid}"));
        }
        let id = new.order_id.clone().unwrap_or_else(|| self.draw_order_id());
        if self.orders.contains_key(&id) {
            return Err(format!("order {id} exists already"));
        }
        let kind = match (&new.present, new.group) {
            (Some(_), _) => Kind::Present,
            (None, true) => Kind::Group,
            (None, false) => Kind::Ordinary,
        };
        let mut doc = document(&id, &new, now_ms / 1000);
        if new.openid.is_empty() {
            doc["openid"] = json!(self.dice.letters(28));
        }
        if let Some(present) = &new.present {
            let present_id = match present.present_order_id.as_str() {
                "" => self.draw_order_id(),
                given => given.to_owned(),
            };
            doc["is_present"] = json!(true);
            doc["present_order_id_str"] = json!(present_id);
            doc["present_note"] = json!(present.note);
            doc["present_giver_openid"] = json!(present.giver_openid);
            doc["present_send_type"] = json!(present.send_type);
            doc["order_present_info"] = json!({
                "present_send_type": present.send_type,
                "present_order_id_str": present_id,
                "present_note": present.note,
                "present_giver_openid": present.giver_openid,
                "is_b2c_free_present": present.free,
            });
        }
        // A gift has no recipient before it is accepted.
        let address = if kind == Kind::Present { Address::empty() } else { new.address };
        let mut shown = address.masked(appid);
        shown["use_tel_number"] = json!(0);
        doc["order_detail"]["delivery_info"]["address_info"] = shown;
        let order = Order {
            id: id.clone(),
            appid: appid.to_owned(),
            doc,
            kind,
            address,
            next_main_number: new.virtual_main_number,
            applied_again: false,
            price_changes: 0,
            address_changes: 0,
            delivery_changes: 0,
            proposal: None,
            request: None,
            audit: None,
            changed_ms: 0,
            lag_until_ms: 0,
        };
        self.orders.insert(id.clone(), order);
        self.raise(&id, OrderEvent::New, now_ms);
        Ok(id)
    }

    /// Loads an order as it is, without any event.
    pub(crate) fn load(&mut self, appid: &str, doc: Value, address: Address) -> Result<String, String> {
        if !self.shops.contains_key(appid) {
            return Err(format!("no shop {appid}"));
        }
        let id = crate::orders::order::check(&doc)?;
        if self.orders.contains_key(&id) {
            return Err(format!("order {id} exists already"));
        }
        let kind = if doc["is_present"] == json!(true) { Kind::Present } else { Kind::Ordinary };
        let order = Order {
            id: id.clone(),
            appid: appid.to_owned(),
            doc,
            kind,
            address,
            next_main_number: None,
            applied_again: false,
            price_changes: 0,
            address_changes: 0,
            delivery_changes: 0,
            proposal: None,
            request: None,
            audit: None,
            changed_ms: 0,
            lag_until_ms: 0,
        };
        self.orders.insert(id.clone(), order);
        Ok(id)
    }

    /// Ids as the real ones: 19 digits above 2^53, and odd, so that any way through an f64 changes them.
    fn draw_order_id(&mut self) -> String {
        let step = 256 * (1 + self.dice.below(4096));
        self.last_order_id += step;
        (self.last_order_id | 1).to_string()
    }
}

fn document(id: &str, new: &NewOrder, now_s: i64) -> Value {
    let product_price: i64 = new.items.iter().map(|item| item.sale_price * item.sku_cnt).sum();
    let original = product_price + new.freight;
    let order_price = (original - new.cash_coupon).max(0);
    let mut coupon_left = new.cash_coupon;
    let products: Vec<Value> = new
        .items
        .iter()
        .enumerate()
        .map(|(at, item)| {
            let total = item.sale_price * item.sku_cnt;
            let coupon = coupon_left.min(total);
            coupon_left -= coupon;
            json!({
                "product_id": item.product_id, "sku_id": item.sku_id, "sku_code": item.sku_code, "title": item.title,
                "thumb_img": "", "sku_cnt": item.sku_cnt, "sale_price": item.sale_price, "market_price": item.sale_price,
                "real_price": total - coupon, "estimate_price": total - coupon, "sku_attrs": [],
                "on_aftersale_sku_cnt": 0, "finish_aftersale_sku_cnt": 0, "out_warehouse_id": "",
                "sku_deliver_info": {"stock_type": 0},
                "extra_service": {"seven_day_return": 1, "freight_insurance": 0},
                "voucher_list": [], "order_product_coupon_info_list": [], "package_sku_list": [],
                "merchant_discounted_price": 0, "finder_discounted_price": 0, "cash_coupon_discounted_price": coupon,
                "product_unique_id": format!("{id}_{:03}", at + 1), "is_flash_sale": false,
            })
        })
        .collect();
    let mut delivery = json!({
        "address_info": {}, "delivery_product_info": [], "ship_done_time": 0, "deliver_method": new.deliver_method,
        "ewaybill_order_code": format!("ewaybill-{id}"),
    });
    if new.quality_inspect_type != 0 {
        delivery["quality_inspect_type"] = json!(new.quality_inspect_type);
        delivery["quality_inspect_info"] = json!({"inspect_status": 0});
    }
    json!({
        "order_id": id,
        "create_time": now_s,
        "update_time": now_s,
        "status": chart::UNPAID,
        "openid": new.openid,
        "is_flash_sale_order": false,
        "aftersale_detail": {"aftersale_order_list": [], "on_aftersale_order_cnt": 0},
        "order_detail": {
            "product_infos": products,
            "pay_info": {},
            "price_info": {
                "product_price": product_price, "order_price": order_price, "freight": new.freight,
                "original_order_price": original, "estimate_product_price": product_price - new.cash_coupon,
                "merchant_receieve_price": original, "merchant_discounted_price": 0, "finder_discounted_price": 0,
                "cash_coupon_discounted_price": new.cash_coupon,
            },
            "delivery_info": delivery,
            "ext_info": {
                "customer_notes": new.customer_notes, "merchant_notes": "", "order_scene": 1,
                "commission_handling_progress": 1,
            },
            "commission_infos": [],
            // The real order: 2 % of its price.
            "settle_info": {"predict_commission_fee": order_price / 50},
            "sku_sharer_infos": [],
            "source_infos": [],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arithmetic_is_that_of_the_real_order() {
        let doc = document("1", &NewOrder { cash_coupon: 1000, ..NewOrder::default() }, 0);
        let real: Value = serde_json::from_str(include_str!("../../fixtures/getorder-before.json")).unwrap();
        let real = &real["order"]["order_detail"];
        assert_eq!(doc["order_detail"]["price_info"], real["price_info"]);
        assert_eq!(doc["order_detail"]["settle_info"], real["settle_info"]);
        assert_eq!(doc["order_detail"]["product_infos"][0]["real_price"], real["product_infos"][0]["real_price"]);
    }
}
