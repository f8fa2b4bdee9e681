//! Reading orders: list, one, search.

use serde_json::{Value, json};

use crate::operations::Call;
use crate::operations::input::Input;
use crate::orders::order::Order;
use crate::refusal::Refusal;

const SEVEN_DAYS_S: i64 = 7 * 86_400;

pub(super) fn get(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let id = call.order_id()?;
    let now_ms = call.now_ms;
    Ok(json!({"order": call.own(&id)?.shown(now_ms)}))
}

pub(super) fn list(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let created = range(call.input, "create_time_range")?;
    let updated = range(call.input, "update_time_range")?;
    if created.is_none() && updated.is_none() {
        return Err(Refusal::argument("create_time_range or update_time_range is needed"));
    }
    let status = call.input.opt_number("status")?;
    let openid = call.input.opt_text("openid")?.filter(|openid| !openid.is_empty());
    let within = |range: &Option<(i64, i64)>, time: i64| range.is_none_or(|(from, to)| (from..=to).contains(&time));
    page(call, "order_id_list", |order| {
        within(&created, order.create_time())
            && within(&updated, order.update_time())
            && status.is_none_or(|status| order.status() == status)
            && openid.is_none_or(|openid| order.openid() == openid)
    })
}

fn range(input: Input<'_>, name: &str) -> Result<Option<(i64, i64)>, Refusal> {
    let Some(range) = input.opt_object(name)? else { return Ok(None) };
    let (from, to) = (range.number("start_time")?, range.number("end_time")?);
    if from > to || to - from > SEVEN_DAYS_S {
        return Err(Refusal::argument(format!("{name} must span at most 7 days")));
    }
    Ok(Some((from, to)))
}

pub(super) fn search(call: &mut Call<'_>) -> Result<Value, Refusal> {
    const CONDITIONS: [&str; 9] = [
        "title",
        "sku_code",
        "user_name",
        "tel_number",
        "tel_number_last4",
        "order_id",
        "merchant_notes",
        "customer_notes",
        "address_under_review",
    ];
    let condition = call
        .input
        .opt_object("search_condition")?
        .filter(|c| CONDITIONS.iter().any(|name| c.get(name).is_some_and(|v| v != &json!(""))))
        .ok_or_else(|| Refusal::argument("search_condition needs at least one condition"))?;
    let mut texts = [""; 8];
    for (text, name) in texts.iter_mut().zip(CONDITIONS) {
        *text = match name {
            "order_id" => "",
            _ => condition.opt_text(name)?.unwrap_or(""),
        };
    }
    let [title, sku_code, user_name, tel, last4, _, merchant_notes, customer_notes] = texts;
    let order_id = match condition.get("order_id") {
        Some(id) if id != &json!("") => Some(condition.id("order_id")?),
        _ => None,
    };
    let under_review = condition.opt_bool("address_under_review")?;
    let aftersale = call.input.opt_number("on_aftersale_order_exist")?;
    let status = call.input.opt_number("status")?;
    page(call, "orders", |order| {
        let ext = &order.doc["order_detail"]["ext_info"];
        let holds = |value: &Value, part: &str| part.is_empty() || value.as_str().is_some_and(|v| v.contains(part));
        let in_aftersale = order.doc["aftersale_detail"]["on_aftersale_order_cnt"].as_i64().unwrap_or(0) > 0;
        (title.is_empty() || order.products().iter().any(|p| holds(&p["title"], title)))
            && (sku_code.is_empty() || order.products().iter().any(|p| p["sku_code"] == json!(sku_code)))
            && (user_name.is_empty() || order.address.user_name == user_name)
            && (tel.is_empty() || order.address.tel_number == tel)
            && (last4.is_empty() || order.address.tel_number.ends_with(last4))
            && order_id.as_ref().is_none_or(|id| order.id == *id)
            && holds(&ext["merchant_notes"], merchant_notes)
            && holds(&ext["customer_notes"], customer_notes)
            && under_review.is_none_or(|wanted| order.request.is_some() == wanted)
            && aftersale.is_none_or(|wanted| in_aftersale == (wanted == 1))
            && status.is_none_or(|status| order.status() == status)
    })
}

/// A page of the shop's orders, oldest first; the key names the last one given.
fn page(call: &mut Call<'_>, member: &str, wanted: impl Fn(&Order) -> bool) -> Result<Value, Refusal> {
    let size = call.input.page_size()?;
    let after = match call.input.opt_text("next_key")? {
        None | Some("") => None,
        Some(key) => {
            let (time, id) = key.split_once('-').ok_or_else(|| Refusal::argument("next_key is not known"))?;
            let time: i64 = time.parse().map_err(|_| Refusal::argument("next_key is not known"))?;
            Some((time, id.to_owned()))
        }
    };
    let mut found: Vec<(i64, String)> = call
        .state
        .orders
        .values()
        .filter(|order| order.appid == call.appid && wanted(order))
        .map(|order| (order.create_time(), order.id.clone()))
        .filter(|position| after.as_ref().is_none_or(|after| position > after))
        .collect();
    found.sort_unstable();
    let has_more = found.len() > size;
    found.truncate(size);
    let next_key = match (has_more, found.last()) {
        (true, Some((time, id))) => format!("{time}-{id}"),
        _ => String::new(),
    };
    let ids: Vec<String> = found.into_iter().map(|(_, id)| id).collect();
    Ok(json!({member: ids, "next_key": next_key, "has_more": has_more}))
}
