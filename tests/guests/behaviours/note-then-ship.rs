//! Sets a note, then ships, and logs which note it found: what is refused for now is tried again in a later attempt.
use fangshi_plugin::delivery::{self, Parcel, ParcelItem};
use fangshi_plugin::{Event, Order, Outcome, Pay, log, notes, on_pay};

on_pay!(hook);

fn hook(event: &Event, order: &Order, _: Pay) -> Outcome {
    log!(Info, "found note {:?}", order.merchant_notes());
    notes::set_merchant_notes(&event.order_id(), "packed")?;
    let all = order.items().into_iter().map(|item| ParcelItem {
        product_id: item.product_id,
        sku_id: item.sku_id,
        product_cnt: item.sku_cnt,
    });
    let parcel = Parcel {
        delivery_id: "SF".into(),
        waybill_id: format!("SF{}", event.id()),
        deliver_type: 1,
        product_infos: all.collect(),
    };
    delivery::send(&event.order_id(), &[parcel])?;
    Ok(())
}
