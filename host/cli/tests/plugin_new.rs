//! `fangshi plugin new`: what it writes is built as `cargo xtask guests` builds, and works as it stands.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn fangshi(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fangshi"));
    command.args(arguments).current_dir(folder).env_remove("RUST_LOG").output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs it, and expects it to end well.
fn ok(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", text(&output));
    text(&output)
}

fn made(folder: &Path, language: &str) -> PathBuf {
    let output = fangshi(folder, &["plugin", "new", "big-orders", "--language", language]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("big-orders/README.md"), "{}", text(&output));
    folder.join("big-orders")
}

/// The way of `cargo xtask guests`, with its toolchain; compiled dependencies are kept between runs of this test.
fn build(plugin: &Path, to: &Path) {
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--package", "xtask", "--", "plugin"]).arg(plugin).arg("--to").arg(to);
    command.arg("--target-dir").arg(root().join("target/plugin-new")).current_dir(root());
    ok(command);
}

/// The event and the order of the template, through the component.
fn try_it(plugin: &Path, component: &Path) {
    let component = component.to_str().unwrap();
    let inspected = text(&fangshi(plugin, &["plugin", "inspect", component]));
    assert!(inspected.contains("hooks    on-pay"), "{inspected}");
    let arguments = ["plugin", "run", component, "--event", "event.json", "--order", "order.json"];
    let output = fangshi(plugin, &arguments);
    assert!(output.status.success(), "{}", text(&output));
    for part in ["notes", "有买家留言", "marked"] {
        assert!(text(&output).contains(part), "{part}: {}", text(&output));
    }
    assert!(text(&output).contains("order-summary"), "{}", text(&output));
}

#[test]
fn a_new_plugin_in_rust_builds_tests_itself_and_marks_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = made(folder.path(), "rust");
    // The versions that this repository is tested with; an author takes those of the day.
    std::fs::copy(root().join("Cargo.lock"), plugin.join("Cargo.lock")).unwrap();
    let component = folder.path().join("big-orders.wasm");
    build(&plugin, &component);
    try_it(&plugin, &component);

    // What the README tells an author who has no xtask: the same bytes.
    let target = root().join("target/plugin-new/wasm32-unknown-unknown/release/big_orders.wasm");
    let again = folder.path().join("again.wasm");
    let output = fangshi(&plugin, &["plugin", "component", target.to_str().unwrap(), "--to", again.to_str().unwrap()]);
    assert!(output.status.success() && text(&output).contains("grant    notes"), "{}", text(&output));
    assert_eq!(std::fs::read(&again).unwrap(), std::fs::read(&component).unwrap());

    let mut tests = Command::new(env!("CARGO"));
    tests
        .args(["test", "--quiet", "--release"])
        .current_dir(&plugin)
        .env("CARGO_TARGET_DIR", root().join("target/plugin-new"));
    let told = ok(tests);
    assert!(told.contains("2 passed"), "{told}");
}

#[test]
fn a_new_plugin_in_javascript_builds_tests_itself_and_marks_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = made(folder.path(), "javascript");
    let component = folder.path().join("big-orders.wasm");
    build(&plugin, &component);
    try_it(&plugin, &component);
    let mut tests = Command::new("node");
    tests.arg("--test").current_dir(&plugin);
    let told = ok(tests);
    assert!(told.contains("pass 2"), "{told}");
}

#[test]
fn what_is_there_is_left_alone_and_wrong_names_and_modules_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("taken")).unwrap();
    for (name, language, part) in [
        ("taken", "rust", "taken"),
        ("Big", "rust", "small letters"),
        ("../out", "rust", "name"),
        ("a", "go", "possible values"),
    ] {
        let output = fangshi(folder.path(), &["plugin", "new", name, "--language", language]);
        assert!(!output.status.success(), "{name}");
        assert!(text(&output).contains(part), "{name}: {}", text(&output));
    }
    assert_eq!(std::fs::read_dir(folder.path().join("taken")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    let module = folder.path().join("bad.wasm");
    for (bytes, part) in [(&b"no module"[..], "module"), (b"\0asm\x01\0\0\0", "plugin")] {
        std::fs::write(&module, bytes).unwrap();
        let output = fangshi(folder.path(), &["plugin", "component", "bad.wasm", "--to", "out.wasm"]);
        assert!(!output.status.success());
        assert!(text(&output).contains(part), "{}", text(&output));
        assert!(!folder.path().join("out.wasm").exists(), "a component that no host takes was written");
    }
}

/// A plugin that asks a function of WASI's first release for the time, as the library of C does, and logs what it is told:
/// seconds, in 19 digits of nanoseconds.
const OF_C: &str = r#"(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
  (import "fangshi:host/log@0.1.0" "write" (func $log (param i32 i32 i32)))
  (import "fangshi:host/events@0.1.0" "[resource-drop]event" (func $drop_event (param i32)))
  (import "fangshi:store/orders@0.1.0" "[resource-drop]order" (func $drop_order (param i32)))
  (memory (export "memory") 1)
  (func (export "fangshi:store/on-pay@0.1.0#handle") (param i32 i32 i64) (result i32)
    (local $now i64) (local $at i32)
    (drop (call $time (i32.const 0) (i64.const 1) (i32.const 512)))
    (local.set $now (i64.load (i32.const 512)))
    (local.set $at (i32.const 619))
    (loop
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $now) (i64.const 10)))))
      (local.set $now (i64.div_u (local.get $now) (i64.const 10)))
      (br_if 0 (i32.gt_u (local.get $at) (i32.const 600))))
    (call $log (i32.const 1) (i32.const 600) (i32.const 19))
    (call $drop_event (local.get 0))
    (call $drop_order (local.get 1))
    (i32.store (i32.const 1024) (i32.const 0))
    (i32.const 1024)))"#;

#[test]
fn a_module_of_c_is_brought_to_the_wasi_of_components_and_runs() {
    let mut resolve = wit_parser::Resolve::new();
    for part in ["host", "store"] {
        resolve.push_dir(root().join("wit").join(part)).unwrap();
    }
    let world = "package test:c;\nworld plugin { import fangshi:host/log@0.1.0; export fangshi:store/on-pay@0.1.0; }";
    let package = resolve.push_source("plugin.wit", world).unwrap();
    let world = resolve.packages[package].worlds["plugin"];
    let mut module = wat::parse_str(OF_C).unwrap();
    let utf8 = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, utf8, false).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("module.wasm"), module).unwrap();
    let output = fangshi(folder.path(), &["plugin", "component", "module.wasm", "--to", "plugin.wasm"]);
    assert!(output.status.success() && text(&output).contains("hooks    on-pay"), "{}", text(&output));

    let template = root().join("plugins/templates/rust");
    let file = |name: &str| template.join(name).to_str().unwrap().to_owned();
    let (event, order) = (file("event.json"), file("order.json"));
    let output = fangshi(folder.path(), &["plugin", "run", "plugin.wasm", "--event", &event, "--order", &order]);
    assert!(output.status.success(), "{}", text(&output));
    // The event's own time, which is the clock of a run at the desk.
    assert!(text(&output).contains("info    1764642403000000000"), "{}", text(&output));
}
