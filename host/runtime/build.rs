//! Finds the engine's exact version in the lock file: runs are recorded with it, and the engine does not tell.

use std::path::Path;

fn main() {
    let lock = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../../Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    let text = std::fs::read_to_string(&lock).unwrap_or_default();
    let mut lines = text.lines().skip_while(|line| line.trim() != r#"name = "wasmtime""#);
    let version = lines.nth(1).and_then(|line| line.strip_prefix("version = ")).map(|text| text.trim_matches('"'));
    println!("cargo::rustc-env=ENGINE_VERSION={}", version.unwrap_or("unknown"));
}
