//! Decoding buyer data: answered from what was kept where that is still good, else by one call an order at a time, within
//! the tenant's budget of the day (`fangshi_tenants::Decodes`).
//!
//! A live call reads the order first: its answer is kept for the address that the order shows at that moment, whatever an
//! older snapshot showed. It runs in a task of its own, so that a run that is cut off does not lose a scarce answer, nor does
//! an orderly stop.

use std::time::Duration;

use fangshi_tenants::{
    Begun, Came, DecodeAsk, DecodeTicket, Decodes, Digest, Flights, InstallationId, ShownAddress, TenantId,
    TenantsError,
};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::calls::{Operations, Terms};
use crate::errcode;
use crate::fault::{Class, Fault, Sent};
use crate::operation::Operation;
use crate::table::personal::ADDRESS;

/// How often to look whether another call for the same order has ended, and how many times.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const LOOKS: u32 = 100;
/// How often to write what a call came to, and the first pause, which doubles: all of them end before the lease does.
const SETTLE_TRIES: u32 = 5;
const SETTLE_AGAIN: Duration = Duration::from_millis(100);

/// For whom buyer data is decoded; its grant was checked.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    /// Whose order.
    pub tenant: TenantId,
    /// The installation.
    pub installation: InstallationId,
}

/// An answer, and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The contract's answer.
    pub answer: Value,
    /// Whether it was kept from an earlier call.
    pub kept: bool,
}

impl Decoded {
    /// The answer of a call that was made just now.
    pub fn live(answer: Value) -> Decoded {
        Decoded { answer, kept: false }
    }
}

impl Operations {
    /// The kept answer of an operation that decodes, if it is good for the address that `order` shows; without an order
    /// at hand it is read. Nothing is decoded.
    ///
    /// # Errors
    /// [`Class::DayQuota`]: nothing is kept and the tenant's budget of today is used up, so that a call would be refused.
    pub async fn kept(
        &self,
        asker: Asker,
        op: &'static Operation,
        request: &Value,
        order: Option<&Value>,
    ) -> Result<Option<Value>, Fault> {
        let Some(decodes) = &self.decodes else { return Ok(None) };
        let order_id = op.order_of(request).unwrap_or_default();
        if decodes.is_kept(asker.tenant, order_id).await.map_err(host)? {
            let read;
            let order = match order {
                Some(order) => order,
                None => {
                    read = self.read_order(asker.tenant, order_id).await.map_err(unsent)?;
                    &read
                }
            };
            let kept = decodes.kept(&ask(asker, order_id, order)).await.map_err(host)?;
            if kept.is_some() {
                count("kept");
                return Ok(kept);
            }
        }
        match decodes.usage(asker.tenant).await.map_err(host)? {
            usage if usage.left() == 0 => Err(self.used_up()),
            _ => Ok(None),
        }
    }

    /// Calls an operation that decodes, once for all who want the same order decoded now.
    ///
    /// # Errors
    /// [`Fault`], as [`Operations::call`]; [`Class::DayQuota`] if the tenant's budget of today is used up.
    pub async fn decode(&self, asker: Asker, op: &'static Operation, request: &Value) -> Result<Decoded, Fault> {
        let Some(decodes) = self.decodes.clone() else {
            return self.call(asker.tenant, op, request).await.map(Decoded::live);
        };
        let (operations, request) = (self.clone(), request.clone());
        let flight = async move { operations.decode_once(&decodes, asker, op, &request).await };
        let Some(task) = self.flights.start(flight) else {
            return Err(closing());
        };
        task.await.unwrap_or_else(|_| Err(Fault::new(Class::Unanswered, Sent::Unknown, "the call was cut off")))
    }

    async fn decode_once(
        &self,
        decodes: &Decodes,
        asker: Asker,
        op: &'static Operation,
        request: &Value,
    ) -> Result<Decoded, Fault> {
        let order_id = op.order_of(request).unwrap_or_default();
        let order = self.read_order(asker.tenant, order_id).await.map_err(unsent)?;
        let ask = ask(asker, order_id, &order);
        for _ in 0..LOOKS {
            let ticket = match decodes.begin(&ask).await.map_err(host)? {
                Begun::Live(ticket) => ticket,
                Begun::UsedUp => return Err(self.used_up()),
                Begun::Elsewhere => {
                    tokio::time::sleep(LOOK_AGAIN).await;
                    continue;
                }
                Begun::Kept(answer) => {
                    count("kept");
                    return Ok(Decoded { answer, kept: true });
                }
            };
            let lease = Lease { decodes, ticket: &ticket, flights: &self.flights };
            let terms = Terms { lease: Some(lease), by: None };
            let outcome = self.call_under(terms, asker.tenant, op, request).await.map(Arc::new);
            let came = match &outcome {
                Ok(answer) => {
                    count("live");
                    Came::Answer(Arc::clone(answer), number_until(answer))
                }
                // The platform did it, or may have.
                Err(fault) if fault.sent == Sent::Unknown || fault.class == Class::Unreadable => Came::Lost,
                Err(_) => Came::Refused,
            };
            if !is_settled(decodes, &ticket, &came).await && outcome.is_ok() {
                // Buyer data without its entry in the audit reaches nobody.
                let text = "the host could not record what was decoded";
                return Err(Fault::new(Class::Host, Sent::Unknown, text));
            }
            // The last holder but this one.
            drop(came);
            return outcome.map(|answer| Decoded::live(Arc::unwrap_or_clone(answer)));
        }
        Err(elsewhere())
    }

    fn used_up(&self) -> Fault {
        metrics::counter!("fangshi_decodes_total", "served" => "refused").increment(1);
        let text = "the shop's decodes of today are used up (the tenant's decode_budget)";
        let mut fault = Fault::new(Class::DayQuota, Sent::NotSent, text);
        fault.retry_after = errcode::retry_after(Class::DayQuota, self.clock.now_s());
        fault
    }
}

/// The right to decode an order, while a call is made with it.
#[derive(Clone, Copy)]
pub(crate) struct Lease<'a> {
    decodes: &'a Decodes,
    ticket: &'a DecodeTicket,
    flights: &'a Flights,
}

impl Lease<'_> {
    /// To be asked right before a send: without the lease nothing may be sent, nor while the host is closing.
    pub(crate) async fn hold_on(self) -> Result<(), Fault> {
        if self.flights.is_closed() {
            return Err(closing());
        }
        match self.decodes.hold_on(self.ticket).await.map_err(host)? {
            true => Ok(()),
            false => Err(elsewhere()),
        }
    }
}

/// Writes what a call came to; false if the store refused it again and again. The lease then runs out by itself, and the call
/// counts.
async fn is_settled(decodes: &Decodes, ticket: &DecodeTicket, came: &Came) -> bool {
    let mut pause = SETTLE_AGAIN;
    for left in (0..SETTLE_TRIES).rev() {
        match decodes.settle(ticket, came).await {
            Ok(()) => return true,
            Err(error) if left == 0 => tracing::error!(%error, "what a decode came to could not be stored; it counts"),
            Err(error) => {
                tracing::warn!(%error, left, "what a decode came to could not be stored yet");
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
    }
    false
}

fn closing() -> Fault {
    Fault::new(Class::Host, Sent::NotSent, "the host is closing")
}

fn elsewhere() -> Fault {
    let mut fault = Fault::new(Class::TooOften, Sent::NotSent, "another call decodes this order");
    fault.retry_after = Some(30);
    fault
}

fn count(served: &'static str) {
    metrics::counter!("fangshi_decodes_total", "served" => served).increment(1);
}

fn ask(asker: Asker, order_id: &str, order: &Value) -> DecodeAsk {
    DecodeAsk {
        tenant: asker.tenant,
        installation: asker.installation,
        order_id: order_id.to_owned(),
        address: shown(order),
    }
}

/// Nothing was decoded yet when this went wrong.
fn unsent(fault: Fault) -> Fault {
    Fault { sent: Sent::NotSent, ..fault }
}

fn host(error: TenantsError) -> Fault {
    tracing::error!(%error, "decodes can't be looked up");
    Fault::new(Class::Host, Sent::NotSent, "the host can't look up its decodes now")
}

const PLACE: &str = "/order_detail/delivery_info/address_info";

/// What an order shows of its address: the platform's hash of it (one shop, same recipient and address: same hash), or,
/// since that was seen empty, the masked members, which then tell one address from another (platform page 5).
fn shown(order: &Value) -> ShownAddress {
    let address = order.pointer(PLACE).unwrap_or(&Value::Null);
    let text = match address.get("hash_code").and_then(Value::as_str) {
        Some(hash) if !hash.is_empty() => json!(["hash_code", hash]),
        _ => json!(["masked", ADDRESS.map(|name| address.get(name).unwrap_or(&Value::Null))]),
    };
    let number = address.pointer("/tel_number_ext_info/virtual_tel_expire_time");
    ShownAddress { mark: Digest::of(text.to_string().as_bytes()), number_until: number.and_then(seconds) }
}

/// Whether two readings of an order show the same address.
pub fn same_address(one: &Value, other: &Value) -> bool {
    shown(one).mark == shown(other).mark
}

fn number_until(answer: &Value) -> Option<i64> {
    answer.pointer("/virtual_number_info/expiration").and_then(seconds)
}

/// A time of the platform, which writes numbers as text now and then; 0 is none.
fn seconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).filter(|seconds| *seconds > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(address: Value) -> Value {
        json!({"order_id": "1", "order_detail": {"delivery_info": {"address_info": address}}})
    }

    #[test]
    fn an_address_is_told_by_its_hash_or_by_its_masked_members() {
        let hashed = |hash: &str, city: &str| shown(&order(json!({"hash_code": hash, "city_name": city}))).mark;
        assert_eq!(hashed("h1", "杭州市"), hashed("h1", "宁波市"), "the hash alone decides");
        assert_ne!(hashed("h1", "杭州市"), hashed("h2", "杭州市"));
        assert_ne!(hashed("", "杭州市"), hashed("", "宁波市"), "an empty hash says nothing");
        assert_eq!(hashed("", "杭州市"), hashed("", "杭州市"));
        let numbered = order(json!({"hash_code": "", "city_name": "杭州市",
            "tel_number_ext_info": {"virtual_tel_expire_time": "1767241651"}}));
        assert_eq!(shown(&numbered).mark, hashed("", "杭州市"), "a virtual number is no other address");
        assert_eq!(shown(&numbered).number_until, Some(1_767_241_651));
        assert_eq!(shown(&json!({})).number_until, None);
    }
}
