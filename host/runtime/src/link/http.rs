//! `fangshi:host/http`: a request to a host that was approved by name. To the [`RunHost`](crate::RunHost) it is the operation
//! `http.send`, so that it is journaled, answered again and replayed as all others are.
//!
//! A body crosses as JSON text where it is UTF-8, else in base64 (`body_base64`): as a list of numbers it would take a
//! multiple of its bytes, in memory and in the journal.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower};

use super::error::GuestError;
use super::guarded;
use crate::limits::Met;
use crate::state::{RunState, Stop};

// No `Debug`: these hold what merchants' plugins send and get.
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Header {
    name: String,
    value: String,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct Request {
    method: String,
    url: String,
    headers: Vec<Header>,
    body: Vec<u8>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct Response {
    status: u32,
    headers: Vec<Header>,
    body: Vec<u8>,
}

pub(super) fn link(instance: &mut LinkerInstance<'_, RunState>) -> wasmtime::Result<()> {
    instance.func_wrap_async("send", |mut store: StoreContextMut<'_, RunState>, (request,): (Request,)| {
        Box::new(async move { Ok((send(store.data_mut(), request).await?,)) })
    })
}

async fn send(state: &mut RunState, request: Request) -> Result<Result<Response, GuestError>, Stop> {
    let bytes = request.bytes();
    state.pass_on(bytes).await?;
    let limits = &state.input.limits;
    let (requests, most) = (limits.http_requests, limits.http_request_bytes);
    if state.used.http_requests >= requests {
        return Err(Stop::Met(Met { limit: "http_requests", allowed: requests.into() }));
    }
    state.used.http_requests += 1;
    if !state.granted_http() {
        let text = "no host is approved: the grant of one, `http:HOST`, is needed";
        return Ok(Err(GuestError::Denied(text.into())));
    }
    if bytes > most {
        let text = format!("the request has {bytes} bytes; http_request_bytes allows {most}");
        return Ok(Err(GuestError::Invalid(text)));
    }
    match guarded(&mut state.waiting, state.host.operation("http", "send", request.into_json())).await? {
        Err(error) => GuestError::from_call(error).map(Err),
        Ok(answer) => {
            let response = Response::of_json(&answer)
                .ok_or_else(|| Stop::Fault("the answer does not fit `http#send`: a status is expected".into()))?;
            state.cross(response.bytes()).await?;
            Ok(Ok(response))
        }
    }
}

impl Request {
    fn bytes(&self) -> u64 {
        (self.method.len() + self.url.len() + self.body.len()) as u64 + headers_bytes(&self.headers)
    }

    fn into_json(self) -> Value {
        let headers: Vec<Value> =
            self.headers.into_iter().map(|header| json!({"name": header.name, "value": header.value})).collect();
        let mut members = Map::new();
        members.insert("method".into(), self.method.into());
        members.insert("url".into(), self.url.into());
        members.insert("headers".into(), headers.into());
        match String::from_utf8(self.body) {
            Ok(text) => members.insert("body".into(), text.into()),
            Err(error) => members.insert("body_base64".into(), STANDARD.encode(error.as_bytes()).into()),
        };
        Value::Object(members)
    }
}

impl Response {
    fn bytes(&self) -> u64 {
        self.body.len() as u64 + headers_bytes(&self.headers)
    }

    /// Headers and body may be absent: answers files are written by hand.
    fn of_json(answer: &Value) -> Option<Response> {
        let status = u32::try_from(answer.get("status")?.as_u64()?).ok()?;
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let mut headers = Vec::new();
        for header in answer.get("headers").and_then(Value::as_array).into_iter().flatten() {
            headers.push(Header { name: text(header, "name")?, value: text(header, "value")? });
        }
        let body = match answer.get("body_base64") {
            Some(coded) => STANDARD.decode(coded.as_str()?).ok()?,
            None => text(answer, "body").unwrap_or_default().into_bytes(),
        };
        Some(Response { status, headers, body })
    }
}

/// Each header counts four more than its text, which are what it takes on the line.
fn headers_bytes(headers: &[Header]) -> u64 {
    headers.iter().map(|header| (header.name.len() + header.value.len() + 4) as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &[u8]) -> Request {
        let header = Header { name: "accept".into(), value: "text/plain".into() };
        Request { method: "POST".into(), url: "https://a.example/".into(), headers: vec![header], body: body.into() }
    }

    #[test]
    fn a_body_crosses_as_text_or_in_base64() {
        let text = request("重量".as_bytes());
        assert_eq!(text.bytes(), 4 + 18 + 6 + 6 + 10 + 4);
        let headers = json!([{"name": "accept", "value": "text/plain"}]);
        let expected = json!({"method": "POST", "url": "https://a.example/", "headers": headers, "body": "重量"});
        assert_eq!(text.into_json(), expected);
        let bytes = request(&[0xff, 0x00]).into_json();
        assert_eq!((&bytes["body_base64"], bytes.get("body")), (&json!("/wA="), None));
    }

    #[test]
    fn an_answer_needs_a_status_and_nothing_else() {
        let read = |answer: Value| Response::of_json(&answer);
        let whole =
            read(json!({"status": 200, "headers": [{"name": "a", "value": "b"}], "body_base64": "/wA="})).unwrap();
        assert_eq!((whole.status, whole.headers.len(), whole.body.as_slice()), (200, 1, &[0xff, 0x00][..]));
        assert_eq!(read(json!({"status": 204})).unwrap().body, b"");
        assert_eq!(read(json!({"status": 200, "body": "重量"})).unwrap().body, "重量".as_bytes());
        for wrong in [json!(null), json!({}), json!({"status": -1}), json!({"status": 200, "body_base64": "*"})] {
            assert!(read(wrong.clone()).is_none(), "{wrong}");
        }
        assert!(read(json!({"status": 200, "headers": [{"name": "a"}]})).is_none());
    }
}
