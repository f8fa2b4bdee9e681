//! Address changes: a buyer's request (type 4), and the negotiation that a merchant's change starts (16 to 20).

use serde_json::json;

use crate::message::OrderEvent;
use crate::orders::address::Address;
use crate::orders::chart;
use crate::orders::order::{Order, Pending};
use crate::refusal::Refusal;
use crate::state::{State, Timer};

fn is_unshipped(order: &Order) -> bool {
    matches!(order.status(), chart::UNPAID | chart::GROUP | chart::TO_SHIP)
}

impl State {
    /// The buyer changes the address: at once while the order is young, else by request.
    pub(crate) fn ask_address(&mut self, id: &str, address: Address, now_ms: i64) -> Result<(), Refusal> {
        let now_s = now_ms / 1000;
        let (free_s, auto_s) = (self.settings.free_change_s, self.settings.auto_accept_s);
        let order = self.order(id)?;
        if !is_unshipped(order) {
            return Err(Refusal::state("the order is no longer unshipped"));
        }
        if order.request.is_some() {
            return Err(Refusal::not_now("a request waits already"));
        }
        let young = now_s - order.create_time() <= free_s;
        // The buyer's own change settles what the merchant proposed.
        if young || order.proposal.is_some() {
            let ext_type = if order.proposal.take().is_some() { 19 } else { 2 };
            order.move_to(address);
            order.touch(now_ms);
            self.raise(id, OrderEvent::ExtInfo { ext_type }, now_ms);
            return Ok(());
        }
        let mut shown = address.masked(&order.appid);
        shown["use_tel_number"] = json!(0);
        order.delivery()["address_under_review"] = shown;
        order.delivery()["address_apply_time"] = json!(now_s);
        order.request = Some(Pending { address, asked_at: now_s });
        order.touch(now_ms);
        self.raise(id, OrderEvent::ExtInfo { ext_type: 4 }, now_ms);
        self.set_timer(now_ms + auto_s * 1000, Timer::AutoAccept { order_id: id.to_owned(), asked_at: now_s });
        Ok(())
    }

    /// The merchant decides on the buyer's request. Acceptance raises type 2.
    pub(crate) fn decide_address(&mut self, id: &str, accept: bool, now_ms: i64) -> Result<(), Refusal> {
        let order = self.order(id)?;
        if !is_unshipped(order) {
            return Err(Refusal::state("the order is no longer unshipped"));
        }
        let request = order.end_request().ok_or_else(|| Refusal::not_now("no address change waits"))?;
        if accept {
            order.move_to(request.address);
        }
        order.touch(now_ms);
        if accept {
            self.raise(id, OrderEvent::ExtInfo { ext_type: 2 }, now_ms);
        }
        Ok(())
    }

    /// The merchant did nothing for 12 h.
    pub(crate) fn auto_accept(&mut self, id: &str, asked_at: i64, now_ms: i64) {
        let waits = |o: &Order| o.request.as_ref().is_some_and(|r| r.asked_at == asked_at);
        if self.orders.get(id).is_some_and(waits) {
            // It waits and is unshipped (shipping ends requests), so it can be accepted.
            let _ = self.decide_address(id, true, now_ms);
        }
    }

    /// The merchant's own change: asks the buyer, or (before Dec 2025) changes at once with type 2.
    pub(crate) fn propose_address(&mut self, id: &str, address: Address, now_ms: i64) -> Result<(), Refusal> {
        let now_s = now_ms / 1000;
        let (negotiate, life_s) = (self.settings.address_negotiation, self.settings.proposal_life_s);
        let order = self.order(id)?;
        if !is_unshipped(order) {
            return Err(Refusal::state("only an unshipped order's address can be changed"));
        }
        if order.address_changes >= 5 {
            return Err(Refusal::not_now("the address was changed five times"));
        }
        if order.proposal.is_some() {
            return Err(Refusal::not_now("a change waits for the buyer already"));
        }
        order.address_changes += 1;
        if !negotiate {
            order.move_to(address);
            order.touch(now_ms);
            self.raise(id, OrderEvent::ExtInfo { ext_type: 2 }, now_ms);
            return Ok(());
        }
        order.proposal = Some(Pending { address, asked_at: now_s });
        self.set_timer(now_ms + life_s * 1000, Timer::ProposalLapse { order_id: id.to_owned(), asked_at: now_s });
        Ok(())
    }

    /// The buyer answers the merchant's change: 16 agreed, 17 refused.
    pub(crate) fn answer_address(&mut self, id: &str, agree: bool, now_ms: i64) -> Result<(), Refusal> {
        let order = self.order(id)?;
        let proposal = order.proposal.take().ok_or_else(|| Refusal::not_now("no change waits for the buyer"))?;
        if agree {
            order.move_to(proposal.address);
            order.touch(now_ms);
        }
        self.raise(id, OrderEvent::ExtInfo { ext_type: if agree { 16 } else { 17 } }, now_ms);
        Ok(())
    }

    /// The buyer did not answer in time: 18.
    pub(crate) fn lapse_proposal(&mut self, id: &str, asked_at: i64, now_ms: i64) {
        let Some(order) = self.orders.get_mut(id) else { return };
        if order.proposal.as_ref().is_some_and(|p| p.asked_at == asked_at) {
            order.proposal = None;
            self.raise(id, OrderEvent::ExtInfo { ext_type: 18 }, now_ms);
        }
    }

    /// The order was shipped: whatever was under way lapses with 20.
    pub(crate) fn lapse_by_shipping(&mut self, id: &str, now_ms: i64) {
        let Some(order) = self.orders.get_mut(id) else { return };
        let lapsed = order.proposal.take().is_some() | order.end_request().is_some();
        if lapsed {
            self.raise(id, OrderEvent::ExtInfo { ext_type: 20 }, now_ms);
        }
    }
}
