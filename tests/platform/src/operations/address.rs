//! Addresses: the merchant's change, and the decision on a buyer's.

use serde_json::{Value, json};

use crate::operations::Call;
use crate::orders::address::Address;
use crate::refusal::Refusal;

pub(super) fn change(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let id = call.order_id()?;
    let given = call.input.opt_object("user_address")?.ok_or_else(|| Refusal::argument("user_address is missing"))?;
    let required: &[&str] = match call.own(&id)?.deliver_method() {
        1 => &["virtual_order_tel_number"],
        _ => &["user_name", "province_name", "city_name", "detail_info", "tel_number"],
    };
    for name in required {
        given.full_text(name)?;
    }
    let text = |name: &str| Ok::<_, Refusal>(given.opt_text(name)?.unwrap_or("").to_owned());
    let address = Address {
        user_name: text("user_name")?,
        postal_code: text("postal_code")?,
        province_name: text("province_name")?,
        city_name: text("city_name")?,
        county_name: text("county_name")?,
        detail_info: text("detail_info")?,
        national_code: text("national_code")?,
        tel_number: text("tel_number")?,
        house_number: text("house_number")?,
        virtual_order_tel_number: text("virtual_order_tel_number")?,
    };
    call.state.propose_address(&id, address, call.now_ms)?;
    Ok(json!({}))
}

pub(super) fn accept(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let id = call.order_id()?;
    call.state.decide_address(&id, true, call.now_ms)?;
    Ok(json!({}))
}

pub(super) fn reject(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let id = call.order_id()?;
    call.state.decide_address(&id, false, call.now_ms)?;
    Ok(json!({}))
}
