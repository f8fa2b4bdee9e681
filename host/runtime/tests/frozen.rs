//! What a release freezes (`wit/frozen`): functions and types of the contract stay as they are, and compiled plugins of
//! every released version keep running.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "frozen/lines.rs"]
mod lines;
mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fangshi_runtime::{Outcome, RunInput};
use serde_json::json;
use support::{Script, contract, input, load, runtime};
use wit_parser::{Resolve, SourceMap};

/// Every frozen plugin, with its hooks and the grants that it asks for. Rows are added, never changed.
const FROZEN: &[(&str, &[&str], &[&str])] = &[
    ("0.1.0/address-decision.wasm", &["on-ext-info-update"], &["address-decision", "order-delivery", "order-summary"]),
    ("0.1.0/large-order-note.wasm", &["on-pay"], &["notes", "order-price", "order-summary"]),
    ("0.1.0/virtual-number-mark.wasm", &["on-ext-info-update"], &["notes", "order-summary"]),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/frozen")
}

/// The lines of a released version, in its folder.
const CONTRACT: &str = "contract.txt";

/// What a contract takes from those who built on a released one. Plugins import functions, so more of them do no harm; they
/// export hooks, so a function more in a hook is one that they lack.
fn broken(released: &BTreeSet<String>, now: &BTreeSet<String>) -> Vec<String> {
    let is_of_a_hook = |line: &str| line.contains("/on-") && line.contains(": func(");
    let lost = released.difference(now).map(|line| format!("changed or gone: {line}"));
    let hooks: BTreeSet<&str> =
        released.iter().filter(|line| is_of_a_hook(line)).filter_map(|line| line.split(' ').next()).collect();
    let more = now
        .difference(released)
        .filter(|line| is_of_a_hook(line) && line.split(' ').next().is_some_and(|hook| hooks.contains(hook)));
    lost.chain(more.map(|line| format!("old plugins do not have: {line}"))).collect()
}

fn released(version: &std::path::Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(version.join(CONTRACT)).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn functions_may_be_added_to_a_released_contract_and_nothing_else_changes() {
    let now = lines::of(&contract());
    for version in std::fs::read_dir(folder()).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        let broken = broken(&released(&version.path()), &now);
        assert!(broken.is_empty(), "see wit/frozen/README.md:\n{}", broken.join("\n"));
    }
}

#[test]
#[ignore = "writes: the step of a release that freezes what was added since the last one"]
fn freeze_the_contract() {
    let version = contract().package_names.keys().next().unwrap().version.clone().unwrap();
    let file = folder().join(version.to_string()).join(CONTRACT);
    let text: String = lines::of(&contract()).iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(file, text).unwrap();
}

/// The contract with one change in the text of a file.
fn changed(file: &str, from: &str, to: &str) -> BTreeSet<String> {
    let mut resolve = Resolve::new();
    for package in ["host", "store"] {
        let mut map = SourceMap::new();
        for entry in std::fs::read_dir(folder().join("..").join(package)).unwrap().map(Result::unwrap) {
            let mut text = std::fs::read_to_string(entry.path()).unwrap();
            if entry.file_name() == file {
                assert!(text.contains(from), "{file} has no {from}");
                text = text.replacen(from, to, 1);
            }
            map.push_str(entry.file_name().to_str().unwrap(), text);
        }
        resolve.push_group(map.parse().map_err(|(_, error)| error).unwrap()).unwrap();
    }
    lines::of(&resolve)
}

#[test]
fn the_check_tells_what_breaks_from_what_does_not() {
    let now = lines::of(&contract());
    assert!(now.len() > 150, "{now:?}");
    let broken_by = |file, from, to| broken(&now, &changed(file, from, to));
    let notes = "thumb-img: func(";
    assert_eq!(broken_by("orders.wit", notes, "more: func() -> u32;\n thumb-img: func("), [""; 0], "a function more");
    assert_eq!(broken_by("orders.wit", "/// How and by", "interface more { f: func(); }\n /// How and by"), [""; 0]);
    for (file, from, to) in [
        ("orders.wit", notes, "thumb: func("),
        ("orders.wit", "get: func(order-id: string)", "get: func(order-id: string, fresh: bool)"),
        ("orders.wit", "is-free-gift: bool,", ""),
        ("orders.wit", "is-free-gift: bool,", "is-free-gift: bool, more: u32,"),
        ("orders.wit", "sku-cnt: u32", "sku-cnt: u64"),
        ("events.wit", "raw: func() -> string", "raw: func() -> list<u8>"),
        ("errors.wit", "not-found,", "not-found, gone,"),
        ("services.wit", "name: string,\n        /// The moment", "/// The moment"),
        ("hooks.wit", "interface on-new {", "interface on-new {\n more: func();"),
    ] {
        assert_eq!(broken_by(file, from, to).len(), 1, "{from} → {to}");
    }
}

#[test]
fn the_list_and_the_folder_have_the_same_files() {
    let mut found = BTreeSet::new();
    for version in std::fs::read_dir(folder()).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        for file in std::fs::read_dir(version.path()).unwrap().map(Result::unwrap) {
            if file.file_name() == CONTRACT {
                continue;
            }
            let name = format!("{}/{}", version.file_name().display(), file.file_name().display());
            assert!(file.metadata().unwrap().len() < 200 << 10, "{name} is too large to be kept");
            found.insert(name);
        }
    }
    let listed: BTreeSet<String> = FROZEN.iter().map(|(file, ..)| (*file).to_owned()).collect();
    assert_eq!(found, listed);
}

#[tokio::test]
async fn every_frozen_plugin_inspects_and_links() {
    let runtime = runtime();
    for (file, hooks, grants) in FROZEN {
        let wasm = std::fs::read(folder().join(file)).unwrap();
        let manifest = runtime.inspect(&wasm).unwrap_or_else(|refusal| panic!("{file}: {refusal}"));
        assert_eq!(manifest.hooks, *hooks, "{file}");
        let asked: Vec<String> = manifest.grant_names().into_iter().collect();
        assert_eq!(asked, *grants, "{file}");
        runtime.load_bytes(wasm).await.unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

#[tokio::test]
async fn a_plugin_of_the_first_version_still_marks_a_large_order() {
    let runtime = runtime();
    let plugin = load(&runtime, std::fs::read(folder().join("0.1.0/large-order-note.wasm")).unwrap()).await;
    let host = Script::default();
    let grants = ["notes", "order-price", "order-summary"].map(str::to_owned).into();
    let settings = std::sync::Arc::new(json!({"threshold": 1}));
    let report = runtime.run(&plugin, RunInput { grants, settings, ..input() }, Box::new(host.clone())).await;
    assert_eq!(report.outcome, Outcome::Done);
    let asked = host.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].0, "notes#set-merchant-notes");
    assert!(asked[0].1["merchant_notes"].as_str().unwrap().ends_with("大额订单"), "{asked:?}");
}
