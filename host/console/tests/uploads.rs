//! Uploads that are being sent, stall, or do not compile: what they hold is bounded, and others go on.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use fangshi_console::Uploading;
use fangshi_runtime::{CompileError, Compiler, Runtime, RuntimeConfig};
use futures_util::stream;
use support::{Desk, MAX_PLUGIN_BYTES, TOKEN, guest};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tower::ServiceExt;

/// A request whose body is being sent.
struct Open {
    answer: JoinHandle<Response>,
    rest: mpsc::Sender<Bytes>,
}

impl Open {
    /// Sends the head; returns when somebody reads the body.
    async fn new(desk: &Desk, head: axum::http::request::Builder) -> Open {
        let (rest, chunks) = mpsc::channel::<Bytes>(4);
        let read = Arc::new(Notify::new());
        let told = read.clone();
        let body = Body::from_stream(stream::unfold((chunks, told), |(mut chunks, told)| async move {
            told.notify_one();
            let chunk = chunks.recv().await?;
            Some((Ok::<_, std::convert::Infallible>(chunk), (chunks, told)))
        }));
        let (router, request) = (desk.router.clone(), head.body(body).unwrap());
        let answer = tokio::spawn(async move { router.oneshot(request).await.unwrap() });
        read.notified().await;
        Open { answer, rest }
    }

    /// Sends the rest, and gives the answer's status.
    async fn end(self, rest: Vec<u8>) -> StatusCode {
        self.rest.send(rest.into()).await.unwrap();
        drop(self.rest);
        self.answer.await.unwrap().status()
    }
}

fn upload(tenant: &str, token: &str) -> axum::http::request::Builder {
    Request::post(format!("/api/v1/tenants/{tenant}/plugins?name=tags"))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/wasm")
}

#[tokio::test]
async fn a_second_upload_is_refused_while_the_body_of_the_first_is_open() {
    let desk = Desk::new().await;
    let (one, two) = (desk.tenant("wxone").await, desk.tenant("wxtwo").await);
    let first = Open::new(&desk, upload(&one, TOKEN)).await;
    let second = desk.upload(&one, "tags", guest::quiet()).await;
    assert_eq!(second.refusal(409), "upload-under-way");
    assert_eq!(desk.upload(&two, "tags", guest::quiet()).await.status, StatusCode::CREATED, "others go on");
    assert_eq!(first.end(guest::quiet()).await, StatusCode::CREATED);
    assert_eq!(desk.upload(&one, "tags", guest::noting()).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn uploads_hold_so_much_memory_in_all() {
    let desk = Desk::new().await.changed(|console| console.uploading = Uploading::within(3 * MAX_PLUGIN_BYTES as u64));
    let (one, two) = (desk.tenant("wxone").await, desk.tenant("wxtwo").await);
    // It announces no length, and may have all that there may be: twice while it is compiled.
    let first = Open::new(&desk, upload(&one, TOKEN)).await;
    let second = desk.upload(&two, "tags", guest::quiet()).await;
    assert_eq!(
        (second.refusal(503).as_str(), &second.headers["retry-after"]),
        ("uploads-full", &"30".parse().unwrap())
    );
    let wasm = guest::quiet();
    let small = upload(&two, TOKEN).header("content-length", wasm.len()).body(Body::from(wasm)).unwrap();
    assert_eq!(desk.send(small).await.status, StatusCode::CREATED, "one that says how small it is finds room");
    assert_eq!(first.end(guest::quiet()).await, StatusCode::CREATED);
}

#[tokio::test]
async fn a_body_that_stalls_is_ended_and_holds_nothing_any_more() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let desk = desk.changed(|console| console.body_time = Duration::from_millis(20));
    let json = Request::post("/api/v1/tenants")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json");
    for stalled in [upload(&tenant, TOKEN), json] {
        let stalled = Open::new(&desk, stalled).await;
        // It may have ended already.
        let _ = stalled.rest.send(Bytes::from_static(b"half")).await;
        let answer = stalled.answer.await.unwrap();
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
        let text = axum::body::to_bytes(answer.into_body(), 1 << 16).await.unwrap();
        assert!(String::from_utf8_lossy(&text).contains("\"body-too-slow\""), "{text:?}");
    }
    let desk = desk.changed(|console| console.body_time = support::BODY_TIME);
    assert_eq!(desk.upload(&tenant, "tags", guest::quiet()).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_merchant_has_so_many_requests_under_way_and_others_go_on() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let (_, secret) = desk.token(Some(&tenant)).await;
    let ask = || Request::get(format!("/api/v1/tenants/{tenant}")).header("authorization", format!("Bearer {secret}"));
    let install = || {
        Request::post(format!("/api/v1/tenants/{tenant}/installations"))
            .header("authorization", format!("Bearer {secret}"))
            .header("content-type", "application/json")
    };
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(Open::new(&desk, install()).await);
    }
    let more = desk.send(ask().body(Body::empty()).unwrap()).await;
    assert_eq!(more.refusal(429), "too-many-at-once");
    assert_eq!(more.headers["retry-after"], "1");
    assert_eq!(
        desk.get(&format!("/api/v1/tenants/{tenant}")).await.status,
        StatusCode::OK,
        "the operator is not counted"
    );
    assert_eq!(open.pop().unwrap().end(b"{".to_vec()).await, StatusCode::BAD_REQUEST);
    assert_eq!(desk.send(ask().body(Body::empty()).unwrap()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn answers_that_nobody_reads_are_under_way_still() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("wxone").await;
    let (_, secret) = desk.token(Some(&tenant)).await;
    let cookie = desk.enter(&tenant).await;
    let api = || Request::get("/api/v1/openapi.json").header("authorization", format!("Bearer {secret}"));
    let page = || Request::get("/merchant").header("cookie", &cookie);
    let begin = async |request: axum::http::request::Builder| {
        let answer = desk.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        (answer.status(), answer)
    };
    let mut unread = Vec::new();
    for _ in 0..8 {
        for request in [api(), page()] {
            let (status, answer) = begin(request).await;
            assert_eq!(status, StatusCode::OK);
            unread.push(answer);
        }
    }
    for request in [api(), page()] {
        assert_eq!(begin(request).await.0, StatusCode::TOO_MANY_REQUESTS);
    }
    // One is read, one is given up.
    axum::body::to_bytes(unread.pop().unwrap().into_body(), 16 << 20).await.unwrap();
    unread.pop();
    unread.push(begin(api()).await.1);
    unread.push(begin(page()).await.1);
    assert!(unread.iter().all(|answer| answer.status() == StatusCode::OK));
    assert_eq!(begin(api()).await.0, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn whose_upload_did_not_compile_waits_before_the_next_one() {
    struct Slow;
    #[async_trait]
    impl Compiler for Slow {
        async fn compile(&self, _: Vec<u8>) -> Result<Vec<u8>, CompileError> {
            Err(CompileError::TooSlow { allowed: 7 })
        }
    }
    let compiler = Some(Arc::new(Slow) as Arc<dyn Compiler>);
    let runtime = Runtime::new(RuntimeConfig { max_concurrent_runs: 1, compiler, ..RuntimeConfig::default() }).unwrap();
    let desk = Desk::new().await;
    let (one, two) = (desk.tenant("wxone").await, desk.tenant("wxtwo").await);
    let usual = desk.console.runtime.clone();
    let desk = desk.changed(|console| console.runtime = runtime);
    // What never came to the compiler has no price.
    for _ in 0..3 {
        assert_eq!(desk.upload(&one, "tags", b"\0asm rubbish".to_vec()).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    for _ in 0..3 {
        assert_eq!(desk.upload(&one, "tags", guest::quiet()).await.refusal(422), "compile-too-slow");
    }
    let desk = desk.changed(|console| console.runtime = usual);
    let early = desk.upload(&one, "tags", guest::quiet()).await;
    assert_eq!(early.refusal(429), "uploads-paused");
    assert_eq!(early.headers["retry-after"], "60");
    assert!(early.json()["hint"].as_str().unwrap().contains("in 60 s"), "{}", early.text);
    assert_eq!(
        desk.upload(&two, "tags", guest::quiet()).await.status,
        StatusCode::CREATED,
        "it is nobody else's pause"
    );
    desk.hand.advance(60_000);
    assert_eq!(desk.upload(&one, "tags", guest::quiet()).await.status, StatusCode::CREATED);
    assert_eq!(desk.upload(&one, "tags", guest::noting()).await.status, StatusCode::CREATED, "and the next at once");
}

#[tokio::test]
async fn what_a_tenant_has_no_room_for_is_not_compiled() {
    struct Counting(AtomicUsize);
    #[async_trait]
    impl Compiler for Counting {
        async fn compile(&self, _: Vec<u8>) -> Result<Vec<u8>, CompileError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Err(CompileError::TooSlow { allowed: 7 })
        }
    }
    let counting = Arc::new(Counting(AtomicUsize::new(0)));
    let compiler = Some(Arc::clone(&counting) as Arc<dyn Compiler>);
    let runtime = Runtime::new(RuntimeConfig { max_concurrent_runs: 1, compiler, ..RuntimeConfig::default() }).unwrap();
    let desk = Desk::new().await;
    let one = desk.tenant("wxone").await;
    assert_eq!(desk.upload(&one, "tags", guest::quiet()).await.status, StatusCode::CREATED);
    let desk = desk.changed(|console| {
        console.runtime = runtime;
        console.uploads.versions = 1;
    });
    assert_eq!(desk.upload(&one, "tags", guest::noting()).await.refusal(409), "uploads-used-up");
    assert_eq!(desk.upload(&one, "NAME", guest::quiet()).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(counting.0.load(Ordering::Relaxed), 0);
    // What is there already needs no room.
    assert_eq!(desk.upload(&one, "tags", guest::quiet()).await.refusal(422), "compile-too-slow");
    assert_eq!(counting.0.load(Ordering::Relaxed), 1);
}
