//! Asking about quotas, and clearing them.

use serde_json::{Value, json};

use crate::operations::Call;
use crate::refusal::Refusal;

pub(super) fn get(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let path = call.input.full_text("cgi_path")?;
    if super::find(path).is_none() {
        return Err(Refusal::argument("cgi_path is not known"));
    }
    let limit = call.state.settings.daily_quota.get(path).copied();
    let used = call.state.quotas.used(&call.appid, path, call.now_ms);
    let daily_limit = limit.unwrap_or(1_000_000);
    let minute = call.state.settings.minute_quota.get(path).copied();
    let mut answer =
        json!({"quota": {"daily_limit": daily_limit, "used": used, "remain": daily_limit.saturating_sub(used)}});
    if let Some(call_count) = minute {
        answer["rate_limit"] = json!({"call_count": call_count, "refresh_second": 60});
    }
    Ok(answer)
}

pub(super) fn clear(call: &mut Call<'_>) -> Result<Value, Refusal> {
    let appid = call.input.full_text("appid")?;
    if appid != call.appid {
        return Err(Refusal::new(40013, "invalid appid"));
    }
    call.state.quotas.clear(&call.appid, call.now_ms)?;
    Ok(json!({}))
}
