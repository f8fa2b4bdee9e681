//! Fulfilment: shipping, packages, couriers, compensation, fresh goods.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::operations::Call;
use crate::orders::shipping::{COMPANIES, Package, PackageChange};
use crate::refusal::Refusal;

pub(super) fn send(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let id = call.order_id()?;
    let packages: Vec<Package> = call.input.shaped("delivery_list")?.unwrap_or_default();
    call.state.ship(&id, &packages, call.now_ms)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
struct Change {
    old: Package,
    new: Package,
}

pub(super) fn change(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let id = call.order_id()?;
    let list: Option<Vec<Package>> = call.input.shaped("delivery_list")?;
    let changes: Option<Vec<Change>> = call.input.shaped("change_infos")?;
    let change = match (list, changes) {
        (Some(list), None) => match <[Package; 1]>::try_from(list) {
            Ok([package]) => PackageChange::Whole(package),
            Err(_) => return Err(Refusal::argument("delivery_list takes the whole order in one package")),
        },
        (None, Some(changes)) if !changes.is_empty() => {
            PackageChange::Parts(changes.into_iter().map(|c| (c.old, c.new)).collect())
        }
        _ => return Err(Refusal::argument("either delivery_list or change_infos is needed")),
    };
    call.state.change_packages(&id, change, call.now_ms)?;
    Ok(json!({}))
}

pub(super) fn companies(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let ewaybill_only = call.input.opt_bool("ewaybill_only")?.unwrap_or(false);
    Ok(json!({"company_list": list(ewaybill_only)}))
}

pub(super) fn companies_old(_call: &mut Call<'_>) -> Result<Value, Refusal> {
    Ok(json!({"company_list": list(false)}))
}

fn list(ewaybill_only: bool) -> Vec<Value> {
    COMPANIES
        .iter()
        .filter(|(_, _, ewaybill)| *ewaybill || !ewaybill_only)
        .map(|(id, name, _)| json!({"delivery_id": id, "delivery_name": name}))
        .collect()
}

pub(super) fn compensation(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let id = call.order_id()?;
    call.input.number("reason")?;
    let packages: Vec<Package> = call.input.shaped("delivery_list")?.unwrap_or_default();
    call.state.compensate(&id, &packages, call.now_ms)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
struct AuditItem {
    item_name: String,
    item_value: String,
}

/// For `quality_inspect_type` 2 only. The value of `inspect_status` is unconfirmed (platform page 8.6): 1 here.
pub(super) fn fresh_inspection(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let id = call.order_id()?;
    let items: Vec<AuditItem> = call.input.shaped("audit_items")?.unwrap_or_default();
    if items.is_empty() || items.iter().any(|i| i.item_name.is_empty() || i.item_value.is_empty()) {
        return Err(Refusal::argument("audit_items is missing or has empty members"));
    }
    let now_ms = call.now_ms;
    let order = call.own(&id)?;
    // An SDK has the type as a text: both are met.
    let inspect_type = &order.doc["order_detail"]["delivery_info"]["quality_inspect_type"];
    if inspect_type != &json!(2) && inspect_type != &json!("2") {
        return Err(Refusal::not_now("the order needs no inspection of fresh goods"));
    }
    order.delivery()["quality_inspect_info"]["inspect_status"] = json!(1);
    order.touch(now_ms);
    Ok(json!({}))
}
