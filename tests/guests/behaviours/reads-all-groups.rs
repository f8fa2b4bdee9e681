//! Reads every data group and logs how much each gave: counts, times and sums, no personal data.
use fangshi_plugin::{Event, Order, Outcome, Pay, log, on_pay};

on_pay!(hook);

fn hook(event: &Event, order: &Order, pay: Pay) -> Outcome {
    log!(Info, "event {} pay-time {}", event.id().len(), pay.pay_time);

    let state = order.summary();
    log!(
        Info,
        "summary {:?} {} {} present {} flash {} scene {:?} aftersale {}/{} notes {} {} received {:?}",
        state.named(),
        state.create_time,
        state.update_time,
        state.is_present,
        state.is_flash_sale_order,
        state.scene(),
        state.on_aftersale_order_cnt,
        order.aftersale_order_ids().len(),
        order.merchant_notes().chars().count(),
        order.customer_notes().chars().count(),
        order.confirm_receipt_time()
    );

    for item in order.items() {
        let line = &item.product_unique_id;
        log!(
            Info,
            "item {}/{} {} × {} = {} ({} attributes, picture {}, deadline {}, code {}, title {}, stock {}, warehouse {})",
            item.product_id,
            item.sku_id,
            item.sku_cnt,
            item.sale_price,
            item.real_price,
            order.attributes(line).len(),
            !order.thumb_img(line).is_empty(),
            item.delivery_deadline,
            item.sku_code,
            item.title.chars().count(),
            item.stock_type,
            item.out_warehouse_id.len()
        );
    }
    log!(Info, "sku changes {} coupons {}", order.sku_changes().len(), order.coupons().len());
    for line in order.line_discounts() {
        log!(
            Info,
            "line expected {} off {}/{}/{}",
            line.estimate_price,
            line.merchant_discounted_price,
            line.finder_discounted_price,
            line.cash_coupon_discounted_price
        );
    }
    for service in order.extra_services() {
        log!(Info, "services {}/{}", service.seven_day_return, service.freight_insurance);
    }
    log!(Info, "commissions worked out to {:?}", order.commission_handling_progress());

    let price = order.price();
    log!(
        Info,
        "price {} of {} freight {} merchant {} commission {} settled {} promoters {}",
        price.order_price,
        price.product_price,
        price.freight,
        price.merchant_receive_price,
        order.settlement().predict_commission_fee,
        order.settlement().settle_time,
        order.commissions().len()
    );

    let payment = order.payment();
    log!(
        Info,
        "payment {} at {} openid {} unionid {}",
        payment.payment_method,
        payment.pay_time,
        order.openid().len(),
        order.unionid().is_some()
    );

    let delivery = order.delivery();
    log!(
        Info,
        "delivery {} done {} parcels {} products {} inspection {:?} {}",
        delivery.deliver_method,
        delivery.ship_done_time,
        order.parcels().len(),
        order.parcels().iter().map(|parcel| parcel.product_infos.len()).sum::<usize>(),
        delivery.inspection(),
        delivery.inspect_status
    );
    log!(
        Info,
        "address hash {} under review {} since {:?}",
        order.address().hash_code.len(),
        order.address_under_review().is_some(),
        order.address_apply_time()
    );
    log!(
        Info,
        "phone {} under review {} virtual {:?}",
        order.phone().use_tel_number,
        order.phone_under_review().is_some(),
        order.virtual_number().map(|number| (number.virtual_tel_expire_time, number.has_delay_times))
    );
    log!(Info, "present {:?}", order.present().map(|present| present.channel()));
    log!(Info, "raw {}", order.json().len());
    Ok(())
}
