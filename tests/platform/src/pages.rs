//! The authorization pages (platform page 2.2), for computers and for phones: they show the accounts; the same address
//! with `&shop=APPID` is that merchant's confirmation, and sends the browser back with the code.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use crate::platform::Inner;
use crate::shops::{ORDERS_SET, SHOP_SET, ShopKind};

/// The page for computers.
pub(crate) const PC: &str = "/cgi-bin/componentloginpage";
/// The page for phones.
pub(crate) const H5: &str = "/wxaopen/safe/bindcomponent";

pub(crate) fn router() -> Router<Arc<Inner>> {
    Router::new().route(PC, get(page).post(page)).route(H5, get(page).post(page))
}

#[derive(Deserialize)]
struct Asked {
    component_appid: String,
    pre_auth_code: String,
    redirect_uri: String,
    auth_type: Option<String>,
    biz_appid: Option<String>,
    /// Who confirms; none: the page with everybody.
    shop: Option<String>,
    /// Permission sets that the merchant leaves switched on, joined with commas; none: 130 and 131.
    sets: Option<String>,
}

/// Outcome of a confirmation.
enum Confirmed {
    Back(String),
    /// The platform's own words, and no way back.
    Stays(&'static str),
}

async fn page(Shared(inner): Shared<Arc<Inner>>, Query(asked): Query<Asked>) -> Response {
    let known = inner.with(|state, now_ms| {
        state.component.appid == asked.component_appid && state.tokens.knows_pre_auth_code(&asked.pre_auth_code, now_ms)
    });
    if !known || (asked.auth_type.is_none() && asked.biz_appid.is_none()) {
        return (StatusCode::OK, Html("<p>请求参数错误 or the code is over</p>")).into_response();
    }
    let Some(shop) = asked.shop.clone() else { return Html(list(&inner, &asked)).into_response() };
    match confirm(&inner, &asked, &shop) {
        Confirmed::Back(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Confirmed::Stays(words) => Html(format!("<p>{words}</p>")).into_response(),
    }
}

fn confirm(inner: &Inner, asked: &Asked, shop: &str) -> Confirmed {
    if asked.biz_appid.as_deref().is_some_and(|only| only != shop) {
        return Confirmed::Stays("this account is not the one asked for");
    }
    let sets = match &asked.sets {
        None => [SHOP_SET, ORDERS_SET].into(),
        Some(sets) => sets.split(',').filter_map(|id| id.parse().ok()).collect(),
    };
    inner.with(|state, now_ms| {
        let Some(code) = state.authorize(shop, sets, &asked.pre_auth_code, now_ms) else {
            return Confirmed::Stays("no such account");
        };
        if state.settings.authorization_faults.no_redirect {
            return Confirmed::Stays("authorized; the page is not redirected");
        }
        let mark = if asked.redirect_uri.contains('?') { '&' } else { '?' };
        let life_s = state.settings.code_life_s;
        Confirmed::Back(format!("{}{mark}auth_code={code}&expires_in={life_s}", asked.redirect_uri))
    })
}

fn list(inner: &Inner, asked: &Asked) -> String {
    let accounts = inner.with(|state, _| {
        let shops = state.shops.values().filter(|shop| shop.kind == ShopKind::Authorized);
        shops.map(|shop| format!("<li>{} ({}): add &amp;shop={0}</li>", shop.appid, shop.name)).collect::<String>()
    });
    format!("<h1>{}</h1><p>Add the account to this address to confirm:</p><ul>{accounts}</ul>", asked.component_appid)
}
