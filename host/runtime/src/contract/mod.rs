//! The contract of `wit/`, read once at the start and kept as plain tables.
//!
//! Nothing below this knows the WIT text: linking, inspection and conversion work on [`Interface`], [`Function`] and
//! [`Shape`].

mod read;
mod shape;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use wit_parser::Resolve;

pub(crate) use shape::{Field, Int, Shape};

/// The package of the host's own interfaces.
pub(crate) const HOST: &str = "fangshi:host@0.1.0";
/// The package of WeChat Store.
pub(crate) const STORE: &str = "fangshi:store@0.1.0";

static CONTRACT: LazyLock<Result<Contract, String>> = LazyLock::new(read::read);

/// All interfaces of the contract.
pub(crate) struct Contract {
    /// As parsed; inspection compares components with it.
    pub resolve: Resolve,
    /// By full name: `fangshi:store/notes@0.1.0`.
    pub imports: BTreeMap<String, Interface>,
    /// In the order of the WIT.
    pub hooks: Vec<Hook>,
}

/// An interface that a plugin may import.
pub(crate) struct Interface {
    /// `notes`: also the grant's name.
    pub name: String,
    pub kind: Kind,
    pub functions: Vec<Function>,
}

/// What an interface is to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Types only, or a service that needs no consent: events, log, settings, clock, random.
    Free,
    /// `orders`: the resource and reading one afresh.
    Orders,
    /// A group of order data.
    OrderData,
    /// A group of operations.
    Operations,
    /// `kv`.
    Kv,
    /// `http`: granted host by host.
    Http,
}

impl Kind {
    /// Whether importing it asks for a grant.
    pub fn needs_grant(self) -> bool {
        !matches!(self, Kind::Free | Kind::Orders)
    }
}

/// One function of an interface.
pub(crate) struct Function {
    pub name: String,
    pub params: Vec<Param>,
    /// The result, or its ok case where the function can fail.
    pub ok: Option<Shape>,
    /// Whether the result is `result<_, error>`.
    pub fallible: bool,
}

/// One parameter.
pub(crate) struct Param {
    /// Its name in JSON: snake_case.
    pub json: String,
    pub shape: Shape,
}

/// A hook that a plugin may export.
pub(crate) struct Hook {
    /// `on-pay`.
    pub name: String,
    /// `fangshi:store/on-pay@0.1.0`.
    pub full: String,
    pub params: Vec<HookParam>,
}

/// What a hook is given.
pub(crate) enum HookParam {
    Event,
    Order,
    /// The record of the event's own members.
    Detail(Shape),
}

impl Contract {
    /// The contract, or what is wrong with it (which a test of this crate rules out).
    pub fn get() -> Result<&'static Contract, &'static str> {
        CONTRACT.as_ref().map_err(String::as_str)
    }

    pub fn hook(&self, name: &str) -> Option<&Hook> {
        self.hooks.iter().find(|hook| hook.name == name)
    }

    /// Whether a grant is one of the groups of order data.
    pub fn is_order_data(&self, name: &str) -> bool {
        self.imports.values().any(|interface| interface.kind == Kind::OrderData && interface.name == name)
    }
}

/// One function of the contract that needs consent: for tables and pages that must be complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContractFunction {
    /// The interface, which is the grant: `notes`.
    pub interface: &'static str,
    /// The function: `set-merchant-notes`.
    pub function: &'static str,
    /// Whether it reads the order snapshot (no call leaves the host).
    pub order_data: bool,
    /// Whether its answer is a list.
    pub gives_list: bool,
}

/// Every function of the contract behind a grant, in no particular order.
pub fn contract_functions() -> Vec<ContractFunction> {
    let Ok(contract) = Contract::get() else { return Vec::new() };
    let granted = contract.imports.values().filter(|interface| interface.kind.needs_grant());
    granted
        .flat_map(|interface| {
            interface.functions.iter().map(|function| ContractFunction {
                interface: &interface.name,
                function: &function.name,
                order_data: interface.kind == Kind::OrderData,
                gives_list: matches!(function.ok, Some(Shape::List(_))),
            })
        })
        .collect()
}

/// Names of all hooks, in the contract's order.
pub fn contract_hooks() -> Vec<&'static str> {
    Contract::get().map(|contract| contract.hooks.iter().map(|hook| hook.name.as_str()).collect()).unwrap_or_default()
}
