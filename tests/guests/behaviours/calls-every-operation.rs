//! Calls every operation of the contract once and logs which answered and which refused: no answer's content.
use std::fmt::Debug;

use fangshi_plugin::{
    Error, Event, Order, Outcome, Pay,
    address::{self, NewAddress},
    address_decision, decode,
    delivery::{self, AuditItem, Parcel, ParcelChange, ParcelItem},
    log, notes, on_pay, presents,
    price::{self, PriceChange},
    real_number,
    search::{self, ListQuery, SearchCondition, SearchQuery, TimeRange},
    shop_phone, sku_decision, virtual_number,
};

on_pay!(hook);

fn hook(event: &Event, _: &Order, _: Pay) -> Outcome {
    let id = &event.order_id();
    tell("notes.set-merchant-notes", notes::set_merchant_notes(id, "every operation"));
    let change = PriceChange { product_id: "10000154828123".into(), sku_id: "3616331648".into(), change_price: 1 };
    tell("price.change", price::change(id, &[change], Some(0)));
    tell("address.change", address::change(id, &new_address()));
    tell("address-decision.accept", address_decision::accept(id));
    tell("address-decision.reject", address_decision::reject(id));
    tell("sku-decision.waiting", sku_decision::waiting(1, 10).map(|ids| ids.len()));
    tell("sku-decision.approve", sku_decision::approve(id));
    tell("sku-decision.reject", sku_decision::reject(id));
    tell("presents.set-note", presents::set_note(id, "gift"));
    tell("presents.sub-orders", presents::sub_orders(id).map(|ids| ids.len()));
    tell("delivery.companies", delivery::companies(false).map(|companies| !companies.is_empty()));
    tell("delivery.send", delivery::send(id, &[parcel("SF1")]));
    tell("delivery.change-all", delivery::change_all(id, &[parcel("SF2")]));
    tell("delivery.change-some", delivery::change_some(id, &[ParcelChange { old: parcel("SF2"), new: parcel("SF3") }]));
    tell("delivery.compensate", delivery::compensate(id, 1, &[parcel("SF4")]));
    let answer = AuditItem { item_name: "weight".into(), item_value: "1".into() };
    tell("delivery.submit-inspection", delivery::submit_inspection(id, &[answer]));
    tell("decode.sensitive-info", decode::sensitive_info(id).map(|decoded| decoded.virtual_number_info.is_some()));
    tell("virtual-number.apply-again", virtual_number::apply_again(id).map(|renewed| renewed.apply_quota));
    tell("virtual-number.delay", virtual_number::delay(id, 0).map(|extended| extended.available_extend_num));
    tell("real-number.apply", real_number::apply(id, 1, "cannot ship", &["media".into()]).map(|task| task.len()));
    tell("real-number.audit", real_number::audit(id).map(|audit| audit.state()));
    tell("shop-phone.send-verify-code", shop_phone::send_verify_code("13800000000"));
    tell("shop-phone.add-phone", shop_phone::add_phone("13800000000", "1234", "staff").map(|answer| answer.status));
    tell("shop-phone.get-phone", shop_phone::get_phone("13800000000").map(|answer| answer.status));
    tell("search.list-orders", search::list_orders(&list_query(event)).map(|page| page.order_ids.len()));
    tell("search.search-orders", search::search_orders(&search_query(id)).map(|page| page.order_ids.len()));
    Ok(())
}

fn tell<T: Debug>(operation: &str, answer: Result<T, Error>) {
    match answer {
        Ok(value) => log!(Info, "{operation} ok {value:?}"),
        Err(error) => log!(Info, "{operation} {error:?}"),
    }
}

fn parcel(waybill: &str) -> Parcel {
    Parcel {
        delivery_id: "SF".into(),
        waybill_id: waybill.into(),
        deliver_type: 1,
        product_infos: vec![ParcelItem {
            product_id: "10000154828123".into(),
            sku_id: "3616331648".into(),
            product_cnt: 1,
        }],
    }
}

fn new_address() -> NewAddress {
    NewAddress {
        user_name: "收件人".into(),
        postal_code: "310000".into(),
        province_name: "浙江省".into(),
        city_name: "杭州市".into(),
        county_name: "滨江区".into(),
        detail_info: "某路 1 号".into(),
        national_code: "330108".into(),
        tel_number: "13800000000".into(),
        house_number: "1".into(),
        virtual_order_tel_number: String::new(),
    }
}

fn list_query(event: &Event) -> ListQuery {
    let end_time = event.created_at();
    ListQuery {
        create_time_range: Some(TimeRange { start_time: end_time - 86_400, end_time }),
        update_time_range: None,
        status: None,
        openid: None,
        page_size: 10,
        next_key: None,
    }
}

fn search_query(order_id: &str) -> SearchQuery {
    SearchQuery {
        search_condition: SearchCondition {
            title: None,
            sku_code: None,
            user_name: None,
            tel_number_last4: None,
            order_id: Some(order_id.into()),
            merchant_notes: None,
            customer_notes: None,
            address_under_review: None,
        },
        on_aftersale_order_exist: None,
        status: None,
        page_size: 10,
        next_key: None,
    }
}
