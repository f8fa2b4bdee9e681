//! The handle over HTTP, for the program `fake-weixin`: the same arranging and driving under `/control`.
//! It hands out secrets: it is for loopback and for tests.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::faults::{Fault, Target};
use crate::orders::address::Address;
use crate::orders::new::NewOrder;
use crate::platform::{Inner, PlatformError};
use crate::shops::{NewShop, Shop};
use crate::steps::Step;

type Held = Shared<Arc<Inner>>;

pub(crate) fn router() -> Router<Arc<Inner>> {
    Router::new()
        .route("/component", get(component))
        .route("/point", post(point))
        .route("/ticket", post(ticket))
        .route("/shops", get(shops).post(add_shop))
        .route("/shops/{appid}/tokens", post(issue_tokens))
        .route("/shops/{appid}/expire", post(expire))
        .route("/shops/{appid}/authorize", post(authorize))
        .route("/shops/{appid}/revoke", post(revoke))
        .route("/shops/{appid}/orders", get(orders).post(add_order))
        .route("/shops/{appid}/orders/load", post(load_order))
        .route("/orders/{id}", get(order))
        .route("/orders/{id}/steps", post(step))
        .route("/faults", post(fail).delete(heal))
        .route("/time", get(time).post(advance))
        .route("/ledger/calls", get(calls))
        .route("/ledger/pushes", get(pushes))
}

fn refused(status: StatusCode, why: impl std::fmt::Display) -> Response {
    (status, Json(json!({"error": why.to_string()}))).into_response()
}

fn done(result: Result<Value, PlatformError>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(error @ PlatformError::Refused(_)) => refused(StatusCode::CONFLICT, error),
        Err(error) => refused(StatusCode::NOT_FOUND, error),
    }
}

fn shown(shop: &Shop) -> Value {
    json!({
        "appid": shop.appid, "user_name": shop.user_name, "name": shop.name, "kind": shop.kind,
        "permission_sets": shop.permission_sets, "authorized": shop.authorized, "callback_url": shop.callback_url,
        "appsecret": shop.appsecret(), "token": shop.token(), "encoding_aes_key": shop.encoding_aes_key(),
    })
}

async fn component(Shared(inner): Held) -> Json<Value> {
    inner.quietly(|state, _| {
        let c = &state.component;
        Json(json!({
            "component_appid": c.appid, "component_appsecret": c.appsecret(), "token": c.token(),
            "encoding_aes_key": c.encoding_aes_key(), "authorization_url": c.authorization_url,
            "message_url": c.message_url,
        }))
    })
}

#[derive(Deserialize)]
struct Point {
    host: String,
}

async fn point(Shared(inner): Held, Json(point): Json<Point>) -> Json<Value> {
    inner.point_at(&point.host);
    Json(json!({}))
}

async fn ticket(Shared(inner): Held) -> Json<Value> {
    Json(json!({"push": inner.with(|state, now_ms| state.push_ticket(now_ms))}))
}

async fn shops(Shared(inner): Held) -> Json<Value> {
    Json(inner.quietly(|state, _| state.shops.values().map(shown).collect()))
}

async fn add_shop(Shared(inner): Held, Json(new): Json<NewShop>) -> Response {
    done(inner.add_shop(new).map(|shop| shown(&shop)))
}

async fn issue_tokens(Shared(inner): Held, Path(appid): Path<String>) -> Response {
    match inner.with(|state, now_ms| state.issue_tokens(&appid, now_ms)) {
        None => refused(StatusCode::NOT_FOUND, format!("no shop {appid}")),
        Some(issued) => Json(json!({
            "access_token": issued.access(), "refresh_token": issued.refresh(), "expires_in": issued.expires_in,
            "access_id": issued.access_id,
        }))
        .into_response(),
    }
}

async fn expire(Shared(inner): Held, Path(appid): Path<String>) -> Json<Value> {
    // The component's own tokens have no shop.
    let appid = if appid == "component" { "" } else { &appid };
    Json(json!({"expired": inner.with(|state, now_ms| state.tokens.expire(appid, now_ms))}))
}

#[derive(Deserialize)]
struct Authorize {
    permission_sets: BTreeSet<u16>,
    #[serde(default)]
    pre_auth_code: String,
}

async fn authorize(Shared(inner): Held, Path(appid): Path<String>, Json(given): Json<Authorize>) -> Response {
    let code = inner.with(|state, now_ms| state.authorize(&appid, given.permission_sets, &given.pre_auth_code, now_ms));
    match code {
        Some(code) => Json(json!({"auth_code": code})).into_response(),
        None => refused(StatusCode::NOT_FOUND, format!("no authorized shop {appid}")),
    }
}

async fn revoke(Shared(inner): Held, Path(appid): Path<String>) -> Json<Value> {
    Json(json!({"revoked": inner.with(|state, now_ms| state.revoke(&appid, now_ms))}))
}

async fn orders(Shared(inner): Held, Path(appid): Path<String>) -> Json<Value> {
    Json(inner.quietly(|state, _| state.orders.values().filter(|o| o.appid == appid).map(|o| json!(o.id)).collect()))
}

async fn add_order(Shared(inner): Held, Path(appid): Path<String>, Json(new): Json<NewOrder>) -> Response {
    let placed = inner.with(|state, now_ms| state.place(&appid, new, now_ms));
    done(placed.map(|id| json!({"order_id": id})).map_err(PlatformError::Name))
}

#[derive(Deserialize)]
struct Load {
    order: Value,
    #[serde(default)]
    address: Address,
}

async fn load_order(Shared(inner): Held, Path(appid): Path<String>, Json(load): Json<Load>) -> Response {
    let loaded = inner.with(|state, _| state.load(&appid, load.order, load.address));
    done(loaded.map(|id| json!({"order_id": id})).map_err(PlatformError::Name))
}

async fn order(Shared(inner): Held, Path(id): Path<String>) -> Response {
    match inner.quietly(|state, now_ms| state.orders.get(&id).map(|o| o.shown(now_ms))) {
        Some(order) => Json(order).into_response(),
        None => refused(StatusCode::NOT_FOUND, format!("no order {id}")),
    }
}

async fn step(Shared(inner): Held, Path(id): Path<String>, Json(step): Json<Step>) -> Response {
    let stepped = inner.with(|state, now_ms| {
        state.step(&id, &step, now_ms)?;
        Ok::<_, PlatformError>(state.orders.get(&id).map(|o| o.shown(now_ms)).unwrap_or_default())
    });
    done(stepped)
}

#[derive(Deserialize)]
struct Fail {
    #[serde(default)]
    target: Target,
    #[serde(default = "once")]
    times: u64,
    #[serde(flatten)]
    fault: Fault,
}

fn once() -> u64 {
    1
}

async fn fail(Shared(inner): Held, Json(fail): Json<Fail>) -> Json<Value> {
    inner.with(|state, _| state.faults.add(fail.target, fail.times, fail.fault));
    Json(json!({}))
}

async fn heal(Shared(inner): Held) -> Json<Value> {
    inner.with(|state, _| state.faults.clear());
    Json(json!({}))
}

async fn time(Shared(inner): Held) -> Json<Value> {
    Json(json!({"now_ms": inner.clock.now_ms()}))
}

#[derive(Deserialize)]
struct Advance {
    seconds: u32,
}

async fn advance(Shared(inner): Held, Json(advance): Json<Advance>) -> Json<Value> {
    let target = inner.clock.now_ms() + i64::from(advance.seconds) * 1000;
    inner.advance_to_ms(target).await;
    Json(json!({"now_ms": inner.clock.now_ms()}))
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: usize,
    #[serde(default = "many")]
    limit: usize,
}

fn many() -> usize {
    1000
}

async fn calls(Shared(inner): Held, Query(page): Query<After>) -> Json<Value> {
    Json(inner.quietly(|state, _| {
        let calls: Vec<Value> = state.calls.iter().skip(page.after).take(page.limit).map(|c| json!(c)).collect();
        json!({"calls": calls, "total": state.calls.len()})
    }))
}

async fn pushes(Shared(inner): Held, Query(page): Query<After>) -> Json<Value> {
    Json(inner.quietly(|state, _| {
        let all = state.outbox.pushes();
        let pushes: Vec<Value> = all.iter().skip(page.after).take(page.limit).map(|p| json!(p)).collect();
        json!({"pushes": pushes, "total": all.len()})
    }))
}
