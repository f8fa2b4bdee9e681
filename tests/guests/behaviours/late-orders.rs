//! Called by the clock: looks for orders that were paid more than `hours` ago and are not shipped, and marks the first.
use fangshi_plugin::{
    Event, Outcome, Tick, log, note, notes, on_schedule, orders,
    search::{self, ListQuery, TimeRange},
    setting,
};

on_schedule!(hook);

/// Ready to be shipped.
const TO_BE_SHIPPED: u32 = 20;
const HOUR: i64 = 3_600;
/// What one search may span.
const SPAN: i64 = 7 * 24 * HOUR;

fn hook(event: &Event, tick: Tick) -> Outcome {
    let late = tick.due_at - setting::integer("hours", 24)? * HOUR;
    let page = search::list_orders(&ListQuery {
        create_time_range: Some(TimeRange { start_time: late - SPAN, end_time: late }),
        update_time_range: None,
        status: Some(TO_BE_SHIPPED),
        openid: None,
        page_size: 10,
        next_key: None,
    })?;
    log!(Info, "{} from {} for order {:?}: {} late", tick.name, event.source(), event.order_id(), page.order_ids.len());
    let Some(first) = page.order_ids.first() else { return Ok(()) };
    if let Some(text) = note::with_mark(&orders::get(first)?.merchant_notes(), "超时未发货") {
        notes::set_merchant_notes(first, &text)?;
    }
    Ok(())
}
