//! Before the way in: an address that tries links that are no good waits. A link that is open passes all the same: behind a
//! proxy all merchants have one address, and a stranger must not lock them out.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::language::Language;
use super::view;
use crate::Console;
use crate::login::client;
use crate::throttle::Throttle;

/// What the middleware needs.
#[derive(Clone)]
pub(super) struct Doorstep {
    console: Console,
    throttle: Arc<Throttle>,
}

impl Doorstep {
    pub fn new(console: Console) -> Doorstep {
        Doorstep { console, throttle: Arc::default() }
    }
}

/// Lets a request pass to the link that it names; after too many that were no good (410), to one that is open alone, and 429
/// else.
pub(super) async fn pass(
    State(doorstep): State<Doorstep>,
    language: Language,
    Path(secret): Path<String>,
    request: Request,
    next: Next,
) -> Response {
    let (address, now) = (client(&request), doorstep.console.tenants.clock().now());
    if let Err(seconds) = doorstep.throttle.check(address, now) {
        // One look by the digest for every link, good or not.
        match doorstep.console.tenants.access().is_open(&secret).await {
            Ok(true) => {}
            Ok(false) => return wait(language, seconds),
            Err(error) => return view::fault(language, "reading a link", &error),
        }
    }
    let response = next.run(request).await;
    if response.status() == StatusCode::GONE {
        doorstep.throttle.failed(address, now);
    }
    response
}

fn wait(language: Language, seconds: u64) -> Response {
    metrics::counter!("fangshi_merchant_throttled_total").increment(1);
    let mut response = view::refused(
        language,
        StatusCode::TOO_MANY_REQUESTS,
        ("请稍候", "Please wait"),
        (
            "此网络地址尝试了过多的失效链接。请稍候一分钟再试。",
            "Too many links that are no good came from this address. Try again in a minute.",
        ),
    );
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
