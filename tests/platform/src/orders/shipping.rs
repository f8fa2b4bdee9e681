//! Shipping: packages, what is left to ship, and changes to packages.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::message::OrderEvent;
use crate::orders::order::Order;
use crate::orders::{chart, sku};
use crate::refusal::Refusal;
use crate::state::State;

/// The couriers that the fake knows: id, name, electronic waybills.
pub const COMPANIES: [(&str, &str, bool); 8] = [
    ("SF", "顺丰速运", true),
    ("ZTO", "中通快递", true),
    ("YTO", "圆通速递", true),
    ("YD", "韵达速递", true),
    ("STO", "申通快递", true),
    ("JD", "京东快递", true),
    ("EMS", "EMS", false),
    ("DBL", "德邦快递", false),
];

/// Units of one sku in a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// Product id.
    pub product_id: String,
    /// Sku id.
    pub sku_id: String,
    /// Units.
    pub product_cnt: i64,
}

/// One package, with the platform's member names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Courier; `OTHER` for one that is not listed, empty for deliver_type 3.
    #[serde(default)]
    pub delivery_id: String,
    /// Waybill; empty for deliver_type 3.
    #[serde(default)]
    pub waybill_id: String,
    /// 1 own courier, 3 virtual goods.
    #[serde(default = "own_courier")]
    pub deliver_type: i64,
    /// What is in it.
    #[serde(default)]
    pub product_infos: Vec<Packed>,
}

fn own_courier() -> i64 {
    1
}

fn company(delivery_id: &str) -> Option<&'static str> {
    if delivery_id == "OTHER" {
        return Some("其他");
    }
    COMPANIES.iter().find(|(id, _, _)| *id == delivery_id).map(|(_, name, _)| *name)
}

impl Package {
    fn check(&self, order: &Order) -> Result<(), Refusal> {
        match self.deliver_type {
            1 => {
                company(&self.delivery_id).ok_or_else(|| Refusal::new(606004, "delivery_id is not known"))?;
                let proper = self.waybill_id.len() >= 4
                    && self.waybill_id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
                if !proper {
                    return Err(Refusal::new(606005, "waybill_id is not proper"));
                }
            }
            3 => {
                if order.deliver_method() != 1 {
                    return Err(Refusal::argument("deliver_type 3 needs deliver_method 1"));
                }
                if !self.delivery_id.is_empty() {
                    return Err(Refusal::new(606004, "deliver_type 3 takes no delivery_id"));
                }
                if !self.waybill_id.is_empty() {
                    return Err(Refusal::new(606005, "deliver_type 3 takes no waybill_id"));
                }
            }
            _ => return Err(Refusal::argument("deliver_type must be 1 or 3")),
        }
        if self.product_infos.is_empty() {
            return Err(Refusal::new(606042, "a package without products"));
        }
        Ok(())
    }

    fn shown(&self, now_s: i64) -> Value {
        json!({
            "waybill_id": self.waybill_id, "delivery_id": self.delivery_id,
            "delivery_name": company(&self.delivery_id).unwrap_or(""), "delivery_time": now_s,
            "deliver_type": self.deliver_type, "product_infos": self.product_infos,
        })
    }
}

/// Units of each sku that are still to be shipped.
fn left(order: &Order) -> Vec<Packed> {
    let mut left: Vec<Packed> = order
        .products()
        .iter()
        .map(|p| Packed {
            product_id: p["product_id"].as_str().unwrap_or("").to_owned(),
            sku_id: p["sku_id"].as_str().unwrap_or("").to_owned(),
            product_cnt: p["sku_cnt"].as_i64().unwrap_or(0),
        })
        .collect();
    for package in packages(order) {
        for packed in package.product_infos {
            if let Some(item) = find(&mut left, &packed) {
                item.product_cnt -= packed.product_cnt;
            }
        }
    }
    left
}

fn packages(order: &Order) -> Vec<Package> {
    let shown = order.doc["order_detail"]["delivery_info"]["delivery_product_info"].as_array();
    shown.into_iter().flatten().filter_map(|p| serde_json::from_value(p.clone()).ok()).collect()
}

fn find<'a>(items: &'a mut [Packed], wanted: &Packed) -> Option<&'a mut Packed> {
    items.iter_mut().find(|i| i.product_id == wanted.product_id && i.sku_id == wanted.sku_id)
}

/// Takes packed units from a stock: 606031 if they are not of this order, 606042 if they are too many.
fn take(stock: &mut [Packed], packed: &[Packed]) -> Result<(), Refusal> {
    for item in packed {
        let have =
            find(stock, item).ok_or_else(|| Refusal::new(606031, "product_id or sku_id is not of this order"))?;
        if item.product_cnt < 1 || item.product_cnt > have.product_cnt {
            return Err(Refusal::new(606042, "product_cnt is wrong"));
        }
        have.product_cnt -= item.product_cnt;
    }
    Ok(())
}

fn set_packages(order: &mut Order, shown: Vec<Value>) {
    order.delivery()["delivery_product_info"] = Value::Array(shown);
}

fn add_packages(order: &mut Order, added: Vec<Value>) {
    let mut shown = order.delivery()["delivery_product_info"].as_array().cloned().unwrap_or_default();
    shown.extend(added);
    set_packages(order, shown);
}

impl State {
    /// Ships packages: to 21, or to 30 when nothing is left; the event follows each call.
    pub(crate) fn ship(&mut self, id: &str, packages: &[Package], now_ms: i64) -> Result<(), Refusal> {
        let now_s = now_ms / 1000;
        let order = self.order(id)?;
        if order.products().iter().any(|p| p["dropship_info"].is_object()) {
            return Err(Refusal::new(606034, "the order is bound to another provider"));
        }
        if !matches!(order.status(), chart::TO_SHIP | chart::PARTLY_SHIPPED) {
            return Err(Refusal::state(format!("order status {} does not allow shipping", order.status())));
        }
        if sku::is_pending(order) {
            return Err(Refusal::state("存在换款请求禁止发货"));
        }
        if packages.is_empty() {
            return Err(Refusal::argument("delivery_list is empty"));
        }
        let mut stock = left(order);
        for package in packages {
            package.check(order)?;
            take(&mut stock, &package.product_infos)?;
        }
        let complete = stock.iter().all(|item| item.product_cnt == 0);
        add_packages(order, packages.iter().map(|p| p.shown(now_s)).collect());
        // The real order shows update_time one second after its delivery_time: two writes.
        order.touch(now_ms);
        if complete {
            order.go(chart::SHIPPED, now_ms)?;
            order.delivery()["ship_done_time"] = json!(now_s);
        } else if order.status() == chart::TO_SHIP {
            order.go(chart::PARTLY_SHIPPED, now_ms)?;
        }
        self.raise(id, OrderEvent::Deliver { finish_delivery: i64::from(complete) }, now_ms);
        self.lapse_by_shipping(id, now_ms);
        Ok(())
    }

    /// Everything that is left, in one package.
    pub(crate) fn ship_all(
        &mut self,
        id: &str,
        delivery_id: &str,
        waybill_id: &str,
        now_ms: i64,
    ) -> Result<(), Refusal> {
        let order = self.order(id)?;
        let product_infos = left(order).into_iter().filter(|item| item.product_cnt > 0).collect();
        let deliver_type = if order.deliver_method() == 1 { 3 } else { 1 };
        let package = Package {
            delivery_id: delivery_id.to_owned(),
            waybill_id: waybill_id.to_owned(),
            deliver_type,
            product_infos,
        };
        self.ship(id, &[package], now_ms)
    }

    /// Replaces all packages by one, or moves units from one package to another.
    pub(crate) fn change_packages(&mut self, id: &str, change: PackageChange, now_ms: i64) -> Result<(), Refusal> {
        let now_s = now_ms / 1000;
        let order = self.order(id)?;
        if !matches!(order.status(), chart::PARTLY_SHIPPED | chart::SHIPPED) {
            return Err(Refusal::state("only a shipped order's packages can be changed"));
        }
        if order.delivery_changes >= 3 {
            return Err(Refusal::new(606041, "the packages were changed three times"));
        }
        let mut now = packages(order);
        match change {
            PackageChange::Whole(mut whole) => {
                let mut shipped: Vec<Packed> = Vec::new();
                for packed in now.iter().flat_map(|p| &p.product_infos) {
                    match find(&mut shipped, packed) {
                        Some(item) => item.product_cnt += packed.product_cnt,
                        None => shipped.push(packed.clone()),
                    }
                }
                if whole.product_infos.is_empty() {
                    whole.product_infos = shipped;
                } else {
                    take(&mut shipped, &whole.product_infos)?;
                    if shipped.iter().any(|item| item.product_cnt > 0) {
                        return Err(Refusal::new(606042, "delivery_list must hold all that was shipped"));
                    }
                }
                whole.check(order)?;
                now = vec![whole];
            }
            PackageChange::Parts(parts) => {
                for (old, new) in parts {
                    new.check(order)?;
                    let package = now
                        .iter_mut()
                        .find(|p| p.delivery_id == old.delivery_id && p.waybill_id == old.waybill_id)
                        .ok_or_else(|| Refusal::new(606040, "the old package is not known"))?;
                    take(&mut package.product_infos, &new.product_infos)?;
                    package.product_infos.retain(|item| item.product_cnt > 0);
                    now.push(new);
                    now.retain(|p| !p.product_infos.is_empty());
                }
            }
        }
        order.delivery_changes += 1;
        set_packages(order, now.iter().map(|p| p.shown(now_s)).collect());
        order.touch(now_ms);
        Ok(())
    }

    /// A package sent again after shipping. No event is documented for it.
    pub(crate) fn compensate(&mut self, id: &str, packages: &[Package], now_ms: i64) -> Result<(), Refusal> {
        let order = self.order(id)?;
        if order.status() != chart::SHIPPED {
            return Err(Refusal::state("only a shipped order can be sent again"));
        }
        if packages.is_empty() {
            return Err(Refusal::argument("delivery_list is empty"));
        }
        for package in packages {
            package.check(order)?;
            for packed in &package.product_infos {
                let known = order.products().iter().any(|p| p["sku_id"] == json!(packed.sku_id));
                if !known {
                    return Err(Refusal::new(606031, "product_id or sku_id is not of this order"));
                }
            }
        }
        let shown: Vec<Value> = packages.iter().map(|p| p.shown(now_ms / 1000)).collect();
        add_packages(order, shown);
        order.touch(now_ms);
        Ok(())
    }
}

/// The two forms of `changedeliveryinfo`.
pub(crate) enum PackageChange {
    /// `delivery_list`: the whole order in one package.
    Whole(Package),
    /// `change_infos`: from old to new, splitting allowed.
    Parts(Vec<(Package, Package)>),
}
