//! The API over HTTP: from a request to the ledger, through faults, latency and the table.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State as Shared};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::answer::play;
use crate::control;
use crate::door::Door;
use crate::faults::Fault;
use crate::ledger::{self, Call as Entry};
use crate::operations::input::Input;
use crate::operations::{self, Access, Call, Operation};
use crate::pages;
use crate::platform::Inner;
use crate::refusal::Refusal;
use crate::shops::ORDERS_SET;
use crate::state::State;

/// Larger bodies get 45002.
const LARGEST_BODY: usize = 1024 * 1024;

pub(crate) async fn serve(door: Door, inner: Arc<Inner>) {
    let mut stop = inner.stop.subscribe();
    let router = Router::new()
        .nest("/control", control::router())
        .merge(pages::router())
        .fallback(api)
        .layer(DefaultBodyLimit::max(16 * LARGEST_BODY))
        .with_state(inner);
    let stopped = async move {
        let _ = stop.wait_for(|stopped| *stopped).await;
    };
    // An accept error ends nothing; only stop does.
    let _ = axum::serve(door, router).with_graceful_shutdown(stopped).await;
}

/// A call that arrived is carried out even if its caller goes away meanwhile, so it has a task of its own.
async fn api(Shared(inner): Shared<Arc<Inner>>, method: Method, uri: Uri, body: Bytes) -> Response {
    match tokio::spawn(handle(inner, method, uri, body)).await {
        Ok(Some((fault, answer))) => play(fault, answer).await,
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The answer and the fault to play with it; none for a path that nobody knows.
async fn handle(inner: Arc<Inner>, method: Method, uri: Uri, body: Bytes) -> Option<(Option<Fault>, String)> {
    let token = token_of(uri.query().unwrap_or(""));
    let Some(operation) = operations::find(uri.path()) else {
        note_unknown(&inner, uri.path());
        return None;
    };
    let request = parse(&method, &body);
    let begun = begin(&inner, operation, &token, request);
    let Begun { entry, fault, latency, decision } = begun;
    let mut busy = BusyOrder::default();
    let decision = match decision {
        Ok(admitted) if fault.as_ref().is_none_or(Fault::applies) => {
            match BusyOrder::take(&inner, operation, &admitted) {
                Ok(taken) => {
                    busy = taken;
                    if !latency.is_zero() {
                        tokio::time::sleep(latency).await;
                    }
                    Some(run(&inner, operation, admitted, entry))
                }
                Err(refusal) => Some(Err(refusal)),
            }
        }
        Ok(_) => match &fault {
            Some(Fault::Errcode { code }) => Some(Err(Refusal::new(*code, said(*code)))),
            _ => None,
        },
        Err(refusal) => match &fault {
            // A fault hides what the platform would have said.
            Some(Fault::Errcode { code }) => Some(Err(Refusal::new(*code, said(*code)))),
            Some(fault) if !fault.applies() => None,
            _ => Some(Err(refusal)),
        },
    };
    drop(busy);
    let decision = match &fault {
        // Whatever was done, this is what is said of it.
        Some(Fault::ErrcodeApplied { code }) => Some(Err(Refusal::new(*code, said(*code)))),
        _ => decision,
    };
    let answer = end(&inner, entry, decision);
    Some((fault, answer))
}

/// `access_token`, or `component_access_token` as older pages spell it.
fn token_of(query: &str) -> String {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| matches!(*name, "access_token" | "component_access_token"))
        .map(|(_, value)| value.to_owned())
        .unwrap_or_default()
}

fn parse(method: &Method, body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    if method != Method::POST {
        return Err(Refusal::new(43002, "require POST method"));
    }
    if body.is_empty() {
        return Err(Refusal::new(44002, "empty post data"));
    }
    if body.len() > LARGEST_BODY {
        return Err(Refusal::new(45002, "content size out of limit"));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(Refusal::malformed("data format error")),
    }
}

/// A call that may be carried out.
struct Admitted {
    appid: String,
    request: Map<String, Value>,
}

struct Begun {
    /// Its place in the ledger.
    entry: usize,
    fault: Option<Fault>,
    latency: Duration,
    decision: Result<Admitted, Refusal>,
}

/// Writes the call into the ledger and checks token, permission, body and quota, in this order.
fn begin(
    inner: &Inner,
    operation: &'static Operation,
    token: &str,
    request: Result<Map<String, Value>, Refusal>,
) -> Begun {
    inner.with(|state, now_ms| {
        let (bearer, verdict) = if token.is_empty() && operation.access == Access::Open {
            (None, Ok(()))
        } else {
            state.tokens.judge(token, now_ms)
        };
        let members = request.as_ref().ok();
        let named = ["authorizer_appid", "appid"].iter().find_map(|name| members?.get(*name)?.as_str());
        let appid = bearer.as_ref().and_then(|b| b.holder.appid()).or(named).map(str::to_owned);
        let fault = state.faults.take(appid.as_deref(), operation.path);
        let entry = state.calls.len();
        let call = Entry {
            id: entry as u64 + 1,
            began: state.next_tick(),
            ended: 0,
            at_ms: now_ms,
            appid,
            token_id: bearer.as_ref().map(|b| b.id.clone()),
            path: operation.path.to_owned(),
            operation: Some(operation.name),
            request: members.map_or(Value::Null, |m| ledger::without_secrets(&Value::Object(m.clone()))),
            order_id: members.and_then(|m| Input(m).order_id()),
            errcode: None,
            applied: false,
            issued: None,
            fault: fault.clone(),
        };
        state.calls.push(call);
        let decision = operations::admit(state, operation, token, bearer.as_ref(), verdict).and_then(|appid| {
            let request = request?;
            if !appid.is_empty() {
                let State { settings, quotas, .. } = state;
                quotas.take(settings, &appid, operation.path, now_ms)?;
            }
            Ok(Admitted { appid, request })
        });
        Begun { entry, fault, latency: state.settings.latency, decision }
    })
}

/// Marks an order as being changed, so that a second change meanwhile gets 100003.
#[derive(Default)]
struct BusyOrder(Option<(Arc<Inner>, String)>);

impl BusyOrder {
    fn take(inner: &Arc<Inner>, operation: &Operation, admitted: &Admitted) -> Result<Self, Refusal> {
        let id = Input(&admitted.request).order_id();
        let Some(id) = id.filter(|_| operation.changes && operation.access == Access::Shop(ORDERS_SET)) else {
            return Ok(BusyOrder(None));
        };
        if inner.quietly(|state, _| state.busy.insert(id.clone())) {
            Ok(BusyOrder(Some((Arc::clone(inner), id))))
        } else {
            Err(Refusal::new(100003, "order updated too often, retry later"))
        }
    }
}

impl Drop for BusyOrder {
    fn drop(&mut self) {
        if let Some((inner, id)) = self.0.take() {
            inner.quietly(|state, _| state.busy.remove(&id));
        }
    }
}

fn run(inner: &Inner, operation: &'static Operation, admitted: Admitted, entry: usize) -> Result<Value, Refusal> {
    inner.with(|state, now_ms| {
        let mut call =
            Call { state, appid: admitted.appid, input: Input(&admitted.request), now_ms, changed: true, issued: None };
        let answer = operations::carry_out(operation, &mut call);
        let (changed, issued) = (call.changed, call.issued);
        if let Some(noted) = state.calls.get_mut(entry) {
            noted.applied = operation.changes && changed && answer.is_ok();
            noted.issued = issued;
        }
        answer
    })
}

/// Completes the ledger and spells the answer; none if a fault decided that there is none.
fn end(inner: &Inner, entry: usize, decision: Option<Result<Value, Refusal>>) -> String {
    inner.with(|state, _| {
        let ended = state.next_tick();
        let rid = format!("{}-{}-{}", state.dice.hex(8), state.dice.hex(8), state.dice.hex(8));
        let errcode = decision.as_ref().map(|d| d.as_ref().map_or_else(|r| r.code, |_| 0));
        if let Some(noted) = state.calls.get_mut(entry) {
            noted.ended = ended;
            noted.errcode = errcode;
        }
        match decision {
            None => String::new(),
            Some(Ok(answer)) => answer.to_string(),
            Some(Err(refusal)) => {
                json!({"errcode": refusal.code, "errmsg": format!("{} rid: {rid}", refusal.message)}).to_string()
            }
        }
    })
}

fn note_unknown(inner: &Inner, path: &str) {
    inner.with(|state, now_ms| {
        let (began, ended) = (state.next_tick(), state.next_tick());
        state.calls.push(Entry {
            id: state.calls.len() as u64 + 1,
            began,
            ended,
            at_ms: now_ms,
            appid: None,
            token_id: None,
            path: path.to_owned(),
            operation: None,
            request: Value::Null,
            order_id: None,
            errcode: None,
            applied: false,
            issued: None,
            fault: None,
        });
    });
}

fn said(code: i64) -> &'static str {
    match code {
        -1 => "system error",
        40001 => "invalid credential, access_token is invalid or not latest",
        40014 => "invalid access_token",
        42001 => "access_token expired",
        42007 => "access_token and refresh_token expired because of a changed password",
        45009 => "reach max api daily quota limit",
        45011 => "api minute-quota reach limit",
        48001 => "api unauthorized",
        61003 => "component is not authorized by this account",
        61004 => "access clientip is not registered",
        61007 => "api is unauthorized to component",
        61023 => "refresh_token is invalid",
        100002 => "order not found",
        100003 => "order updated too often, retry later",
        101100 => "order state does not allow this",
        _ => "refused",
    }
}
