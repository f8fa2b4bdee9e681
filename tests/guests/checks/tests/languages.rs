//! One plugin in each language beside Rust, as a merchant's would run: uploaded, compiled, and within everybody's limits. The
//! same source in each (`tests/guests`): what it is told, the language's own clock and dice, what it prints, an operation
//! with both of its ends, and what a plugin does not have.
//!
//! `cargo xtask languages` builds them and runs this.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells figures"
)]
use fangshi_guest_checks::{ORDER_ID, Played, Ready, Stage};
use fangshi_runtime::{CallError, Outcome};
use serde_json::{Value, json};

/// What a language says of what is not there.
#[derive(Clone, Copy)]
enum Refused {
    /// The plugin hears it, and may go on.
    Heard(&'static str),
    /// The run ends with it.
    Ends(&'static str),
    /// It has no way to ask.
    NoWay,
}

struct Language {
    name: &'static str,
    wasm: fn(&str) -> anyhow::Result<Vec<u8>>,
    /// Whether what it prints is in the log.
    prints: bool,
    file: Refused,
    socket: Refused,
    /// How the run ends when the plugin breaks down, in part.
    crash: &'static str,
}

/// A stage on which the plugin tries something more.
fn trying(what: &str) -> Stage {
    let mut stage = Stage::new().unwrap();
    stage.settings = json!({ "try": what });
    stage
}

fn conflict(_: &str, _: &Value) -> Result<Value, CallError> {
    Err(CallError::Conflict("closed".into()))
}

/// The rest of the one line that begins so.
fn line<'a>(played: &'a Played, begins: &str) -> &'a str {
    let mut found = played.log.iter().filter_map(|line| line.strip_prefix(begins)?.strip_prefix(' '));
    let (Some(rest), None) = (found.next(), found.next()) else { panic!("{begins}: {:#?}", played.log) };
    rest
}

async fn play(stage: &Stage, ready: &Ready) -> Played {
    stage.play_ready(ready, "on-pay").await.unwrap()
}

async fn runs_and_is_refused_what_there_is_not(language: Language) {
    let wasm = (language.wasm)(language.name).unwrap();
    let size = wasm.len();
    let ready = Ready::new(language.name, wasm).await.unwrap();
    assert_eq!(ready.manifest.hooks, ["on-pay"]);
    let asked: Vec<&str> = ready.manifest.grants.iter().map(|grant| grant.name.as_str()).collect();
    assert_eq!(asked, ["notes", "order-price"]);

    // What it is told, and its own ways to time, chance and a screen.
    let stage = Stage::new().unwrap();
    let first = play(&stage, &ready).await;
    assert_eq!(first.report.outcome, Outcome::Done, "{:#?}", first.log);
    assert_eq!(line(&first, "paid"), format!("{ORDER_ID} 1764642403"));
    let price = stage.order["order_detail"]["price_info"]["order_price"].to_string();
    assert_eq!(line(&first, "price"), price);
    assert_eq!(line(&first, "time"), "1764642405.678");
    let (one, other) = line(&first, "random").split_once(' ').unwrap();
    let fraction = |text: &str| (0.0..1.0).contains(&text.parse::<f64>().unwrap());
    assert!(fraction(one) && fraction(other) && one != other, "{one} {other}");
    assert_eq!(first.log.iter().any(|line| line == "printed 打印"), language.prints, "{:#?}", first.log);
    assert!(first.log.iter().any(|line| line == "noted"), "{:#?}", first.log);
    let request = json!({ "order_id": ORDER_ID, "merchant_notes": "备注" });
    assert_eq!(first.calls, [("notes.set-merchant-notes".to_owned(), request)]);
    println!(
        "\n   {:<14} {:>5.1} MiB of component, {:>6.1} MiB of code, {:>9} fuel, {:>5.1} MiB of memory",
        language.name,
        size as f64 / f64::from(1 << 20),
        ready.plugin.code_bytes() as f64 / f64::from(1 << 20),
        first.report.fuel_used,
        first.report.peak_memory as f64 / f64::from(1 << 20),
    );

    // A run can be repeated exactly, and no other run is like it.
    let again = play(&stage, &ready).await;
    assert_eq!((&first.log, &first.calls), (&again.log, &again.calls));
    assert_eq!(first.report.fuel_used, again.report.fuel_used);
    let later = play(&Stage { seed: [10; 32], clock_ms: 1_764_646_005_000, ..stage }, &ready).await;
    assert_ne!(line(&first, "random"), line(&later, "random"));
    assert_eq!(line(&later, "time"), "1764646005.000");

    // Refusals of operations, and of the hook itself.
    let mut refused = Stage::new().unwrap();
    refused.script = conflict;
    let refused = play(&refused, &ready).await;
    assert_eq!(line(&refused, "conflict"), "closed");
    let rejects = play(&trying("reject"), &ready).await;
    assert_eq!(rejects.report.outcome, Outcome::Reject { reason: "不要".into() });
    let crash = play(&trying("crash"), &ready).await;
    let told = format!("{:?} {:?}", crash.report.outcome, crash.log);
    assert!(told.contains(language.crash), "{told}");

    for (what, expected) in [("file", language.file), ("socket", language.socket)] {
        let played = play(&trying(what), &ready).await;
        match expected {
            Refused::Heard(text) => {
                assert_eq!(played.report.outcome, Outcome::Done, "{:#?}", played.log);
                assert!(line(&played, what).contains(text), "{:#?}", played.log);
            }
            Refused::Ends(text) => {
                let Outcome::Trap { message } = &played.report.outcome else { panic!("{what}: {:?}", played.report) };
                assert!(message.contains(text), "{message}");
            }
            Refused::NoWay => assert_eq!(played.report.outcome, Outcome::Done, "{:#?}", played.log),
        }
    }
}

#[tokio::test]
async fn c() {
    runs_and_is_refused_what_there_is_not(Language {
        name: "c",
        wasm: fangshi_harness::language,
        prints: true,
        file: Refused::Heard("Capabilities insufficient"),
        socket: Refused::NoWay,
        crash: "unreachable",
    })
    .await;
}

#[tokio::test]
async fn javascript_with_quickjs() {
    runs_and_is_refused_what_there_is_not(Language {
        name: "quickjs",
        wasm: fangshi_harness::guest,
        prints: false,
        file: Refused::Heard("require"),
        socket: Refused::Heard("fetch"),
        crash: "RetryLater",
    })
    .await;
}

#[tokio::test]
async fn javascript_with_spidermonkey() {
    runs_and_is_refused_what_there_is_not(Language {
        name: "spidermonkey",
        wasm: fangshi_harness::language,
        prints: true,
        file: Refused::Heard("require is not defined"),
        // The engine has `fetch` all the same, over functions that end the run.
        socket: Refused::Ends("[constructor]fields"),
        crash: "broken",
    })
    .await;
}

#[tokio::test]
async fn python() {
    runs_and_is_refused_what_there_is_not(Language {
        name: "python",
        wasm: fangshi_harness::language,
        prints: true,
        file: Refused::Heard("/etc/passwd"),
        socket: Refused::Ends("#create-tcp-socket` is refused: a plugin has no files and no sockets"),
        crash: "ValueError: broken",
    })
    .await;
}

#[tokio::test]
async fn python_sleeps_without_taking_time() {
    let ready = Ready::new("python", fangshi_harness::language("python").unwrap()).await.unwrap();
    let played = play(&trying("sleep"), &ready).await;
    assert_eq!(line(&played, "slept"), "3600 1764646005.678");
}

#[tokio::test]
async fn an_engine_with_a_network_of_its_own_is_refused_by_the_name_of_the_import() {
    let wasm = fangshi_harness::language("spidermonkey-network").unwrap();
    let refusal = Ready::new("spidermonkey-network", wasm).await.err().expect("a network was let in").to_string();
    assert!(refusal.contains("`wasi:http/") && refusal.contains("build without it"), "{refusal}");
}
