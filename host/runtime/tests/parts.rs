//! Components composed of several parts: what may pass between them. The text of a part is in `tests/guests/hostile`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use fangshi_runtime::{CompileError, InProcess, RuntimeConfig};

fn compiled(name: &str) -> Result<(), CompileError> {
    let file = format!("{}/../../tests/guests/hostile/{name}.wat", env!("CARGO_MANIFEST_DIR"));
    let wasm = wat::parse_str(std::fs::read_to_string(file).unwrap()).unwrap();
    let compiler = InProcess::new(&RuntimeConfig { max_concurrent_runs: 1, ..RuntimeConfig::default() }).unwrap();
    compiler.code_of(&wasm).map(drop)
}

#[test]
fn parts_that_pass_text_are_refused_wherever_it_stands() {
    for name in ["parts-flood", "parts-flood-large", "parts-flood-texts", "parts-text-far-out", "parts-text-grown"] {
        let refused = compiled(name).unwrap_err();
        assert!(matches!(&refused, CompileError::Refused(why) if why.contains("pass text to each other")), "{refused}");
    }
}

#[test]
fn lists_and_stubs_that_can_hold_no_text_pass() {
    for name in ["parts-flood-list", "parts-text-to-a-stub"] {
        compiled(name).unwrap_or_else(|refused| panic!("{name}: {refused}"));
    }
}
