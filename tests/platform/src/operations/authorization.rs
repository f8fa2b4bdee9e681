//! Tickets, tokens and authorizations (platform page 2). Answers carry no errcode, as in the official examples.

use serde_json::{Value, json};

use crate::operations::Call;
use crate::refusal::Refusal;
use crate::settings::RefreshRotation;
use crate::shops::{Shop, ShopKind};
use crate::tokens::Holder;

fn check_component(call: &Call<'_>) -> Result<(), Refusal> {
    match call.input.opt_text("component_appid")? {
        None | Some("") => Err(Refusal::new(41018, "missing component_appid")),
        Some(appid) if appid != call.state.component.appid => Err(Refusal::new(40013, "invalid appid")),
        Some(_) => Ok(()),
    }
}

fn check_secret(call: &Call<'_>, member: &str, secret: &str) -> Result<(), Refusal> {
    match call.input.opt_text(member)? {
        None | Some("") => Err(Refusal::new(41004, "appsecret missing")),
        Some(given) if given != secret => Err(Refusal::new(40125, "invalid appsecret")),
        Some(_) => Ok(()),
    }
}

pub(super) fn start_push_ticket(call: &mut Call<'_>) -> Result<Value, Refusal> {
    check_component(call)?;
    check_secret(call, "component_secret", &call.state.component.appsecret)?;
    call.state.start_tickets(call.now_ms);
    Ok(json!({}))
}

pub(super) fn component_token(call: &mut Call<'_>) -> Result<Value, Refusal> {
    check_component(call)?;
    check_secret(call, "component_appsecret", &call.state.component.appsecret)?;
    let ticket = call.input.opt_text("component_verify_ticket")?.unwrap_or("");
    call.state.tokens.check_ticket(ticket, call.now_ms)?;
    let (life_s, overlap_s) = (call.state.settings.token_life_s, call.state.settings.component_overlap_s);
    let (id, value) = call.state.tokens.issue(&mut call.state.dice, Holder::Component, life_s, overlap_s, call.now_ms);
    call.issued = Some(id);
    Ok(json!({"component_access_token": value, "expires_in": life_s}))
}

pub(super) fn pre_auth_code(call: &mut Call<'_>) -> Result<Value, Refusal> {
    check_component(call)?;
    let life_s = call.state.settings.pre_auth_life_s;
    let code = call.state.tokens.new_pre_auth_code(&mut call.state.dice, life_s, call.now_ms);
    Ok(json!({"pre_auth_code": code, "expires_in": life_s}))
}

pub(super) fn query_auth(call: &mut Call<'_>) -> Result<Value, Refusal> {
    check_component(call)?;
    let code = call.input.full_text("authorization_code")?.to_owned();
    let appid = call.state.tokens.use_authorization_code(&code, call.now_ms)?;
    let issued = call
        .state
        .issue_tokens(&appid, call.now_ms)
        .ok_or_else(|| Refusal::new(61003, "component is not authorized"))?;
    call.issued = Some(issued.access_id.clone());
    let sets = call.state.shops.get(&appid).map(func_info).unwrap_or_default();
    Ok(json!({"authorization_info": {
        "authorizer_appid": appid, "authorizer_access_token": issued.access(), "expires_in": issued.expires_in,
        "authorizer_refresh_token": issued.refresh(), "func_info": sets,
    }}))
}

fn authorizer(call: &Call<'_>) -> Result<String, Refusal> {
    let appid = call.input.opt_text("authorizer_appid")?.unwrap_or("");
    let shop = call.state.shops.get(appid).filter(|s| s.kind == ShopKind::Authorized);
    match shop {
        None => Err(Refusal::new(40013, "invalid authorizer_appid")),
        Some(shop) if !shop.authorized => Err(Refusal::new(61003, "component is not authorized by this account")),
        Some(shop) => Ok(shop.appid.clone()),
    }
}

pub(super) fn authorizer_token(call: &mut Call<'_>) -> Result<Value, Refusal> {
    check_component(call)?;
    let appid = authorizer(call)?;
    let refresh = call.input.opt_text("authorizer_refresh_token")?.unwrap_or("").to_owned();
    call.state.tokens.check_refresh(&appid, &refresh)?;
    let rotation = call.state.settings.refresh_rotation;
    let refresh = match rotation {
        RefreshRotation::Never => refresh,
        RefreshRotation::KeepsOld => call.state.tokens.new_refresh(&mut call.state.dice, &appid, false),
        RefreshRotation::KillsOld => call.state.tokens.new_refresh(&mut call.state.dice, &appid, true),
    };
    let (life_s, overlap_s) = (call.state.settings.token_life_s, call.state.settings.authorizer_overlap_s);
    let holder = Holder::Authorizer(appid);
    let (id, value) = call.state.tokens.issue(&mut call.state.dice, holder, life_s, overlap_s, call.now_ms);
    call.issued = Some(id);
    Ok(json!({"authorizer_access_token": value, "expires_in": life_s, "authorizer_refresh_token": refresh}))
}

fn func_info(shop: &Shop) -> Vec<Value> {
    shop.permission_sets.iter().map(|id| json!({"funcscope_category": {"id": id}})).collect()
}

pub(super) fn authorizer_info(call: &mut Call<'_>) -> Result<Value, Refusal> {
    check_component(call)?;
    let appid = authorizer(call)?;
    let refresh = call.state.tokens.current_refresh(&appid);
    let shop = call.state.shops.get(&appid).ok_or_else(|| Refusal::new(40013, "invalid authorizer_appid"))?;
    let mut answer = json!({
        "authorizer_info": {
            "nick_name": shop.name, "head_img": "", "service_type_info": {"id": 0}, "verify_type_info": {"id": 0},
            "user_name": shop.user_name, "principal_name": shop.name, "alias": "", "qrcode_url": "",
            "business_info": {}, "account_status": 1,
        },
        "authorization_info": {
            "authorizer_appid": appid, "authorizer_refresh_token": refresh, "func_info": func_info(shop),
        },
    });
    if shop.store {
        answer["authorizer_info"]["store_info"] = json!({"id": 0});
    }
    Ok(answer)
}

pub(super) fn authorizer_list(call: &mut Call<'_>) -> Result<Value, Refusal> {
    check_component(call)?;
    let offset = usize::try_from(call.input.number("offset")?).map_err(|_| Refusal::argument("offset is negative"))?;
    let count = usize::try_from(call.input.number("count")?).unwrap_or(0);
    if !(1..=500).contains(&count) {
        return Err(Refusal::argument("count must be 1 to 500"));
    }
    let shops: Vec<&Shop> =
        call.state.shops.values().filter(|s| s.kind == ShopKind::Authorized && s.authorized).collect();
    let list: Vec<Value> = shops
        .iter()
        .skip(offset)
        .take(count)
        .map(|shop| {
            let refresh = call.state.tokens.current_refresh(&shop.appid);
            json!({"authorizer_appid": shop.appid, "refresh_token": refresh, "auth_time": shop.auth_time})
        })
        .collect();
    Ok(json!({"total_count": shops.len(), "list": list}))
}

/// A self-built shop's token: the same one again while it lives, unless a new one is forced.
pub(super) fn stable_token(call: &mut Call<'_>) -> Result<Value, Refusal> {
    if call.input.opt_text("grant_type")? != Some("client_credential") {
        return Err(Refusal::new(40002, "invalid grant_type"));
    }
    let appid =
        call.input.opt_text("appid")?.filter(|a| !a.is_empty()).ok_or_else(|| Refusal::new(41002, "appid missing"))?;
    let force = call.input.opt_bool("force_refresh")?.unwrap_or(false);
    let shop = call
        .state
        .shops
        .get(appid)
        .filter(|s| s.kind == ShopKind::SelfBuilt)
        .ok_or_else(|| Refusal::new(40013, "invalid appid"))?;
    check_secret(call, "secret", &shop.appsecret)?;
    let appid = appid.to_owned();
    let life_s = call.state.settings.token_life_s;
    let newest = call.state.tokens.newest(&appid, call.now_ms).filter(|_| !force);
    if let Some((id, value, left_s)) = newest {
        call.issued = Some(id);
        call.changed = false;
        return Ok(json!({"access_token": value, "expires_in": left_s}));
    }
    // A forced one ends its predecessor.
    let (id, value) = call.state.tokens.issue(&mut call.state.dice, Holder::SelfBuilt(appid), life_s, 0, call.now_ms);
    call.issued = Some(id);
    Ok(json!({"access_token": value, "expires_in": life_s}))
}
