//! Components of other languages: what of WASI is there, that it is deterministic, and that nothing else can be reached.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::cell::Cell;

use fangshi_runtime::{Limits, Outcome, RunInput, RunReport, Runtime, RuntimeConfig};
use support::{Guest, HEX, Script, contract, input, load, runtime, told, with_wasi};

async fn run(guest: Guest<'_>, input: RunInput, host: &Script) -> RunReport {
    let runtime = runtime();
    let wasm = guest.build_with(with_wasi(contract()));
    runtime.inspect(&wasm).unwrap();
    let plugin = load(&runtime, wasm).await;
    runtime.run(&plugin, input, Box::new(host.clone())).await
}

/// Tells, as hex digits: both clocks (12 and 8 bytes), both again after a sleep of an hour, a number, and a seed (8 and 16).
fn telling() -> Guest<'static> {
    Guest {
        imports: &[
            "wasi:clocks/wall-clock@0.2.3",
            "wasi:clocks/monotonic-clock@0.2.3",
            "wasi:io/poll@0.2.3",
            "wasi:random/random@0.2.3",
            "wasi:random/insecure-seed@0.2.3",
        ],
        core_imports: r#"
            (import "wasi:clocks/wall-clock@0.2.3" "now" (func $wall (param i32)))
            (import "wasi:clocks/monotonic-clock@0.2.3" "now" (func $monotonic (result i64)))
            (import "wasi:clocks/monotonic-clock@0.2.3" "subscribe-duration" (func $sleep (param i64) (result i32)))
            (import "wasi:io/poll@0.2.3" "[method]pollable.block" (func $block (param i32)))
            (import "wasi:random/random@0.2.3" "get-random-u64" (func $random (result i64)))
            (import "wasi:random/insecure-seed@0.2.3" "insecure-seed" (func $seed (param i32)))"#,
        top: HEX,
        handle: r#"
            (call $wall (i32.const 4000))
            (i64.store align=4 (i32.const 4012) (call $monotonic))
            (call $block (call $sleep (i64.const 3600000000000)))
            (call $wall (i32.const 4024))
            (i64.store align=4 (i32.const 4020) (i64.load (i32.const 4024)))
            (i32.store (i32.const 4028) (i32.load (i32.const 4032)))
            (i64.store (i32.const 4032) (call $monotonic))
            (i64.store (i32.const 4040) (call $random))
            (call $seed (i32.const 4048))
            (call $hex (i32.const 4000) (i32.const 64))"#,
        ..Guest::default()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn time_stands_still_but_for_what_the_guest_sleeps_and_sleeping_takes_none() {
    let report = run(telling(), input(), &Script::default()).await;
    let told = told(&report);
    let start = [&1_764_642_405u64.to_le_bytes()[..], &678_000_000u32.to_le_bytes()].concat();
    let later = [&1_764_646_005u64.to_le_bytes()[..], &678_000_000u32.to_le_bytes()].concat();
    assert_eq!(told[..24], hex(&start));
    assert_eq!(told[24..40], hex(&0u64.to_le_bytes()));
    assert_eq!(told[40..64], hex(&later));
    assert_eq!(told[64..80], hex(&3_600_000_000_000u64.to_le_bytes()));
}

#[tokio::test]
async fn random_numbers_and_seeds_are_those_of_the_run() {
    let run = async |seed: u8| run(telling(), RunInput { seed: [seed; 32], ..input() }, &Script::default()).await;
    let (one, again, other) = (run(7).await, run(7).await, run(8).await);
    assert_eq!(RunReport { wall_ms: 0, ..one.clone() }, RunReport { wall_ms: 0, ..again });
    let numbers = |report: &RunReport| told(report)[80..].to_owned();
    assert_ne!(numbers(&one), numbers(&other));
    assert_ne!(numbers(&one)[..16], numbers(&one)[16..32]);
}

/// Waits for two sleeps at once, then tells, as hex digits: which of them ended (4 bytes their number, 4 the one), the clock (8),
/// and after waiting for the other one the clock again.
fn waiting_for_two() -> Guest<'static> {
    Guest {
        imports: &["wasi:clocks/monotonic-clock@0.2.3", "wasi:io/poll@0.2.3"],
        core_imports: r#"
            (import "wasi:clocks/monotonic-clock@0.2.3" "now" (func $now (result i64)))
            (import "wasi:clocks/monotonic-clock@0.2.3" "subscribe-duration" (func $sleep (param i64) (result i32)))
            (import "wasi:io/poll@0.2.3" "[method]pollable.ready" (func $ready (param i32) (result i32)))
            (import "wasi:io/poll@0.2.3" "poll" (func $poll (param i32 i32 i32)))"#,
        top: HEX,
        handle: r#"
            (i32.store (i32.const 2000) (call $sleep (i64.const 3600000000000)))
            (i32.store (i32.const 2004) (call $sleep (i64.const 1000000000)))
            (if (call $ready (i32.load (i32.const 2004))) (then unreachable))
            (call $poll (i32.const 2000) (i32.const 2) (i32.const 2008))
            (i32.store (i32.const 4000) (i32.load (i32.const 2012)))
            (i32.store (i32.const 4004) (i32.load (i32.load (i32.const 2008))))
            (i64.store (i32.const 4008) (call $now))
            (if (i32.eqz (call $ready (i32.load (i32.const 2004)))) (then unreachable))
            (call $poll (i32.const 2000) (i32.const 1) (i32.const 2008))
            (i64.store (i32.const 4016) (call $now))
            (call $hex (i32.const 4000) (i32.const 24))"#,
        ..Guest::default()
    }
}

#[tokio::test]
async fn of_two_sleeps_the_shorter_one_ends_first() {
    let report = run(waiting_for_two(), input(), &Script::default()).await;
    let expected = [
        &1u32.to_le_bytes()[..],
        &1u32.to_le_bytes(),
        &1_000_000_000u64.to_le_bytes(),
        &3_600_000_000_000u64.to_le_bytes(),
    ];
    assert_eq!(told(&report), hex(&expected.concat()));
}

/// Polls lists of so many handles of standard output, which is always ready, for ever.
fn polling(count: u32) -> Vec<u8> {
    let guest = Guest {
        imports: &["wasi:cli/stdout@0.2.3", "wasi:io/streams@0.2.3", "wasi:io/poll@0.2.3"],
        core_imports: r#"
            (import "wasi:cli/stdout@0.2.3" "get-stdout" (func $stdout (result i32)))
            (import "wasi:io/streams@0.2.3" "[method]output-stream.subscribe" (func $subscribe (param i32) (result i32)))
            (import "wasi:io/poll@0.2.3" "poll" (func $poll (param i32 i32 i32)))"#,
        top: &format!("(global $count i32 (i32.const {count}))"),
        handle: r#"(local $handle i32) (local $n i32)
            (local.set $handle (call $subscribe (call $stdout)))
            (loop
              (i32.store (i32.add (i32.const 65536) (i32.shl (local.get $n) (i32.const 2))) (local.get $handle))
              (local.set $n (i32.add (local.get $n) (i32.const 1)))
              (br_if 0 (i32.lt_u (local.get $n) (global.get $count))))
            (loop
              (global.set $heap (i32.const 16384))
              (call $poll (i32.const 65536) (global.get $count) (i32.const 3000))
              (br 0))
            (call $done)"#,
        pages: 3,
    };
    guest.build_with(with_wasi(contract()))
}

#[tokio::test]
async fn what_is_polled_counts_at_the_border_and_a_list_has_an_end() {
    let runtime = runtime();
    let play = async |count: u32, fuel: u64| {
        let plugin = load(&runtime, polling(count)).await;
        let limits = Limits { border_bytes: 100_000, fuel, ..Limits::default() };
        runtime.run(&plugin, RunInput { limits, ..input() }, Box::new(Script::default())).await
    };
    let border = Outcome::Limit { limit: "border_bytes", allowed: 100_000 };
    let many = play(256, 1_000_000).await;
    assert_eq!(many.outcome, border);
    // Nothing but what was polled: 25 calls of 256 are too many.
    assert!(many.fuel_used < 20_000, "{} fuel", many.fuel_used);
    assert_eq!(play(1, 1_000_000).await.outcome, border);
    assert_eq!(play(257, 1_000_000).await.outcome, Outcome::Limit { limit: "pollables", allowed: 256 });
    assert_eq!(play(10_000, 1_000_000).await.outcome, Outcome::Limit { limit: "handles", allowed: 10_000 });
}

#[tokio::test]
async fn who_polls_what_is_ready_gives_way_to_its_neighbours() {
    // Fuel alone never gives way here.
    let config = RuntimeConfig { max_concurrent_runs: 1, yield_interval: u64::MAX, ..RuntimeConfig::default() };
    let runtime = Runtime::new(config).unwrap();
    let plugin = load(&runtime, polling(256)).await;
    let ended = Cell::new(false);
    let run = async {
        runtime.run(&plugin, input(), Box::new(Script::default())).await;
        ended.set(true);
    };
    let ((), before_its_neighbour) = tokio::join!(run, async { ended.get() });
    assert!(!before_its_neighbour);
}

/// Writes two lines to both streams, one of them started only.
fn printing() -> Guest<'static> {
    Guest {
        imports: &["wasi:cli/stdout@0.2.3", "wasi:cli/stderr@0.2.3", "wasi:io/streams@0.2.3"],
        core_imports: r#"
            (import "wasi:cli/stdout@0.2.3" "get-stdout" (func $stdout (result i32)))
            (import "wasi:cli/stderr@0.2.3" "get-stderr" (func $stderr (result i32)))
            (import "wasi:io/streams@0.2.3" "[method]output-stream.blocking-write-and-flush"
              (func $write (param i32 i32 i32 i32)))"#,
        top: r#"(data (i32.const 2000) "bought: 3\nin tr")"#,
        handle: r#"
            (call $write (call $stdout) (i32.const 2000) (i32.const 10) (i32.const 3000))
            (call $write (call $stderr) (i32.const 2010) (i32.const 5) (i32.const 3000))
            (call $done)"#,
        ..Guest::default()
    }
}

#[tokio::test]
async fn what_is_printed_becomes_lines_of_the_log() {
    let host = Script::default();
    let report = run(printing(), input(), &host).await;
    assert_eq!(report.outcome, Outcome::Done);
    assert_eq!(host.log(), [(1, "bought: 3".into()), (2, "in tr".into())]);
    assert_eq!(report.log_bytes, 16);

    // What a program says when it gives up is worth most.
    let guest = Guest { handle: printing().handle.replace("(call $done)", "unreachable").leak(), ..printing() };
    let host = Script::default();
    assert!(matches!(run(guest, input(), &host).await.outcome, Outcome::Trap { .. }));
    assert_eq!(host.log().len(), 2);
}

#[tokio::test]
async fn a_flood_of_printing_meets_the_limits_of_the_log_and_the_border() {
    let flood = Guest {
        handle: r#"
            (loop (call $write (call $stdout) (i32.const 2000) (i32.const 10) (i32.const 3000)) (br 0))
            (call $done)"#,
        ..printing()
    };
    let host = Script::default();
    let limits = Limits { border_bytes: 100_000, log_bytes: 1_000, ..Limits::default() };
    let report = run(flood, RunInput { limits, ..input() }, &host).await;
    assert_eq!(report.outcome, Outcome::Limit { limit: "border_bytes", allowed: 100_000 });
    assert_eq!(report.border_bytes, 100_002, "16 a call and what it carried, in one sum");
    assert!(report.log_bytes <= 1_000, "{} bytes kept", report.log_bytes);
    assert!(host.log().last().unwrap().1.contains("log cut"));
}

#[tokio::test]
async fn random_bytes_beyond_a_calls_limit_are_refused() {
    let greedy = Guest {
        imports: &["wasi:random/random@0.2.3"],
        core_imports: r#"(import "wasi:random/random@0.2.3" "get-random-bytes" (func $bytes (param i64 i32)))"#,
        handle: "(call $bytes (i64.const 4611686018427387904) (i32.const 3000)) (call $done)",
        ..Guest::default()
    };
    let report = run(greedy, input(), &Script::default()).await;
    assert_eq!(report.outcome, Outcome::Limit { limit: "call_bytes", allowed: 2 << 20 });
}

#[tokio::test]
async fn there_is_nothing_to_read_no_folder_and_an_exit_is_a_trap_that_says_so() {
    let quiet = Guest {
        imports: &[
            "wasi:cli/stdin@0.2.3",
            "wasi:io/streams@0.2.3",
            "wasi:filesystem/preopens@0.2.3",
            "wasi:cli/exit@0.2.3",
        ],
        core_imports: r#"
            (import "wasi:cli/stdin@0.2.3" "get-stdin" (func $stdin (result i32)))
            (import "wasi:io/streams@0.2.3" "[method]input-stream.blocking-read" (func $read (param i32 i64 i32)))
            (import "wasi:filesystem/preopens@0.2.3" "get-directories" (func $folders (param i32)))
            (import "wasi:cli/exit@0.2.3" "exit" (func $exit (param i32)))"#,
        handle: r#"
            (call $read (call $stdin) (i64.const 100) (i32.const 3000))
            (if (i32.ne (i32.load8_u (i32.const 3000)) (i32.const 1)) (then unreachable)) ;; an error:
            (if (i32.ne (i32.load8_u (i32.const 3004)) (i32.const 1)) (then unreachable)) ;; closed
            (call $folders (i32.const 3000))
            (if (i32.ne (i32.load (i32.const 3004)) (i32.const 0)) (then unreachable))
            (call $exit (i32.const 1))
            (call $done)"#,
        ..Guest::default()
    };
    let report = run(quiet, input(), &Script::default()).await;
    let Outcome::Trap { message } = report.outcome else { panic!("{:?}", report.outcome) };
    assert!(message.starts_with("the plugin ended its own program with failure"), "{message}");
}

/// Every interface of WASI 0.2, with a function of each that makes something of nothing where there is one. `true`: a
/// language's library may import it.
const ALL: [(&str, &str, bool); 36] = [
    ("wasi:cli/environment", "", true),
    ("wasi:cli/exit", "", true),
    ("wasi:cli/run", "run", false),
    ("wasi:cli/stderr", "", true),
    ("wasi:cli/stdin", "", true),
    ("wasi:cli/stdout", "", true),
    ("wasi:cli/terminal-input", "", true),
    ("wasi:cli/terminal-output", "", true),
    ("wasi:cli/terminal-stderr", "", true),
    ("wasi:cli/terminal-stdin", "", true),
    ("wasi:cli/terminal-stdout", "", true),
    ("wasi:clocks/monotonic-clock", "", true),
    ("wasi:clocks/timezone", "display", false),
    ("wasi:clocks/wall-clock", "", true),
    ("wasi:filesystem/preopens", "", true),
    ("wasi:filesystem/types", "filesystem-error-code", true),
    ("wasi:http/incoming-handler", "handle", false),
    ("wasi:http/outgoing-handler", "handle", false),
    ("wasi:http/types", "http-error-code", false),
    ("wasi:io/error", "", true),
    ("wasi:io/poll", "", true),
    ("wasi:io/streams", "", true),
    ("wasi:keyvalue/store", "open", false),
    ("wasi:config/store", "get", false),
    ("wasi:nn/graph", "load", false),
    ("wasi:tls/types", "connect", false),
    ("wasi:random/insecure", "", true),
    ("wasi:random/insecure-seed", "", true),
    ("wasi:random/random", "", true),
    ("wasi:sockets/instance-network", "instance-network", true),
    ("wasi:sockets/ip-name-lookup", "resolve-addresses", true),
    ("wasi:sockets/network", "network-error-code", true),
    ("wasi:sockets/tcp", "connect", true),
    ("wasi:sockets/tcp-create-socket", "create-tcp-socket", true),
    ("wasi:sockets/udp", "send", true),
    ("wasi:sockets/udp-create-socket", "create-udp-socket", true),
];

/// A guest that imports one function of an interface, and calls it or not.
fn calling(interface: &str, function: &str, calls: bool) -> Vec<u8> {
    let mut resolve = contract();
    let (package, name) = interface.split_once('/').unwrap();
    let text = format!("package {package}@0.2.3; interface {name} {{ {function}: func(); }}");
    resolve.push_source("wasi.wit", &text).unwrap();
    let (import, call) = (format!("{interface}@0.2.3"), if calls { "(call $it)" } else { "" });
    let guest = Guest {
        imports: &[&import],
        core_imports: &format!(r#"(import "{import}" "{function}" (func $it))"#),
        handle: &format!("{call} (call $done)"),
        top: "(func (export \"keep\") (call $it))",
        ..Guest::default()
    };
    guest.build_with(resolve)
}

#[tokio::test]
async fn nothing_else_of_wasi_can_be_reached() {
    let runtime = runtime();
    for (interface, function, importable) in ALL {
        // A function that nobody has: where an interface is there, it is there with its own functions alone.
        let function = if function.is_empty() { "made-up" } else { function };
        let wasm = calling(interface, function, true);
        let inspected = runtime.inspect(&wasm);
        if !importable {
            let refusal = inspected.expect_err(interface).to_string();
            assert!(refusal.contains(interface) && refusal.contains("nothing else"), "{refusal}");
            continue;
        }
        inspected.unwrap_or_else(|refusal| panic!("{interface}: {refusal}"));
        let Ok(plugin) = runtime.load_bytes(wasm).await else {
            assert_eq!(function, "made-up", "{interface} must not keep a language's library out");
            continue;
        };
        let report = runtime.run(&plugin, input(), Box::new(Script::default())).await;
        let Outcome::Trap { message } = report.outcome else { panic!("{interface}: {:?}", report.outcome) };
        assert!(message.starts_with(&format!("`{interface}@0.2.3#{function}` is refused")), "{message}");

        let plugin = load(&runtime, calling(interface, function, false)).await;
        let report = runtime.run(&plugin, input(), Box::new(Script::default())).await;
        assert_eq!(report.outcome, Outcome::Done, "{interface} is imported and not called");
    }
}

#[test]
fn another_release_of_wasi_is_refused_at_upload() {
    let mut resolve = contract();
    resolve
        .push_source("wasi.wit", "package wasi:random@0.3.0; interface random { get-random-u64: func() -> u64; }")
        .unwrap();
    let guest = Guest {
        imports: &["wasi:random/random@0.3.0"],
        core_imports: r#"(import "wasi:random/random@0.3.0" "get-random-u64" (func $it (result i64)))"#,
        handle: "(drop (call $it)) (call $done)",
        ..Guest::default()
    };
    let refusal = runtime().inspect(&guest.build_with(resolve)).unwrap_err().to_string();
    assert!(refusal.contains("wasi:random/random@0.3.0"), "{refusal}");
}
