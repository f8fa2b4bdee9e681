//! Gifts: the note, and the orders of one gift.

use serde_json::{Value, json};

use crate::operations::Call;
use crate::refusal::Refusal;

fn orders_of(call: &mut Call<'_>) -> Result<Vec<String>, Refusal> {
    let present = call.input.id("present_order_id")?;
    let ids = call.state.orders_of_present(&call.appid, &present);
    if ids.is_empty() { Err(Refusal::no_order()) } else { Ok(ids) }
}

pub(super) fn note(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let ids = orders_of(call)?;
    let notes = call.input.text("notes")?;
    call.state.write_present_note(&ids, notes, call.now_ms)?;
    Ok(json!({}))
}

pub(super) fn orders(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let ids = orders_of(call)?;
    Ok(json!({"order_ids": ids}))
}
