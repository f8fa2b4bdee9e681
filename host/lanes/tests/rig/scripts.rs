//! What most scripted guests do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fangshi_runtime::{CallError, Outcome, RunHost};
use serde_json::{Value, json};

use super::{ORDER, Script};
use crate::script;

/// Ends a run that was aborted as the runtime would, and one that was refused as the SDK's `?` does.
pub fn outcome_of(result: Result<(), CallError>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(CallError::Abort(abort)) => Outcome::Aborted(abort),
        Err(error @ (CallError::Limited { .. } | CallError::Unavailable(_) | CallError::Conflict(_))) => {
            Outcome::RetryLater { reason: error.to_string(), after: None }
        }
        Err(error) => Outcome::Reject { reason: error.to_string() },
    }
}

/// Sets the note, as most scripts do.
pub async fn set_note(host: &mut dyn RunHost, order: &str, note: &str) -> Result<Value, CallError> {
    host.operation("notes", "set-merchant-notes", json!({"order_id": order, "merchant_notes": note})).await
}

/// A request to the one outside host that is granted.
pub async fn send_out(host: &mut dyn RunHost, method: &str) -> Result<Value, CallError> {
    host.operation("http", "send", json!({"method": method, "url": "https://a.example/x"})).await
}

/// A guest that notes an order, after a read; hangs where the shop does.
pub fn note_after_read() -> Script {
    script!(|_input, host| {
        host.operation(
            "search",
            "list-orders",
            json!({"query": {"page_size": 1, "update_time_range": {"start_time": 1, "end_time": 2}}}),
        )
        .await
        .unwrap();
        outcome_of(set_note(host, ORDER, "x").await.map(drop))
    })
}

/// Sends a code, of which nothing shows whether it was done.
pub fn phone_code(seen: Arc<AtomicBool>) -> Script {
    script!(
        [seen] | _input,
        host | {
            let answer = host.operation("shop-phone", "send-verify-code", json!({"mobile": "13900000000"})).await;
            match answer {
                Err(CallError::OutcomeUnknown(_)) => {
                    seen.store(true, Ordering::SeqCst);
                    Outcome::Done
                }
                other => outcome_of(other.map(drop)),
            }
        }
    )
}

/// A parcel, which the order shows.
pub fn shipment() -> Value {
    let parcel = json!({"delivery_id": "SF", "waybill_id": "SF1", "deliver_type": 1,
                        "product_infos": [{"product_id": "1", "sku_id": "2", "product_cnt": 1}]});
    json!({"order_id": ORDER, "delivery_list": [parcel]})
}

/// Sends it.
pub fn ship() -> Script {
    script!(|_input, host| {
        let request = shipment();
        outcome_of(host.operation("delivery", "send", request).await.map(drop))
    })
}
