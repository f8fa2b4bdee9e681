//! Every operation: its happy path with what it changes and raises, and its main refusals. A file for each group.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod address;
mod bodies;
mod delivery;
mod editing;
mod numbers;
mod reading;
#[allow(dead_code)]
#[path = "../receiver/mod.rs"]
mod receiver;
mod sku;

use fangshi_platform::{NewItem, NewOrder, Step};
use receiver::Stage;
use serde_json::{Value, json};

const GET: &str = "/channels/ec/order/get";
const SEND: &str = "/channels/ec/order/delivery/send";
const DECODE: &str = "/channels/ec/order/sensitiveinfo/decode";

fn item(sku: &str, count: i64, price: i64) -> NewItem {
    NewItem { sku_id: sku.to_owned(), sku_cnt: count, sale_price: price, ..NewItem::default() }
}

fn order_of(items: Vec<NewItem>) -> NewOrder {
    NewOrder { items, ..NewOrder::default() }
}

impl Stage {
    fn placed(&self, new: NewOrder) -> String {
        self.platform.add_order(&self.shop.appid, new).unwrap()
    }

    fn paid(&self, new: NewOrder) -> String {
        let id = self.placed(new);
        self.drive(&id, Step::Pay);
        id
    }

    fn drive(&self, id: &str, step: Step) {
        self.platform.drive(id, step).unwrap();
    }

    fn shown(&self, id: &str) -> Value {
        self.platform.order(id).unwrap()
    }
}

fn pack(waybill: &str, sku: &str, count: i64) -> Value {
    let product = NewItem::default().product_id;
    json!({"delivery_id": "SF", "waybill_id": waybill, "deliver_type": 1,
        "product_infos": [{"product_id": product, "sku_id": sku, "product_cnt": count}]})
}
