//! The recipient in clear, and phone numbers: virtual and real.

use serde_json::{Value, json};

use crate::operations::Call;
use crate::orders::{chart, number};
use crate::refusal::Refusal;

/// Gives the address in clear and, in shops of the rollout, allocates a virtual number: then the phone stays masked.
pub(super) fn decode(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let id = call.order_id()?;
    let now_ms = call.now_ms;
    if call.own(&id)?.status() == chart::PRESENT {
        return Err(Refusal::not_now("the gift has no recipient yet"));
    }
    call.changed = call.state.allocate_number(&id, now_ms)?;
    let order = call.own(&id)?;
    let mut address = serde_json::to_value(&order.address).unwrap_or_default();
    let mut answer = json!({});
    if let Some(number) = number::of(order) {
        let shown = &order.doc["order_detail"]["delivery_info"]["address_info"]["tel_number"];
        address["tel_number"] = shown.clone();
        answer["virtual_number_info"] = json!({
            "virtual_number": number.virtual_number, "extension": number.extension, "expiration": number.expiration,
        });
    }
    answer["address_info"] = address;
    Ok(answer)
}

pub(super) fn apply_real_number(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let id = call.order_id()?;
    if !(1..=5).contains(&call.input.number("apply_type")?) {
        return Err(Refusal::argument("apply_type must be 1 to 5"));
    }
    let reason = call.input.full_text("apply_reason")?;
    let pictures: Vec<String> = call.input.shaped("pic_media_ids")?.unwrap_or_default();
    if pictures.is_empty() {
        return Err(Refusal::argument("pic_media_ids is missing"));
    }
    let task_id = call.state.apply_real_number(&id, reason, call.now_ms)?;
    Ok(json!({"task_id": task_id}))
}

pub(super) fn real_number_audit(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let id = call.order_id()?;
    let audit = call.own(&id)?.audit.as_ref().ok_or_else(|| Refusal::not_now("nobody applied for the real number"))?;
    Ok(json!({
        "apply_time": audit.apply_time_ms, "audit_state": audit.state, "apply_reason": audit.reason,
        "task_id": audit.task_id,
    }))
}

pub(super) fn apply_again(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let id = call.order_id()?;
    call.state.give_number_again(&id, call.now_ms)?;
    let number = number::of(call.own(&id)?).ok_or_else(|| Refusal::new(-1, "system error"))?;
    Ok(json!({"virtual_number": number.virtual_number, "extension": number.extension, "apply_quota": 0}))
}

pub(super) fn delay(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let id = call.order_id()?;
    let has_delay_times = call.input.number("has_delay_times")?;
    let number = call.state.delay_number(&id, has_delay_times, call.now_ms)?;
    let left = call.state.settings.max_extensions - number.delays;
    Ok(json!({"expiration": number.expiration, "available_extend_num": left}))
}
