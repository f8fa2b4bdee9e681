//! Sku changes before shipping. Their malformed bodies have an errcode of their own: 10020277.

use serde_json::{Value, json};

use crate::operations::Call;
use crate::orders::sku;
use crate::refusal::Refusal;

fn malformed(refusal: Refusal) -> Refusal {
    match refusal.code {
        40097 | 47001 => Refusal::new(10020277, refusal.message),
        _ => refusal,
    }
}

pub(super) fn waiting(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let page = call.input.number("page").map_err(malformed)?;
    let size = call.input.page_size().map_err(malformed)?;
    let skipped =
        usize::try_from(page - 1).map_err(|_| Refusal::new(10020277, "page begins at 1"))?.saturating_mul(size);
    let ids: Vec<&str> = call
        .state
        .orders
        .values()
        .filter(|order| order.appid == call.appid && sku::is_pending(order))
        .map(|order| order.id.as_str())
        .skip(skipped)
        .take(size)
        .collect();
    Ok(json!({"order_ids": ids}))
}

pub(super) fn approve(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let id = call.order_id().map_err(malformed)?;
    call.state.decide_sku(&id, true, call.now_ms)?;
    Ok(json!({}))
}

pub(super) fn reject(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let id = call.order_id().map_err(malformed)?;
    call.state.decide_sku(&id, false, call.now_ms)?;
    Ok(json!({}))
}
