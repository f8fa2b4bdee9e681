//! The merchant's note and the price.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::message::OrderEvent;
use crate::operations::Call;
use crate::orders::chart;
use crate::refusal::Refusal;

const MOST_PRICE_CHANGES: u32 = 50;

pub(super) fn notes(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let id = call.order_id()?;
    let notes = call.input.text("merchant_notes")?;
    call.state.write_note(&id, notes, call.now_ms)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
struct PriceChange {
    product_id: String,
    sku_id: String,
    change_price: i64,
}

/// Only while unpaid, only lower; `change_price` is the new total of the sku. Raises type 12.
pub(super) fn price(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let id = call.order_id()?;
    let changes: Vec<PriceChange> = call.input.shaped("change_order_infos")?.unwrap_or_default();
    let express = call.input.opt_bool("change_express")?.unwrap_or(false);
    let fee = if express { Some(call.input.opt_number("express_fee")?.unwrap_or(0)) } else { None };
    if changes.is_empty() && fee.is_none() {
        return Err(Refusal::argument("nothing to change"));
    }
    let now_ms = call.now_ms;
    let order = call.own(&id)?;
    if order.status() != chart::UNPAID {
        return Err(Refusal::state("the price can be changed before payment only"));
    }
    if order.price_changes >= MOST_PRICE_CHANGES {
        return Err(Refusal::new(108022, "the price was changed 50 times"));
    }

    // The new totals: skus left out keep theirs.
    let mut totals = BTreeMap::new();
    let (mut was, mut becomes) = (0, 0);
    for product in order.products() {
        let original = product["sale_price"].as_i64().unwrap_or(0) * product["sku_cnt"].as_i64().unwrap_or(0);
        let present = product["change_price"].as_i64().unwrap_or(original);
        let key = (
            product["product_id"].as_str().unwrap_or("").to_owned(),
            product["sku_id"].as_str().unwrap_or("").to_owned(),
        );
        was += original;
        becomes += present;
        totals.insert(key, (original, present, None));
    }
    for change in &changes {
        let key = (change.product_id.clone(), change.sku_id.clone());
        let (original, present, next) =
            totals.get_mut(&key).ok_or_else(|| Refusal::argument("product_id or sku_id is not of this order"))?;
        if change.change_price < 0 || change.change_price > *original {
            return Err(Refusal::new(108021, "change_price is above the original price"));
        }
        becomes += change.change_price - *present;
        *present = change.change_price;
        *next = Some(change.change_price);
    }
    let info = &order.doc["order_detail"]["price_info"];
    let freight = info["freight"].as_i64().unwrap_or(0);
    let freight_now = fee.or(info["change_freight"].as_i64()).unwrap_or(freight);
    if freight_now < 0 || freight_now > freight {
        return Err(Refusal::new(108021, "express_fee is above the original freight"));
    }
    let number = |name: &str| info[name].as_i64().unwrap_or(0);
    let coupon = number("cash_coupon_discounted_price");
    let discounts = number("discounted_price") + number("deduction_price");
    let order_price = becomes + freight_now - coupon - discounts;
    if order_price <= 0 {
        return Err(Refusal::new(108023, "the order's price would be 0"));
    }
    let down = was - becomes;
    let receive = number("original_order_price") - discounts - down - (freight - freight_now);

    for product in order.products_mut() {
        let key = (
            product["product_id"].as_str().unwrap_or("").to_owned(),
            product["sku_id"].as_str().unwrap_or("").to_owned(),
        );
        let Some((_, _, Some(next))) = totals.get(&key) else { continue };
        let coupon = product["cash_coupon_discounted_price"].as_i64().unwrap_or(0);
        product["is_change_price"] = json!(true);
        product["change_price"] = json!(next);
        product["real_price"] = json!((next - coupon).max(0));
    }
    let info = &mut order.detail()["price_info"];
    info["order_price"] = json!(order_price);
    info["change_down_price"] = json!(down);
    info["merchant_receieve_price"] = json!(receive);
    if fee.is_some() {
        info["is_change_freight"] = json!(true);
        info["change_freight"] = json!(freight_now);
    }
    order.price_changes += 1;
    order.touch(now_ms);
    call.state.raise(&id, OrderEvent::ExtInfo { ext_type: 12 }, now_ms);
    Ok(json!({}))
}
