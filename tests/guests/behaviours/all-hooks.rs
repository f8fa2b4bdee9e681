//! Subscribes to everything and logs each hook with its members.
use fangshi_plugin::{
    Cancel, Confirm, Deliver, Event, ExtInfo, Order, Outcome, Pay, Settle, log, on_cancel, on_confirm, on_deliver,
    on_ext_info_update, on_new, on_pay, on_settle, on_wait_shipping,
};

on_new!(|event, order| told(event, order, "on-new", ""));
on_cancel!(|event, order, Cancel { cancel_type }| told(event, order, "on-cancel", &format!(" type {cancel_type}")));
on_pay!(|event, order, Pay { pay_time }| told(event, order, "on-pay", &format!(" at {pay_time}")));
on_wait_shipping!(|event, order| told(event, order, "on-wait-shipping", ""));
on_deliver!(|event, order, Deliver { finish_delivery }| {
    told(event, order, "on-deliver", &format!(" finish {finish_delivery}"))
});
on_confirm!(|event, order, Confirm { confirm_type }| told(
    event,
    order,
    "on-confirm",
    &format!(" type {confirm_type}")
));
on_settle!(|event, order, Settle { settle_time }| told(event, order, "on-settle", &format!(" at {settle_time}")));
on_ext_info_update!(|event, order, ExtInfo { type_ }| told(
    event,
    order,
    "on-ext-info-update",
    &format!(" type {type_}")
));

fn told(event: &Event, order: &Order, hook: &str, members: &str) -> Outcome {
    let same = order.id() == event.order_id();
    log!(
        Info,
        "{hook}{members} created {} received {} source {:?} attempt {} last {} same order {same} raw {}",
        event.created_at(),
        event.received_at(),
        event.origin(),
        event.attempt(),
        event.is_last_attempt(),
        event.raw().starts_with('{')
    );
    Ok(())
}
