//! Writes the event's id into the note, ships one unit under a waybill of the event's, and sends a code to a phone of the
//! event's: whoever reads the platform's ledger knows which run made what. One effect each to send again, to verify, and of
//! which nobody can tell.
use fangshi_plugin::delivery::{self, Parcel, ParcelItem};
use fangshi_plugin::{Event, Order, Outcome, Pay, notes, on_pay, reject, shop_phone};

on_pay!(hook);

fn hook(event: &Event, order: &Order, _: Pay) -> Outcome {
    let id = event.id();
    notes::set_merchant_notes(&event.order_id(), &id)?;
    let item = order.items().into_iter().next().ok_or_else(|| reject("an order without items"))?;
    let unit = ParcelItem { product_id: item.product_id, sku_id: item.sku_id, product_cnt: 1 };
    let waybill_id = format!("SF{id}");
    let parcel = Parcel { delivery_id: "SF".into(), waybill_id, deliver_type: 1, product_infos: vec![unit] };
    delivery::send(&event.order_id(), &[parcel])?;
    let digits: String = id.chars().filter(char::is_ascii_digit).collect();
    shop_phone::send_verify_code(&format!("139{digits:0>8}"))?;
    Ok(())
}
