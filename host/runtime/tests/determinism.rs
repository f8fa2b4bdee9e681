//! The same inputs and answers give the same run, to the last bit and unit of fuel.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use fangshi_runtime::{RunInput, RunReport};
use support::{Guest, HEX, Script, input, load, run, runtime, told};

/// Tells, as 48 hex digits: now (8 bytes), millisecond (4), next (4), bytes(8).
fn telling() -> Guest<'static> {
    Guest {
        imports: &["fangshi:host/clock", "fangshi:host/random"],
        core_imports: r#"
            (import "fangshi:host/clock@0.1.0" "now" (func $now (result i64)))
            (import "fangshi:host/clock@0.1.0" "millisecond" (func $ms (result i32)))
            (import "fangshi:host/random@0.1.0" "next" (func $next (result i32)))
            (import "fangshi:host/random@0.1.0" "bytes" (func $bytes (param i32 i32)))"#,
        top: HEX,
        handle: r#"
            (i64.store (i32.const 4000) (call $now))
            (i32.store (i32.const 4008) (call $ms))
            (i32.store (i32.const 4012) (call $next))
            (call $bytes (i32.const 8) (i32.const 3000))
            (if (i32.ne (i32.load (i32.const 3004)) (i32.const 8)) (then unreachable))
            (i64.store (i32.const 4016) (i64.load align=1 (i32.load (i32.const 3000))))
            (call $hex (i32.const 4000) (i32.const 24))"#,
        ..Guest::default()
    }
}

fn without_wall(report: RunReport) -> RunReport {
    RunReport { wall_ms: 0, ..report }
}

#[tokio::test]
async fn the_clock_stands_at_the_runs_start() {
    let report = run(telling(), input(), &Script::default()).await;
    let now = 1_764_642_405i64.to_le_bytes();
    let ms = 678u32.to_le_bytes();
    let expected: String = now.iter().chain(&ms).map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(&told(&report)[..24], expected);
}

#[tokio::test]
async fn random_is_a_function_of_the_seed() {
    let runtime = runtime();
    let plugin = load(&runtime, telling().build()).await;
    let run = async |seed: u8| {
        let input = RunInput { seed: [seed; 32], ..input() };
        without_wall(runtime.run(&plugin, input, Box::new(Script::default())).await)
    };
    let first = run(7).await;
    for _ in 0..20 {
        assert_eq!(run(7).await, first, "fuel and memory included");
    }
    assert_ne!(told(&run(8).await)[24..], told(&first)[24..]);
    // Another engine of the same version and settings.
    let again = support::run(telling(), input(), &Script::default()).await;
    assert_eq!(without_wall(again), first);
}

#[tokio::test]
async fn nans_have_one_form() {
    let nan = |bits: &str| Guest {
        top: HEX,
        handle: match bits {
            "0/0" => {
                "(f64.store (i32.const 4000) (f64.div (f64.const 0) (f64.const 0))) (call $hex (i32.const 4000) (i32.const 8))"
            }
            "inf-inf" => {
                "(f64.store (i32.const 4000) (f64.sub (f64.const inf) (f64.const inf))) (call $hex (i32.const 4000) (i32.const 8))"
            }
            _ => {
                "(f64.store (i32.const 4000) (f64.add (f64.const nan:0xfff0000000001) (f64.const -nan:0x8000000000123)))
                  (call $hex (i32.const 4000) (i32.const 8))"
            }
        },
        ..Guest::default()
    };
    for bits in ["0/0", "inf-inf", "payloads"] {
        let report = run(nan(bits), input(), &Script::default()).await;
        assert_eq!(told(&report), "000000000000f87f", "{bits}");
    }
}

#[tokio::test]
async fn nothing_of_one_run_is_left_for_the_next() {
    // Each run finds memory and globals as the component made them, whichever slot of the pool it gets.
    let guest = Guest {
        top: "(global $seen (mut i32) (i32.const 0))",
        handle: r#"
            (if (i32.load (i32.const 60000)) (then unreachable))
            (if (global.get $seen) (then unreachable))
            (i32.store (i32.const 60000) (i32.const 1))
            (global.set $seen (i32.const 1))
            (if (i32.ne (memory.grow (i32.const 1)) (i32.const 1)) (then unreachable))
            (if (i32.load (i32.const 70000)) (then unreachable))
            (i32.store (i32.const 70000) (i32.const 1))
            (call $done)"#,
        ..Guest::default()
    };
    let runtime = runtime();
    let plugin = load(&runtime, guest.build()).await;
    for _ in 0..50 {
        let report = runtime.run(&plugin, input(), Box::new(Script::default())).await;
        assert_eq!(report.outcome, fangshi_runtime::Outcome::Done);
        assert_eq!(report.peak_memory, 2 * 65536);
    }
}
