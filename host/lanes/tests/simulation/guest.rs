//! What plugins do here: a function of the event, the installation and the attempt's seed, as a real one is.

use fangshi_journal::OpenRun;
use fangshi_runtime::{CallError, Outcome};
use serde_json::{Value, json};

use crate::attempt::{Host, retry};
use crate::change::{Kind, Told};
use crate::world::Halt;

/// What a guest makes of a refusal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Temper {
    GivesWay,
    InsistsOnce,
    Ignores,
}

/// The key that a run leaves in its installation's own store.
pub fn kv_key(run: &OpenRun) -> String {
    format!("event {}", run.event)
}

/// Whether runs of this event leave one: an attempt that does ends with a commit that is synced.
pub fn leaves_kv(told: Told) -> bool {
    told.change.is_multiple_of(2)
}

pub async fn guest(
    host: &mut Host<'_>,
    run: &OpenRun,
    told: Told,
    attempt: u32,
    seed: [u8; 32],
) -> Result<Outcome, Halt> {
    // By what happened, not by the event's number: a restored store gives another one to what it hears of once more.
    let habit = told.change as u64 * 7 + run.installation.0 as u64 * 3;
    let temper = match seed[0] {
        0..120 => Temper::GivesWay,
        120..190 => Temper::InsistsOnce,
        _ => Temper::Ignores,
    };
    if seed[1] < 80
        && let Err(error) = host.read().await?
    {
        return Ok(retry(&error));
    }
    let name = format!("{} of {}", told.change, run.installation);
    let mut calls: Vec<(&str, &str, Value)> = Vec::new();
    // What raises an event is done about payments alone: else plugins would go on answering each other.
    let paid = told.kind == Kind::PAID;
    if paid && !habit.is_multiple_of(3) {
        let note = json!({"order_id": "1", "merchant_notes": name});
        calls.push(("notes", "set-merchant-notes", note.clone()));
        // A second equal effect, meant as one.
        if habit.is_multiple_of(5) {
            calls.push(("notes", "set-merchant-notes", note));
        }
    }
    if paid && habit % 4 != 1 {
        let parcel = json!({"delivery_id": "SF", "waybill_id": name, "deliver_type": 1,
                            "product_infos": [{"product_id": "1", "sku_id": "2", "product_cnt": 1}]});
        calls.push(("delivery", "send", json!({"order_id": "1", "delivery_list": [parcel]})));
    }
    if habit % 4 == 2 || !paid {
        calls.push(("shop-phone", "send-verify-code", json!({"mobile": name})));
    }
    // In another order in the next attempt: effects are known by their keys.
    if seed[2] % 2 == 1 {
        calls.reverse();
    }
    for (number, (interface, function, body)) in calls.into_iter().enumerate() {
        let mut answer = host.effect(interface, function, body.clone()).await?;
        let insists = |refusal: &CallError| {
            matches!(refusal, CallError::Limited { .. } | CallError::Conflict(_) | CallError::Unavailable(_))
        };
        if temper == Temper::InsistsOnce && answer.as_ref().is_err_and(insists) {
            answer = host.effect(interface, function, body).await?;
        }
        match answer {
            Err(error) if temper != Temper::Ignores => return Ok(retry(&error)),
            _ => {}
        }
        if seed[3 + number] < 12 {
            return Ok(Outcome::Trap { message: "at random".into() });
        }
    }
    if leaves_kv(told) {
        host.kv.push((kv_key(run), attempt.to_be_bytes().to_vec()));
    }
    Ok(match seed[10] {
        0..10 => Outcome::Reject { reason: "at random".into() },
        10..30 => Outcome::RetryLater { reason: "at random".into(), after: Some(2) },
        30..40 => Outcome::Limit { limit: "fuel", allowed: 1 },
        _ => Outcome::Done,
    })
}
