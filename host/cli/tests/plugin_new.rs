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
