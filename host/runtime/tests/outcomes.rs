//! Every way a run can end, each by one small guest: the guest's own word, its faults, its limits, the host's faults.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use fangshi_runtime::{Abort, CallError, Limits, Outcome, RunInput, UNSAID};
use serde_json::json;
use support::{Guest, Script, granted, input, load, run, runtime};

fn limited(change: impl FnOnce(&mut Limits)) -> RunInput {
    let mut input = input();
    change(&mut input.limits);
    input
}

fn limit(limit: &'static str, allowed: u64) -> Outcome {
    Outcome::Limit { limit, allowed }
}

/// One call of an operation, its result thrown away.
const NOTE: Guest<'static> = Guest {
    imports: &["fangshi:store/notes"],
    core_imports: r#"(import "fangshi:store/notes@0.1.0" "set-merchant-notes" (func $note (param i32 i32 i32 i32 i32)))"#,
    top: r#"(data (i32.const 2048) "37326768537153111042hello")"#,
    handle: r#"(call $note (i32.const 2048) (i32.const 19) (i32.const 2068) (i32.const 5) (i32.const 3000)) (call $done)"#,
    pages: 1,
};

#[tokio::test]
async fn a_hook_that_returns_ok_is_done() {
    let report = run(Guest::default(), input(), &Script::default()).await;
    assert_eq!(report.outcome, Outcome::Done);
    assert!(report.fuel_used > 0 && report.fuel_used < 1000, "{}", report.fuel_used);
    assert_eq!(report.peak_memory, 65536);
    assert_eq!(report.host_calls, 0);
}

#[tokio::test]
async fn a_hook_may_reject_or_ask_for_another_attempt() {
    let top = r#"(data (i32.const 2048) "no stock")"#;
    let reject = Guest { top, handle: "(call $reject (i32.const 2048) (i32.const 8))", ..Guest::default() };
    let report = run(reject, input(), &Script::default()).await;
    assert_eq!(report.outcome, Outcome::Reject { reason: "no stock".into() });

    let retry = |after: &str| {
        format!(
            "(i32.store (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1028) (i32.const 0))
             (i32.store (i32.const 1032) (i32.const 2048)) (i32.store (i32.const 1036) (i32.const 8)) {after}
             (i32.const 1024)"
        )
    };
    for (after, seconds) in [
        ("", None),
        ("(i32.store (i32.const 1040) (i32.const 1)) (i32.store (i32.const 1044) (i32.const 90))", Some(90)),
    ] {
        let handle = retry(after);
        let report = run(Guest { top, handle: &handle, ..Guest::default() }, input(), &Script::default()).await;
        assert_eq!(report.outcome, Outcome::RetryLater { reason: "no stock".into(), after: seconds });
    }
}

#[tokio::test]
async fn a_trap_is_the_guests_own() {
    let report = run(Guest { handle: "unreachable", ..Guest::default() }, input(), &Script::default()).await;
    let Outcome::Trap { message } = report.outcome else { panic!("{:?}", report.outcome) };
    assert!(message.starts_with("wasm trap: wasm `unreachable` instruction executed\n  at body (0x"), "{message}");

    let out_of_bounds = Guest { handle: "(i32.load (i32.const -4))", ..Guest::default() };
    assert!(matches!(run(out_of_bounds, input(), &Script::default()).await.outcome, Outcome::Trap { .. }));

    let wild_result = Guest { handle: "(i32.const 0x7ffffff0)", ..Guest::default() };
    assert!(matches!(run(wild_result, input(), &Script::default()).await.outcome, Outcome::Trap { .. }));
}

#[tokio::test]
async fn an_infinite_loop_ends_at_its_fuel() {
    let input = limited(|limits| limits.fuel = 3_000_000);
    let report =
        run(Guest { handle: "(loop (br 0)) unreachable", ..Guest::default() }, input, &Script::default()).await;
    assert_eq!(report.outcome, limit("fuel", 3_000_000));
    assert_eq!(report.fuel_used, 3_000_000);
}

#[tokio::test]
async fn a_loop_leaves_its_thread_to_the_neighbours() {
    // One thread for all: the healthy runs get through only if the loop gives way.
    let runtime = runtime();
    let spin = load(&runtime, Guest { handle: "(loop (br 0)) unreachable", ..Guest::default() }.build()).await;
    let well = load(&runtime, Guest::default().build()).await;
    let (busy, plugin) = (runtime.clone(), spin.clone());
    let spinning = tokio::spawn(async move {
        let input = limited(|limits| limits.fuel = u64::MAX);
        let input = RunInput { deadline: Duration::from_secs(600), ..input };
        busy.run(&plugin, input, Box::new(Script::default())).await
    });
    tokio::task::yield_now().await;
    for _ in 0..20 {
        let report = runtime.run(&well, input(), Box::new(Script::default())).await;
        assert_eq!(report.outcome, Outcome::Done);
    }
    assert!(!spinning.is_finished(), "it spun all the while");
    spinning.abort();
    assert!(spinning.await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn a_memory_bomb_ends_at_its_limit() {
    let handle = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
    let input = limited(|limits| limits.memory_bytes = 10 << 20);
    let report = run(Guest { handle, ..Guest::default() }, input, &Script::default()).await;
    assert_eq!(report.outcome, limit("memory_bytes", 10 << 20));
    assert!(report.peak_memory <= 10 << 20 && report.peak_memory > 9 << 20, "{}", report.peak_memory);
}

#[tokio::test]
async fn a_guest_that_survives_a_refused_growth_may_finish() {
    let handle = "(drop (memory.grow (i32.const 16000))) (call $done)";
    let input = limited(|limits| limits.memory_bytes = 10 << 20);
    let report = run(Guest { handle, ..Guest::default() }, input, &Script::default()).await;
    assert_eq!(report.outcome, Outcome::Done);
    assert_eq!(report.peak_memory, 65536);
}

#[tokio::test]
async fn memory_at_the_start_counts_too() {
    let input = limited(|limits| limits.memory_bytes = 1 << 20);
    let report = run(Guest { pages: 17, ..Guest::default() }, input, &Script::default()).await;
    assert_eq!(report.outcome, limit("memory_bytes", 1 << 20));
}

#[tokio::test]
async fn deep_recursion_ends_at_the_stack() {
    let top = "(func $deep (param i64) (result i64) (i64.add (call $deep (local.get 0)) (i64.const 1)))";
    let handle = "(drop (call $deep (i64.const 0))) (call $done)";
    let report = run(Guest { top, handle, ..Guest::default() }, input(), &Script::default()).await;
    assert_eq!(report.outcome, limit("stack", 512 << 10));
}

#[tokio::test]
async fn a_table_bomb_ends_at_its_limit() {
    let top = "(table $t 0 funcref)";
    let handle = "(loop (br_if 0 (i32.ne (table.grow $t (ref.null func) (i32.const 100)) (i32.const -1)))) unreachable";
    let input = limited(|limits| limits.table_elements = 5_000);
    let report = run(Guest { top, handle, ..Guest::default() }, input, &Script::default()).await;
    assert_eq!(report.outcome, limit("table_elements", 5_000));
}

#[tokio::test]
async fn one_table_ends_at_its_own_limit_whatever_all_together_may_have() {
    let grow = |table: &str, limits: Limits| {
        let handle = "(br_if 0 (call $done) (i32.ne (table.grow $t (ref.null func) (i32.const 25000)) (i32.const -1)))
            unreachable";
        let guest = Guest { top: String::leak(format!("(table $t {table} funcref)")), handle, ..Guest::default() };
        async move { run(guest, RunInput { limits, ..input() }, &Script::default()).await.outcome }
    };
    let raised = Limits { table_elements: 1_280_000, ..Limits::default() };
    for limits in [Limits::default(), raised] {
        assert_eq!(grow("0", limits.clone()).await, limit("table_elements_each", 20_000));
        assert_eq!(grow("0 20000", limits).await, limit("table_elements_each", 20_000));
    }
    let own = grow("0 19999", Limits::default()).await;
    assert!(matches!(own, Outcome::Trap { .. }), "the guest's own maximum is no limit: {own:?}");
}

#[tokio::test]
async fn too_many_core_instances_are_a_limit() {
    let input = limited(|limits| limits.instances = 0);
    let report = run(Guest::default(), input, &Script::default()).await;
    assert_eq!(report.outcome, limit("instances", 0));
}

#[tokio::test]
async fn host_calls_are_counted_and_end() {
    let handle = r#"(loop (call $note (i32.const 2048) (i32.const 19) (i32.const 2068) (i32.const 5) (i32.const 3000))
        (br 0)) unreachable"#;
    let host = Script::default();
    let mut input = granted(&["notes"]);
    input.limits.host_calls = 5;
    let report = run(Guest { handle, ..NOTE }, input, &host).await;
    assert_eq!(report.outcome, limit("host_calls", 5));
    assert_eq!((report.host_calls, host.asked().len()), (5, 5));
}

#[tokio::test]
async fn one_call_can_not_carry_too_much() {
    let handle = r#"(call $note (i32.const 2048) (i32.const 19) (i32.const 2048) (i32.const 60000) (i32.const 1100))
        (call $done)"#;
    let mut input = granted(&["notes"]);
    input.limits.call_bytes = 10_000;
    let report = run(Guest { handle, ..NOTE }, input, &Script::default()).await;
    assert_eq!(report.outcome, limit("call_bytes", 10_000));
}

#[tokio::test]
async fn all_calls_together_can_not_carry_too_much() {
    let handle = r#"(loop (call $note (i32.const 2048) (i32.const 19) (i32.const 2068) (i32.const 5) (i32.const 3000))
        (br 0)) unreachable"#;
    let mut input = granted(&["notes"]);
    input.limits.border_bytes = 1_000;
    let host = Script::default();
    let report = run(Guest { handle, ..NOTE }, input, &host).await;
    assert_eq!(report.outcome, limit("border_bytes", 1_000));
    assert_eq!(host.asked().len(), 25, "19 + 5 bytes and 16 a call");
}

#[tokio::test]
async fn a_hanging_host_call_ends_at_the_deadline() {
    let host = Script { hangs: true, ..Script::default() };
    let input = RunInput { deadline: Duration::from_millis(50), ..granted(&["notes"]) };
    let report = run(NOTE, input, &host).await;
    assert_eq!((report.outcome, report.waiting), (Outcome::Deadline, true));
    assert_eq!(host.asked().len(), 1, "the call was under way");

    let mut input = granted(&["notes"]);
    input.limits.deadline_ms = 50;
    assert_eq!(run(NOTE, input, &host).await.outcome, Outcome::Deadline, "the installation's own deadline");
}

#[tokio::test]
async fn a_place_in_the_pool_is_waited_for() {
    let runtime = runtime();
    let (hanging, well) = (load(&runtime, NOTE.build()).await, load(&runtime, Guest::default().build()).await);
    let host = Script { hangs: true, ..Script::default() };
    let mut held = Vec::new();
    for _ in 0..4 {
        let (runtime, plugin, host) = (runtime.clone(), hanging.clone(), host.clone());
        let input = RunInput { deadline: Duration::from_secs(600), ..granted(&["notes"]) };
        held.push(tokio::spawn(async move { runtime.run(&plugin, input, Box::new(host)).await }));
    }
    while host.asked().len() < 4 {
        tokio::task::yield_now().await;
    }
    let waiting = {
        let runtime = runtime.clone();
        tokio::spawn(async move { runtime.run(&well, input(), Box::new(Script::default())).await })
    };
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished(), "four hold the pool");
    for run in held {
        run.abort();
    }
    assert_eq!(waiting.await.unwrap().outcome, Outcome::Done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_runs_on_several_threads_never_find_the_pool_empty() {
    let runtime = runtime();
    let plugin =
        load(&runtime, Guest { handle: "(drop (memory.grow (i32.const 1))) (call $done)", ..Guest::default() }.build())
            .await;
    let runs = (0..400).map(|_| {
        let (runtime, plugin) = (runtime.clone(), plugin.clone());
        tokio::spawn(async move { runtime.run(&plugin, input(), Box::new(Script::default())).await.outcome })
    });
    for run in runs.collect::<Vec<_>>() {
        assert_eq!(run.await.unwrap(), Outcome::Done);
    }
}

#[tokio::test]
async fn aborts_of_the_host_end_the_run_unseen() {
    let call = "notes#set-merchant-notes";
    for abort in [Abort::StaleEpoch, Abort::Divergence("call 3".into()), Abort::HostFault("no disk".into())] {
        let host = Script::answering(call, Err(CallError::Abort(abort.clone())));
        assert_eq!(run(NOTE, granted(&["notes"]), &host).await.outcome, Outcome::Aborted(abort));
    }
}

#[tokio::test]
async fn a_panic_of_the_host_is_the_hosts_fault() {
    let host = Script { panics: true, ..Script::default() };
    let report = run(NOTE, granted(&["notes"]), &host).await;
    assert_eq!(report.outcome, Outcome::HostFault("a host call panicked: the scripted host panics".into()));

    let log = Guest {
        imports: &["fangshi:host/log"],
        core_imports: r#"(import "fangshi:host/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#,
        handle: "(call $log (i32.const 1) (i32.const 2048) (i32.const 3)) (call $done)",
        ..Guest::default()
    };
    let report = run(log, input(), &host).await;
    assert_eq!(report.outcome, Outcome::HostFault("the log panicked: the scripted log panics".into()));

    // What is put together at the time may quote data, and a run's reason is read by people.
    let host = Script { panics_with_data: true, ..Script::default() };
    for (guest, input) in [(NOTE, granted(&["notes"])), (log, input())] {
        let Outcome::HostFault(reason) = run(guest, input, &host).await.outcome else { panic!() };
        assert!(reason.ends_with(UNSAID), "{reason}");
    }
}

#[tokio::test]
async fn a_hook_the_plugin_does_not_have_and_an_event_that_does_not_fit() {
    let report = run(Guest::default(), RunInput { hook: "on-new".into(), ..input() }, &Script::default()).await;
    assert_eq!(report.outcome, Outcome::HostFault("the plugin has no hook `on-new`".into()));

    let report =
        run(Guest::default(), RunInput { detail: json!({"pay_time": "noon"}), ..input() }, &Script::default()).await;
    let Outcome::EventUnfit { reason } = report.outcome else { panic!() };
    assert_eq!(
        reason,
        "the event does not fit `fangshi:store/on-pay@0.1.0`: pay_time: expected a whole number, found a text that is none"
    );
}

#[tokio::test]
async fn the_log_is_cut_at_its_limit_and_the_run_goes_on() {
    let log = Guest {
        imports: &["fangshi:host/log"],
        core_imports: r#"(import "fangshi:host/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#,
        // The text's last character has three bytes.
        top: r#"(data (i32.const 2048) "1234567漢")"#,
        handle: r#"(call $log (i32.const 3) (i32.const 2048) (i32.const 10))
            (call $log (i32.const 9) (i32.const 2048) (i32.const 10))
            (call $log (i32.const 0) (i32.const 2048) (i32.const 10))
            (call $done)"#,
        ..Guest::default()
    };
    let host = Script::default();
    let report = run(log, limited(|limits| limits.log_bytes = 20), &host).await;
    assert_eq!(report.outcome, Outcome::Done);
    let lines = [(3, "1234567漢".into()), (1, "1234567… [log cut: 20 bytes are kept]".into())];
    assert_eq!(host.log(), lines, "an unknown level is info; no character is cut in two; later lines are dropped");
    assert_eq!((report.log_bytes, report.log_bytes_cut), (19, 13));
}

#[tokio::test]
async fn the_time_that_a_guest_takes_itself_is_no_waiting() {
    // What it may burn takes a minute of a core.
    let mut input = limited(|limits| limits.fuel = 60_000_000_000);
    input.deadline = Duration::from_millis(50);
    let spins = Guest { handle: "(loop (br 0)) unreachable", ..Guest::default() };
    let report = run(spins, input, &Script::default()).await;
    assert_eq!((report.outcome, report.waiting), (Outcome::Deadline, false));
}

#[tokio::test]
async fn so_many_lines_are_kept_and_the_last_says_so() {
    let log = Guest {
        imports: &["fangshi:host/log"],
        core_imports: r#"(import "fangshi:host/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#,
        top: r#"(data (i32.const 2048) "line")"#,
        handle: r#"(local $n i32) (loop
            (call $log (i32.const 1) (i32.const 2048) (i32.const 4))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if 0 (i32.lt_u (local.get $n) (i32.const 9)))) (call $done)"#,
        ..Guest::default()
    };
    let host = Script::default();
    let report = run(log, limited(|limits| limits.log_lines = 3), &host).await;
    assert_eq!((report.outcome, report.log_bytes), (Outcome::Done, 15));
    let kept: Vec<String> = host.log().into_iter().map(|(_, line)| line).collect();
    assert_eq!(kept, ["line", "line", "line… [log cut: 3 lines are kept]"]);
}

#[tokio::test]
async fn empty_lines_fill_the_log_too() {
    let log = Guest {
        imports: &["fangshi:host/log"],
        core_imports: r#"(import "fangshi:host/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#,
        handle: r#"(local $n i32) (loop
            (call $log (i32.const 1) (i32.const 2048) (i32.const 0))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if 0 (i32.lt_u (local.get $n) (i32.const 1000)))) (call $done)"#,
        ..Guest::default()
    };
    let host = Script::default();
    let report = run(log, limited(|limits| limits.log_bytes = 10), &host).await;
    assert_eq!((report.outcome, report.log_bytes, host.log().len()), (Outcome::Done, 10, 11));
    assert_eq!(host.log()[10].1, "… [log cut: 10 bytes are kept]");
}
