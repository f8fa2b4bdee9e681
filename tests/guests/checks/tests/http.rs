//! Requests to outside hosts through the whole host: a plugin in the sandbox, its grants, the journal, the client, and a
//! real server over TLS on this machine.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod rig;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use fangshi_journal::{CallKind, CallOrigin, EffectState, RunState};
use fangshi_lanes::ReplayVerdict;
use fangshi_operations::{ExtraRoots, InnerAddresses, OutsideConfig, Resolver};
use fangshi_platform::{AskedOutside, OutsideHost, ReplyOutside};
use rig::{Outfit, Rig, logs, outcomes};
use serde_json::{Value, json};

const GUEST: &str = "sends-http";
const NAME: &str = "erp.example.com";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Every name leads to this machine, while names are known at all.
#[derive(Debug, Default)]
struct Here {
    unknown: AtomicBool,
}

#[async_trait]
impl Resolver for Here {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        match self.unknown.load(Ordering::SeqCst) {
            true => Err(io::Error::other("no such name")),
            false => Ok(vec![HERE]),
        }
    }
}

async fn host(script: impl Fn(&AskedOutside) -> ReplyOutside + Send + Sync + 'static) -> OutsideHost {
    OutsideHost::start(HERE, &[NAME], script).await.unwrap()
}

/// The guest installed with the host approved, this machine's address allowed, and settings besides the URL.
fn outfit(host: &OutsideHost, names: &Arc<Here>, settings: Value, limits: Value) -> Outfit {
    let mut all = json!({"url": format!("https://{NAME}:{}/orders?key=CANARY-query", host.port())});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    Outfit {
        outside: OutsideConfig {
            inner: InnerAddresses::new(&[format!("{NAME}={HERE}")]).unwrap(),
            extra_roots: ExtraRoots::from_pem(host.roots().as_bytes()).unwrap(),
            resolver: names.clone(),
            ..OutsideConfig::default()
        },
        hosts: vec![format!("{NAME}:{}", host.port())],
        settings: all,
        limits,
    }
}

async fn rig(host: &OutsideHost, settings: Value, limits: Value) -> Rig {
    Rig::outfitted(GUEST, outfit(host, &Arc::default(), settings, limits)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approved_host_answers_and_the_journal_knows_it_sealed() {
    let host = host(|_| ReplyOutside::with(201, "", "CANARY-answer")).await;
    let rig = rig(&host, json!({"body": "CANARY-body"}), json!({})).await;
    let order = rig.paid().await;
    rig.settle().await;
    let run = rig.run(&order).await;
    assert_eq!((run.run.state, logs(&run)), (RunState::Done, vec![vec!["201 CANARY-answer"]]));
    let asked = host.asked();
    assert_eq!((asked.len(), asked[0].method.as_str(), asked[0].body.as_slice()), (1, "POST", &b"CANARY-body"[..]));
    assert_eq!(
        (asked[0].target.as_str(), asked[0].header("x-order")),
        ("/orders?key=CANARY-query", Some(order.as_str()))
    );
    let call = &run.attempt_list[0].calls[0];
    assert_eq!((call.name.as_str(), call.kind, call.origin), ("http/send", CallKind::Effect, CallOrigin::Live));
    assert_eq!((&call.request["body"], &call.answer.as_ref().unwrap()["status"]), (&json!("CANARY-body"), &json!(201)));
    let effect = &run.effects[0];
    assert_eq!((effect.operation.as_str(), effect.state, effect.sends), ("http/send", EffectState::Applied, 1));
    for text in ["CANARY-body", "CANARY-answer", "CANARY-query"] {
        assert!(!rig.keeps_in_clear(text), "{text}");
    }
    // A replay asks the journal and nobody else.
    let replayed = rig.lanes.replays().replay(rig.tenant, run.run.id, None).await.unwrap();
    assert_eq!((replayed.verdict, host.asked().len()), (ReplayVerdict::Same, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_characters_go_out_and_come_back_as_they_are_and_a_replay_hears_the_same() {
    // Of each some more than a header of the log's line could hide.
    const NOISE: &str = "\u{0}\u{1}\u{1f}\u{7f}\"\\\r\n\t";
    let host = host(|_| ReplyOutside::with(200, "", &NOISE.repeat(500))).await;
    let rig = rig(&host, json!({"body": NOISE.repeat(500)}), json!({})).await;
    let order = rig.paid().await;
    rig.settle().await;
    let run = rig.run(&order).await;
    assert_eq!((run.run.state, host.asked()[0].body.as_slice()), (RunState::Done, NOISE.repeat(500).as_bytes()));
    assert_eq!(logs(&run), vec![vec![format!("200 {}", NOISE.repeat(500)).as_str()]]);
    let call = &run.attempt_list[0].calls[0];
    assert_eq!(
        (&call.request["body"], &call.answer.as_ref().unwrap()["body"]),
        (&json!(NOISE.repeat(500)), &json!(NOISE.repeat(500)))
    );
    let replayed = rig.lanes.replays().replay(rig.tenant, run.run.id, None).await.unwrap();
    assert_eq!((replayed.verdict, host.asked().len()), (ReplayVerdict::Same, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_was_not_approved_is_denied_by_its_name() {
    let host = host(|_| ReplyOutside::with(200, "", "")).await;
    let port = host.port();
    for (url, denied) in [
        (format!("https://other.example:{port}/"), format!("http:other.example:{port}")),
        // The host is approved with its own port alone; without one it is the declared host, where nobody listens.
        (format!("https://{NAME}.other.example:{port}/"), format!("http:{NAME}.other.example:{port}")),
        (format!("https://{NAME}:{}/", port ^ 1), format!("http:{NAME}:{}", port ^ 1)),
    ] {
        let rig = rig(&host, json!({ "url": url }), json!({})).await;
        let order = rig.paid().await;
        rig.settle().await;
        let run = rig.run(&order).await;
        assert!(logs(&run)[0][0].contains(&format!("Denied(\"{denied}\")")), "{:?}", logs(&run));
        assert!(run.effects.is_empty(), "nothing was intended");
    }
    assert_eq!(host.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_not_allowed_is_denied_for_an_approved_host() {
    let host = host(|_| ReplyOutside::with(200, "", "")).await;
    let mut outfit = outfit(&host, &Arc::default(), json!({}), json!({}));
    outfit.outside.inner = InnerAddresses::default();
    let rig = Rig::outfitted(GUEST, outfit).await;
    let order = rig.paid().await;
    rig.settle().await;
    let run = rig.run(&order).await;
    let told = logs(&run)[0][0];
    assert!(told.contains("Denied(") && told.contains(NAME) && !told.contains("127.0.0"), "{told}");
    assert_eq!(host.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_too_large_ends_there_and_nothing_is_sent_again() {
    let host = host(|_| ReplyOutside::with(200, "", &"x".repeat(4_096))).await;
    let limits = json!({"http_answer_bytes": 1024});
    for (method, told) in [("POST", "OutcomeUnknown("), ("GET", "Invalid(")] {
        let rig = rig(&host, json!({"method": method, "insist": true}), limits.clone()).await;
        let order = rig.paid().await;
        rig.settle().await;
        let run = rig.run(&order).await;
        let call = &run.attempt_list[0].calls[0];
        let answer = call.answer.as_ref().unwrap().to_string();
        assert!(answer.contains("more than 1024 bytes, which http_answer_bytes allows"), "{told}: {answer}");
        assert_eq!(run.run.state, RunState::Rejected, "{method}");
        if method == "POST" {
            assert_eq!(run.effects[0].state, EffectState::Applied, "it was answered, so it was done");
        }
    }
    assert_eq!(host.asked().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_requests_end_the_attempt_with_the_figure_and_those_that_were_made_are_not_repeated() {
    let host = host(|_| ReplyOutside::with(200, "", "")).await;
    let rig = rig(&host, json!({"times": 3}), json!({"http_requests": 2})).await;
    let order = rig.paid().await;
    rig.settle().await;
    rig.advance(10).await;
    let run = rig.run(&order).await;
    assert_eq!(outcomes(&run), ["limit", "limit"]);
    assert_eq!(run.attempt_list[0].reason.as_deref(), Some("http_requests: 2 allowed"));
    assert_eq!(host.asked().len(), 2, "the second attempt was answered from what the first had made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_too_large_is_refused_with_the_figure() {
    let host = host(|_| ReplyOutside::with(200, "", "")).await;
    let rig = rig(&host, json!({"body": "x".repeat(2_000)}), json!({"http_request_bytes": 1024})).await;
    let order = rig.paid().await;
    rig.settle().await;
    let run = rig.run(&order).await;
    assert!(logs(&run)[0][0].contains("http_request_bytes allows 1024"), "{:?}", logs(&run));
    assert_eq!(host.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_a_crash_cut_off_is_an_unknown_outcome_and_is_never_sent_again() {
    let host = host(|_| ReplyOutside::Silence).await;
    let mut rig = rig(&host, json!({"insist": true}), json!({})).await;
    let order = rig.paid().await;
    rig.crash_once(|| host.asked().len() == 1).await;
    assert_eq!(outcomes(&rig.run(&order).await), ["open"]);
    rig.start_again().await;
    for _ in 0..3 {
        rig.advance(3_600).await;
    }
    let run = rig.run(&order).await;
    assert_eq!(
        (run.run.state, run.effects[0].state, run.effects[0].sends),
        (RunState::Rejected, EffectState::Unknown, 1)
    );
    assert_eq!(run.attempt_list[0].calls[0].result.as_deref(), Some("outcome-unknown"));
    assert_eq!(host.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_a_crash_cut_off_is_done_again() {
    let times = AtomicUsize::new(0);
    let host = host(move |_| match times.fetch_add(1, Ordering::SeqCst) {
        0 => ReplyOutside::Silence,
        _ => ReplyOutside::with(200, "", "here"),
    })
    .await;
    let mut rig = rig(&host, json!({"method": "GET"}), json!({})).await;
    let order = rig.paid().await;
    rig.crash_once(|| host.asked().len() == 1).await;
    rig.start_again().await;
    let run = rig.run(&order).await;
    assert_eq!((run.run.state, logs(&run)), (RunState::Done, vec![vec!["200 here"]]));
    assert_eq!((host.asked().len(), run.effects.len()), (2, 0));
    assert_eq!(run.attempt_list[0].calls[0].kind, CallKind::Read);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_sent_is_sent_by_the_next_attempt_and_once() {
    let host = host(|_| ReplyOutside::with(200, "", "at last")).await;
    let names = Arc::new(Here { unknown: AtomicBool::new(true) });
    let rig = Rig::outfitted(GUEST, outfit(&host, &names, json!({"insist": true}), json!({}))).await;
    let order = rig.paid().await;
    rig.settle().await;
    let run = rig.run(&order).await;
    assert_eq!((outcomes(&run), run.effects[0].state), (vec!["retry-later"], EffectState::RefusedForNow));
    names.unknown.store(false, Ordering::SeqCst);
    rig.advance(400).await;
    let run = rig.run(&order).await;
    assert_eq!((run.run.state, outcomes(&run)), (RunState::Done, vec!["retry-later", "done"]));
    assert_eq!((host.asked().len(), run.effects[0].state), (1, EffectState::Applied));
}
