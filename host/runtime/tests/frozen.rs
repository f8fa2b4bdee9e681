//! Compiled plugins of every released version of the contract keep running (`wit/frozen`).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fangshi_runtime::{Outcome, RunInput};
use serde_json::json;
use support::{Script, input, load, runtime};

/// Every frozen plugin, with its hooks and the grants that it asks for. Rows are added, never changed.
const FROZEN: &[(&str, &[&str], &[&str])] = &[
    ("0.1.0/address-decision.wasm", &["on-ext-info-update"], &["address-decision", "order-delivery", "order-summary"]),
    ("0.1.0/large-order-note.wasm", &["on-pay"], &["notes", "order-price", "order-summary"]),
    ("0.1.0/virtual-number-mark.wasm", &["on-ext-info-update"], &["notes", "order-summary"]),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/frozen")
}

#[test]
fn the_list_and_the_folder_have_the_same_files() {
    let mut found = BTreeSet::new();
    for version in std::fs::read_dir(folder()).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        for file in std::fs::read_dir(version.path()).unwrap().map(Result::unwrap) {
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
