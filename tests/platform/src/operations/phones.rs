//! The shop's own phones (permission set 130).

use serde_json::{Value, json};

use crate::operations::Call;
use crate::refusal::Refusal;

fn mobile(call: &Call<'_>) -> Result<String, Refusal> {
    let mobile = call.input.full_text("mobile")?;
    if mobile.len() == 11 && mobile.bytes().all(|b| b.is_ascii_digit()) {
        Ok(mobile.to_owned())
    } else {
        Err(Refusal::argument("mobile must have 11 digits"))
    }
}

pub(super) fn send_code(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let mobile = mobile(call)?;
    let code = call.state.dice.digits(6);
    let most = call.state.settings.max_phones;
    call.state.phones.send_code(&call.appid, &mobile, code, most, call.now_ms)?;
    Ok(json!({}))
}

pub(super) fn add(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let mobile = mobile(call)?;
    let code = call.input.full_text("verify_code")?;
    let name = call.input.full_text("wxusername")?;
    let proper = name.len() >= 6 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !proper {
        return Err(Refusal::new(40132, "invalid wxusername"));
    }
    let status = call.state.phones.add(&call.appid, &mobile, code, call.now_ms);
    let qrcode_url = format!("https://wst.wxapp.tc.qq.com/fake/{}", call.state.dice.hex(16));
    Ok(json!({"qrcode_url": qrcode_url, "status": status}))
}

pub(super) fn status(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let mobile = mobile(call)?;
    let review_s = call.state.settings.phone_review_s;
    let (status, fail_reason) = call.state.phones.status(&call.appid, &mobile, review_s, call.now_ms)?;
    Ok(json!({"status": status, "fail_reason": fail_reason}))
}
