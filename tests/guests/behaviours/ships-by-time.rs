//! Ships one unit under a waybill that is made of the callback's time: the same callback asks for the same, also in a store
//! that gave its event another id.
use fangshi_plugin::delivery::{self, Parcel, ParcelItem};
use fangshi_plugin::{Event, Order, Outcome, Pay, on_pay, reject};

on_pay!(hook);

fn hook(event: &Event, order: &Order, _: Pay) -> Outcome {
    let item = order.items().into_iter().next().ok_or_else(|| reject("an order without items"))?;
    let unit = ParcelItem { product_id: item.product_id, sku_id: item.sku_id, product_cnt: 1 };
    let waybill_id = format!("AT{}", event.created_at());
    let parcel = Parcel { delivery_id: "SF".into(), waybill_id, deliver_type: 1, product_infos: vec![unit] };
    delivery::send(&event.order_id(), &[parcel])?;
    Ok(())
}
