//! From bytes to a plugin: the caches, tampering, wrong bytes, components the engine refuses.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use fangshi_runtime::{Outcome, Runtime, RuntimeConfig, RuntimeError, digest_of};
use support::{Guest, Script, input};

fn runtime(dir: &Path, key: u8) -> Runtime {
    let config = RuntimeConfig {
        max_concurrent_runs: 2,
        code_dir: Some(dir.to_owned()),
        code_key: zeroize::Zeroizing::new([key; 32]),
        ..RuntimeConfig::default()
    };
    Runtime::new(config).unwrap()
}

/// Loads and runs a guest; says how often its bytes were fetched, which is how often it was compiled.
async fn fetches(runtime: &Runtime, wasm: &[u8]) -> u32 {
    let fetched = AtomicU32::new(0);
    let plugin = runtime
        .load(digest_of(wasm), || async {
            fetched.fetch_add(1, Ordering::Relaxed);
            Ok::<_, RuntimeError>(wasm.to_vec())
        })
        .await
        .unwrap();
    let report = runtime.run(&plugin, input(), Box::new(Script::default())).await;
    assert_eq!(report.outcome, Outcome::Done);
    fetched.into_inner()
}

fn code_files(dir: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    folders.flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())).collect()
}

#[tokio::test]
async fn compiled_once_then_from_memory_and_from_disk() {
    let dir = tempfile::tempdir().unwrap();
    let wasm = Guest::default().build();
    let first = runtime(dir.path(), 1);
    assert_eq!(fetches(&first, &wasm).await, 1, "compiled");
    assert_eq!(fetches(&first, &wasm).await, 0, "from memory");
    assert_eq!(fetches(&runtime(dir.path(), 1), &wasm).await, 0, "from disk, after a restart");
    assert_eq!(fetches(&runtime(dir.path(), 2), &wasm).await, 1, "another key trusts nothing");
}

#[tokio::test]
async fn a_flipped_byte_recompiles() {
    let dir = tempfile::tempdir().unwrap();
    let wasm = Guest::default().build();
    assert_eq!(fetches(&runtime(dir.path(), 1), &wasm).await, 1);
    let [file] = &code_files(dir.path())[..] else { panic!("one file of code") };
    let mut code = std::fs::read(file).unwrap();
    let middle = code.len() / 2;
    code[middle] ^= 1;
    std::fs::write(file, code).unwrap();
    let again = runtime(dir.path(), 1);
    assert_eq!(fetches(&again, &wasm).await, 1);
    assert_eq!(fetches(&runtime(dir.path(), 1), &wasm).await, 0, "and is whole again");
}

#[tokio::test]
async fn concurrent_loads_share_one_compilation() {
    let runtime = support::runtime();
    let wasm = Guest::default().build();
    let digest = digest_of(&wasm);
    let fetched = AtomicU32::new(0);
    let load = || {
        runtime.load(digest, || async {
            fetched.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok::<_, RuntimeError>(wasm.clone())
        })
    };
    let (one, two, three) = tokio::join!(load(), load(), load());
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert_eq!(fetched.into_inner(), 1);
}

#[tokio::test]
async fn bytes_must_be_those_of_the_digest() {
    let runtime = support::runtime();
    let (wasm, other) = (Guest::default().build(), Guest { pages: 2, ..Guest::default() }.build());
    let error = runtime.load(digest_of(&wasm), || async { Ok::<_, RuntimeError>(other) }).await.unwrap_err();
    assert!(matches!(error, RuntimeError::Bytes(_)), "{error}");
    let error = runtime.load(digest_of(&wasm), || async { Err::<Vec<u8>, _>("the store is gone") }).await.unwrap_err();
    assert_eq!(error.to_string(), "the plugin's bytes can't be had: the store is gone");
}

#[tokio::test]
async fn a_component_the_engine_refuses_is_the_uploaders_fault() {
    let runtime = support::runtime();
    // Five memories: one more than a component may have in the pool.
    let modules: String = (0..5).map(|_| "(core instance (instantiate $m))").collect();
    let wasm = wat::parse_str(format!("(component (core module $m (memory 1)) {modules})")).unwrap();
    let error = runtime.load_bytes(wasm).await.unwrap_err();
    assert!(matches!(error, RuntimeError::Unloadable(_)), "{error}");
    assert!(error.to_string().contains("memories"), "{error}");
    let error = runtime.load_bytes(b"\0asm rubbish".to_vec()).await.unwrap_err();
    assert!(matches!(error, RuntimeError::Unloadable(_)), "{error}");
}
