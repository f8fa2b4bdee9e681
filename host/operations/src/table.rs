//! The one table of operations. Adding an operation means adding a row here and a function in `wit/`: a test holds the
//! two together, both ways.

use std::sync::OnceLock;

use serde_json::Value;

use crate::operation::Operation;
use crate::outside;

mod decisions;
mod delivery;
mod orders;
pub(crate) mod personal;
mod phones;
mod presents;
mod search;

/// Orders, goods, delivery: the permission set of most operations.
const ORDERS: u16 = 131;
/// Basics of the shop: what the operations on the shop's own phones need, although the order guide says otherwise.
const SHOP: u16 = 130;

/// Every operation.
pub fn table() -> &'static [Operation] {
    static TABLE: OnceLock<Vec<Operation>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut rows = Vec::new();
        rows.extend(orders::rows());
        rows.extend(personal::rows());
        rows.extend(decisions::rows());
        rows.extend(presents::rows());
        rows.extend(delivery::rows());
        rows.extend(phones::rows());
        rows.extend(search::rows());
        rows
    })
}

/// The operation behind a function of the contract.
pub fn find(interface: &str, function: &str) -> Option<&'static Operation> {
    table().iter().find(|op| op.interface == interface && op.function == function)
}

/// The operation behind a plugin's call: one of the table, or `http.send`, which may be an effect or not.
pub fn of_call(interface: &str, function: &str, request: &Value) -> Option<&'static Operation> {
    find(interface, function).or_else(|| outside::of_request(interface, function, request))
}

/// The operation behind a call's name in the journal: `notes/set-merchant-notes`, `http/send`.
pub fn named(name: &str) -> Option<&'static Operation> {
    let (interface, function) = name.split_once('/')?;
    find(interface, function).or_else(|| outside::row(interface, function))
}

/// getorder, the operation behind `orders.get` and every snapshot.
pub fn read_order() -> &'static Operation {
    static ROW: OnceLock<Operation> = OnceLock::new();
    ROW.get_or_init(orders::get)
}
