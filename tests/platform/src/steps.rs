//! What can happen to an order besides the merchant's calls: the buyer, the shop's back office, time, the platform.

use serde::Deserialize;
use serde_json::Value;

use crate::orders::address::Address;
use crate::orders::shipping::Package;
use crate::refusal::Refusal;
use crate::state::State;

pub use crate::orders::By;

/// One step of an order's life. As JSON: `{"step":"pay"}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// The buyer pays: to 20, 12 (gift) or 13 (一起买).
    Pay,
    /// Cancelled before payment.
    Cancel {
        /// By whom.
        by: By,
    },
    /// A gift is accepted: to 20.
    AcceptPresent {
        /// The recipient.
        openid: String,
        /// The recipient's address.
        #[serde(default)]
        address: Address,
        /// Another sku of the recipient's choice: type 11.
        #[serde(default)]
        new_sku_id: Option<String>,
    },
    /// A gift is not accepted: to 200.
    RefusePresent,
    /// The group of 一起买 is complete (to 20) or failed (to 200).
    EndGroup {
        /// Which.
        complete: bool,
    },
    /// Oversold: to 190.
    Oversell,
    /// Shipped in the shop's own back office.
    Ship {
        /// The packages.
        packages: Vec<Package>,
    },
    /// Shipped with all that is left in one package.
    ShipAll {
        /// Courier.
        delivery_id: String,
        /// Waybill.
        waybill_id: String,
    },
    /// Received: to 100.
    Confirm {
        /// By whom.
        by: By,
    },
    /// Settled.
    Settle,
    /// All items refunded: to 200.
    RefundAll,
    /// The buyer changes the address: at once in the first 6 h, later as a request (type 4).
    AskAddress {
        /// The new address.
        address: Address,
    },
    /// The buyer answers the merchant's change: type 16 or 17.
    AnswerAddress {
        /// Which.
        agree: bool,
    },
    /// The buyer urges: type 7.
    Urge,
    /// The buyer asks for another sku: type 9.
    AskSku {
        /// The present one.
        sku_id: String,
        /// The wished one.
        new_sku_id: String,
        /// Seconds that the merchant has.
        #[serde(default = "two_days")]
        within_s: i64,
    },
    /// The platform gives a virtual number without a call, as on printing a waybill: type 5.
    AllocateNumber,
    /// The virtual number's time is over now.
    ExpireNumber,
    /// The platform decides on the application to see the real number: type 13.
    AuditRealNumber {
        /// Which.
        approve: bool,
    },
    /// The merchant writes the note in the back office: type 3.
    WriteNote {
        /// The note.
        notes: String,
    },
    /// Any other change, with any type.
    Extra {
        /// `type` of the event.
        #[serde(rename = "type")]
        ext_type: i64,
        /// A JSON merge patch of the order.
        #[serde(default)]
        patch: Value,
    },
}

fn two_days() -> i64 {
    172_800
}

impl State {
    /// Takes a step, with its events; or says why the order's state forbids it.
    pub(crate) fn step(&mut self, id: &str, step: &Step, now_ms: i64) -> Result<(), Refusal> {
        match step {
            Step::Pay => self.pay(id, now_ms),
            Step::Cancel { by } => self.cancel(id, *by, now_ms),
            Step::AcceptPresent { openid, address, new_sku_id } => {
                self.accept_present(id, openid, address.clone(), new_sku_id.as_deref(), now_ms)
            }
            Step::RefusePresent => self.refuse_present(id, now_ms),
            Step::EndGroup { complete } => self.end_group(id, *complete, now_ms),
            Step::Oversell => self.oversell(id, now_ms),
            Step::Ship { packages } => self.ship(id, packages, now_ms),
            Step::ShipAll { delivery_id, waybill_id } => self.ship_all(id, delivery_id, waybill_id, now_ms),
            Step::Confirm { by } => self.confirm(id, *by, now_ms),
            Step::Settle => self.settle(id, now_ms),
            Step::RefundAll => self.refund_all(id, now_ms),
            Step::AskAddress { address } => self.ask_address(id, address.clone(), now_ms),
            Step::AnswerAddress { agree } => self.answer_address(id, *agree, now_ms),
            Step::Urge => self.urge(id, now_ms),
            Step::AskSku { sku_id, new_sku_id, within_s } => self.ask_sku(id, sku_id, new_sku_id, *within_s, now_ms),
            Step::AllocateNumber => self.allocate_number(id, now_ms).map(|_| ()),
            Step::ExpireNumber => self.expire_number(id, now_ms),
            Step::AuditRealNumber { approve } => self.audit_real_number(id, *approve, now_ms),
            Step::WriteNote { notes } => self.write_note(id, notes, now_ms),
            Step::Extra { ext_type, patch } => self.extra(id, *ext_type, patch, now_ms),
        }
    }
}
