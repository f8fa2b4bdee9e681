//! The API: one table of paths, and the way of a call through token, permission, quota and the operation itself.
//!
//! Each file holds a group of operations as functions from a [`Call`] to an answer.

mod address;
mod authorization;
mod decode;
mod delivery;
mod edit;
pub(crate) mod input;
mod phones;
mod presents;
mod quota;
mod read;
mod sku;

use serde_json::{Value, json};

use crate::operations::input::Input;
use crate::orders::order::Order;
use crate::refusal::Refusal;
use crate::shops::{ORDERS_SET, SHOP_SET, Shop, ShopKind};
use crate::state::State;
use crate::tokens::{Bearer, Holder};

/// Which token a path takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// None: the request brings its own credentials.
    Open,
    /// The component's.
    Component,
    /// A shop's that grants this permission set.
    Shop(u16),
    /// Any shop's.
    AnyShop,
}

/// One row of the table.
pub(crate) struct Operation {
    pub path: &'static str,
    pub name: &'static str,
    pub access: Access,
    /// Whether it changes something: for the ledger, and for 100003.
    pub changes: bool,
    pub run: fn(&mut Call<'_>) -> Result<Value, Refusal>,
}

/// A call that passed token, permission and quota.
pub(crate) struct Call<'a> {
    pub state: &'a mut State,
    /// The calling shop; empty for open and component paths.
    pub appid: String,
    pub input: Input<'a>,
    pub now_ms: i64,
    /// False if a changing operation found nothing to change.
    pub changed: bool,
    /// Name of a token that the answer issues.
    pub issued: Option<String>,
}

impl Call<'_> {
    /// The calling shop's order that the request names: 100002 for any other.
    pub(crate) fn order_id(&mut self) -> Result<String, Refusal> {
        let id = self.input.id("order_id")?;
        self.own(&id)?;
        Ok(id)
    }

    /// An order, if it is the calling shop's.
    pub(crate) fn own(&mut self, id: &str) -> Result<&mut Order, Refusal> {
        let appid = &self.appid;
        self.state.orders.get_mut(id).filter(|o| o.appid == *appid).ok_or_else(Refusal::no_order)
    }
}

const fn shop(path: &'static str, name: &'static str, run: fn(&mut Call<'_>) -> Result<Value, Refusal>) -> Operation {
    Operation { path, name, access: Access::Shop(ORDERS_SET), changes: false, run }
}

const fn effect(path: &'static str, name: &'static str, run: fn(&mut Call<'_>) -> Result<Value, Refusal>) -> Operation {
    Operation { path, name, access: Access::Shop(ORDERS_SET), changes: true, run }
}

const fn phone(
    path: &'static str,
    name: &'static str,
    changes: bool,
    run: fn(&mut Call<'_>) -> Result<Value, Refusal>,
) -> Operation {
    Operation { path, name, access: Access::Shop(SHOP_SET), changes, run }
}

const fn component(
    path: &'static str,
    name: &'static str,
    access: Access,
    run: fn(&mut Call<'_>) -> Result<Value, Refusal>,
) -> Operation {
    Operation { path, name, access, changes: true, run }
}

/// Every path of the fake. The 22 of the guide first, then fulfilment, then tokens and quotas.
pub(crate) const TABLE: [Operation; 37] = [
    shop("/channels/ec/order/list/get", "getorderlist", read::list),
    shop("/channels/ec/order/get", "getorder", read::get),
    shop("/channels/ec/order/search", "searchorder", read::search),
    effect("/channels/ec/order/price/update", "changeorderprice", edit::price),
    effect("/channels/ec/order/merchantnotes/update", "changemerchantnotes", edit::notes),
    effect("/channels/ec/order/address/update", "changeorderaddress", address::change),
    effect("/channels/ec/order/deliveryinfo/update", "changedeliveryinfo", delivery::change),
    effect("/channels/ec/order/addressmodify/accept", "acceptorderaddressmodifyapply", address::accept),
    effect("/channels/ec/order/addressmodify/reject", "rejectorderaddressmodifyapply", address::reject),
    effect("/channels/ec/order/presentnote/add", "presentnote", presents::note),
    shop("/channels/ec/order/presentsuborder/get", "getpresentsuborder", presents::orders),
    shop("/channels/ec/order/preshipmentchangesku/get", "getpreshipmentchangeskuwaithandlelist", sku::waiting),
    effect("/channels/ec/order/preshipmentchangesku/approve", "approvepreshipmentchangesku", sku::approve),
    effect("/channels/ec/order/preshipmentchangesku/reject", "rejectpreshipmentchangesku", sku::reject),
    effect("/channels/ec/order/sensitiveinfo/decode", "decodesensitiveinfo", decode::decode),
    effect("/channels/ec/order/realnumber/apply", "applyrealnumber", decode::apply_real_number),
    shop("/channels/ec/order/realnumberviewaudit/get", "getrealnumberviewaudit", decode::real_number_audit),
    effect("/channels/ec/order/virtualnumber/applyagain", "applyvirtualnumberagain", decode::apply_again),
    effect("/channels/ec/order/virtualnumber/delay", "delayvirtualnumber", decode::delay),
    phone("/channels/ec/merchant/privatenumber/sendverifycode", "privatenumbersendverifycode", true, phones::send_code),
    phone("/channels/ec/merchant/privatenumber/addphone", "privatenumberaddphone", true, phones::add),
    phone("/channels/ec/merchant/privatenumber/getphone", "privatenumbergetshopphone", false, phones::status),
    effect("/channels/ec/order/delivery/send", "delivery/send", delivery::send),
    shop("/channels/ec/order/deliverycompanylist/new/get", "deliverycompanylist/new", delivery::companies),
    shop("/channels/ec/order/deliverycompanylist/get", "deliverycompanylist", delivery::companies_old),
    effect("/channels/ec/order/delivery/compensation", "delivery/compensation", delivery::compensation),
    effect("/channels/ec/order/freshinspect/submit", "freshinspect/submit", delivery::fresh_inspection),
    component(
        "/cgi-bin/component/api_start_push_ticket",
        "api_start_push_ticket",
        Access::Open,
        authorization::start_push_ticket,
    ),
    component(
        "/cgi-bin/component/api_component_token",
        "api_component_token",
        Access::Open,
        authorization::component_token,
    ),
    component(
        "/cgi-bin/component/api_create_preauthcode",
        "api_create_preauthcode",
        Access::Component,
        authorization::pre_auth_code,
    ),
    component("/cgi-bin/component/api_query_auth", "api_query_auth", Access::Component, authorization::query_auth),
    component(
        "/cgi-bin/component/api_authorizer_token",
        "api_authorizer_token",
        Access::Component,
        authorization::authorizer_token,
    ),
    Operation {
        path: "/cgi-bin/component/api_get_authorizer_info",
        name: "api_get_authorizer_info",
        access: Access::Component,
        changes: false,
        run: authorization::authorizer_info,
    },
    Operation {
        path: "/cgi-bin/component/api_get_authorizer_list",
        name: "api_get_authorizer_list",
        access: Access::Component,
        changes: false,
        run: authorization::authorizer_list,
    },
    component("/cgi-bin/stable_token", "getStableAccessToken", Access::Open, authorization::stable_token),
    Operation {
        path: "/cgi-bin/openapi/quota/get",
        name: "quota/get",
        access: Access::AnyShop,
        changes: false,
        run: quota::get,
    },
    component("/cgi-bin/clear_quota", "clear_quota", Access::AnyShop, quota::clear),
];

/// The row of a path.
pub(crate) fn find(path: &str) -> Option<&'static Operation> {
    TABLE.iter().find(|operation| operation.path == path)
}

/// Whether this token may call this path, and for which shop ("" for none).
pub(crate) fn admit(
    state: &State,
    operation: &Operation,
    token: &str,
    bearer: Option<&Bearer>,
    verdict: Result<(), Refusal>,
) -> Result<String, Refusal> {
    let set = match operation.access {
        Access::Open => return Ok(String::new()),
        Access::Component => {
            verdict?;
            return match bearer.map(|b| &b.holder) {
                Some(Holder::Component) => Ok(String::new()),
                _ => Err(Refusal::new(61014, "must use component token for component api")),
            };
        }
        Access::Shop(set) => Some(set),
        Access::AnyShop => None,
    };
    // A revoked shop's token says 61003 even if it is over.
    if holder_shop(state, bearer).is_some_and(|shop| !shop.authorized) {
        return Err(Refusal::new(61003, "component is not authorized by this account"));
    }
    verdict?;
    let Some(shop) = holder_shop(state, bearer) else {
        let why = if token.is_empty() { 41001 } else { 48001 };
        return Err(Refusal::new(why, "api unauthorized"));
    };
    match set {
        Some(set) if !shop.permission_sets.contains(&set) => match shop.kind {
            ShopKind::Authorized => Err(Refusal::new(61007, "api is unauthorized to component")),
            ShopKind::SelfBuilt => Err(Refusal::new(48001, "api unauthorized")),
        },
        _ => Ok(shop.appid.clone()),
    }
}

fn holder_shop<'a>(state: &'a State, bearer: Option<&Bearer>) -> Option<&'a Shop> {
    state.shops.get(bearer?.holder.appid()?)
}

/// Carries a call out and makes its answer: `errcode` 0 is added for shops, left out for component calls.
pub(crate) fn carry_out(operation: &'static Operation, call: &mut Call<'_>) -> Result<Value, Refusal> {
    if operation.changes && matches!(operation.access, Access::Shop(ORDERS_SET)) {
        let gap_ms = call.state.settings.change_gap_ms;
        let (id, now_ms) = (call.input.order_id(), call.now_ms);
        let order = id.and_then(|id| call.own(&id).ok());
        if order.is_some_and(|order| gap_ms > 0 && now_ms - order.changed_ms < gap_ms) {
            return Err(Refusal::new(100003, "order updated too often, retry later"));
        }
    }
    let mut answer = (operation.run)(call)?;
    if matches!(operation.access, Access::Shop(_) | Access::AnyShop) || operation.name == "api_start_push_ticket" {
        answer["errcode"] = json!(0);
        answer["errmsg"] = json!("ok");
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_22_of_the_guide_are_first_and_no_path_comes_twice() {
        let paths: BTreeSet<&str> = TABLE.iter().map(|o| o.path).collect();
        assert_eq!(paths.len(), TABLE.len());
        assert_eq!(TABLE[21].name, "privatenumbergetshopphone");
        assert!(TABLE[..22].iter().all(|o| matches!(o.access, Access::Shop(130 | 131))));
        let of_130: Vec<&str> = TABLE.iter().filter(|o| o.access == Access::Shop(SHOP_SET)).map(|o| o.name).collect();
        assert_eq!(of_130, ["privatenumbersendverifycode", "privatenumberaddphone", "privatenumbergetshopphone"]);
    }
}
