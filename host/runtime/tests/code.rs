//! From bytes to a plugin: the caches, tampering, wrong bytes, components the engine refuses.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use fangshi_runtime::{CompileError, Compiler, Outcome, Runtime, RuntimeConfig, RuntimeError, digest_of};
use futures_util::FutureExt as _;
use support::{Guest, Script, input};
use tokio::sync::Semaphore;

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
async fn code_of_another_engine_is_compiled_anew_and_kept_beside() {
    let dir = tempfile::tempdir().unwrap();
    let wasm = Guest::default().build();
    let other = || {
        // Other code comes of this setting, and the engine says so: as after an upgrade.
        let config = RuntimeConfig {
            max_concurrent_runs: 2,
            code_dir: Some(dir.path().to_owned()),
            code_key: zeroize::Zeroizing::new([1; 32]),
            backtraces: false,
            ..RuntimeConfig::default()
        };
        Runtime::new(config).unwrap()
    };
    assert_eq!(fetches(&runtime(dir.path(), 1), &wasm).await, 1);
    assert_eq!(fetches(&other(), &wasm).await, 1, "compiled for the second engine");
    assert_eq!(code_files(dir.path()).len(), 2, "each engine has a folder of its own");
    assert_eq!(fetches(&other(), &wasm).await, 0);
    assert_eq!(fetches(&runtime(dir.path(), 1), &wasm).await, 0, "the way back is as short");

    // An attempt says which of the two it ran in.
    let (this, that) = (runtime(dir.path(), 1), other());
    assert_eq!(this.engine_version(), that.engine_version());
    assert_ne!(this.recorded_engine(), that.recorded_engine());
    assert_eq!(this.recorded_engine(), runtime(dir.path(), 2).recorded_engine(), "the same engine each time");
    let digits = this.recorded_engine().strip_prefix(this.engine_version()).unwrap().trim_start();
    assert!(digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()), "{digits}");

    // Even under the other's name, with the same key, it is not run.
    let [one, two] = &code_files(dir.path())[..] else { panic!("two files of code") };
    let (kept, theirs) = (std::fs::read(one).unwrap(), std::fs::read(two).unwrap());
    assert_ne!(kept, theirs);
    std::fs::write(one, &theirs).unwrap();
    std::fs::write(two, &kept).unwrap();
    assert_eq!(fetches(&other(), &wasm).await, 1);
    assert_eq!(fetches(&runtime(dir.path(), 1), &wasm).await, 1);
}

#[tokio::test]
async fn what_a_compiler_gives_is_looked_at_before_it_is_kept() {
    struct Garbage;
    #[async_trait::async_trait]
    impl Compiler for Garbage {
        async fn compile(&self, _: Vec<u8>) -> Result<Vec<u8>, CompileError> {
            Ok(b"no machine code".to_vec())
        }
    }
    struct Slow;
    #[async_trait::async_trait]
    impl Compiler for Slow {
        async fn compile(&self, _: Vec<u8>) -> Result<Vec<u8>, CompileError> {
            Err(CompileError::TooSlow { allowed: 7 })
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let with = |compiler: Arc<dyn Compiler>| {
        let code_dir = Some(dir.path().to_owned());
        let config = RuntimeConfig { max_concurrent_runs: 1, code_dir, compiler: Some(compiler), ..Default::default() };
        Runtime::new(config).unwrap()
    };
    let error = with(Arc::new(Garbage)).load_bytes(Guest::default().build()).await.unwrap_err();
    assert!(matches!(error, RuntimeError::Unloadable(_)), "{error}");
    assert!(code_files(dir.path()).is_empty(), "garbage was kept");
    let error = with(Arc::new(Slow)).load_bytes(Guest::default().build()).await.unwrap_err();
    assert!(matches!(error, RuntimeError::Compile(CompileError::TooSlow { allowed: 7 })), "{error}");
    assert!(error.to_string().contains("more than the 7 seconds"), "{error}");
}

#[tokio::test]
async fn bytes_that_one_can_not_fetch_are_fetched_by_another_who_waited_for_them() {
    let runtime = Runtime::new(RuntimeConfig { max_concurrent_runs: 1, ..RuntimeConfig::default() }).unwrap();
    let wasm = Guest::default().build();
    let fails = Semaphore::new(0);
    let mut one = Box::pin(runtime.load(digest_of(&wasm), || async {
        fails.acquire().await.unwrap().forget();
        Err::<Vec<u8>, _>("its key is gone")
    }));
    assert!(one.as_mut().now_or_never().is_none());
    let mut other = Box::pin(runtime.load(digest_of(&wasm), || async { Ok::<_, RuntimeError>(wasm.clone()) }));
    assert!(other.as_mut().now_or_never().is_none(), "it waits for the other's bytes");
    fails.add_permits(1);
    let (one, other) = tokio::join!(one, other);
    assert!(one.unwrap_err().to_string().contains("its key is gone"));
    assert_eq!(other.unwrap().digest(), digest_of(&wasm));
}

/// A compiler that has so many goes, and says which components it was given, by their lengths.
struct Slowly {
    given: Mutex<Vec<usize>>,
    goes: Semaphore,
}

#[async_trait::async_trait]
impl Compiler for Slowly {
    async fn compile(&self, wasm: Vec<u8>) -> Result<Vec<u8>, CompileError> {
        self.given.lock().unwrap().push(wasm.len());
        self.goes.acquire().await.unwrap().forget();
        Err(CompileError::TooSlow { allowed: 7 })
    }
}

fn slowly(goes: usize) -> (Arc<Slowly>, Runtime) {
    let compiler = Arc::new(Slowly { given: Mutex::default(), goes: Semaphore::new(goes) });
    let config = RuntimeConfig { max_concurrent_runs: 1, compiler: Some(compiler.clone()), ..Default::default() };
    (compiler, Runtime::new(config).unwrap())
}

#[tokio::test]
async fn what_a_run_waits_for_is_compiled_before_all_uploads() {
    let (compiler, runtime) = slowly(0);
    // Each comes as far as it can: to the compiler, or into the line.
    let mut first = Box::pin(runtime.load_bytes(vec![0; 1]));
    assert!(first.as_mut().now_or_never().is_none());
    let (mut two, mut three) = (Box::pin(runtime.load_bytes(vec![0; 2])), Box::pin(runtime.load_bytes(vec![0; 3])));
    assert!(two.as_mut().now_or_never().is_none() && three.as_mut().now_or_never().is_none());
    let of_run = || async { Ok::<_, RuntimeError>(vec![0; 4]) };
    let mut run = Box::pin(runtime.load(digest_of(&[0; 4]), of_run));
    assert!(run.as_mut().now_or_never().is_none());
    compiler.goes.add_permits(1);
    assert!(first.await.is_err());
    for waits in [&mut two, &mut three] {
        assert!(waits.as_mut().now_or_never().is_none());
    }
    assert!(run.as_mut().now_or_never().is_none());
    assert_eq!(*compiler.given.lock().unwrap(), [1, 4], "the run's version is the next one");
    compiler.goes.add_permits(3);
    let all = tokio::join!(two, three, run);
    assert!(all.0.is_err() && all.1.is_err() && all.2.is_err());
    assert_eq!(*compiler.given.lock().unwrap(), [1, 4, 2, 3]);
}

#[tokio::test]
async fn what_took_too_long_is_not_compiled_again_and_again() {
    let (compiler, runtime) = slowly(1);
    for _ in 0..3 {
        let error = runtime.load_bytes(vec![0; 5]).await.unwrap_err();
        assert!(matches!(error, RuntimeError::Compile(CompileError::TooSlow { allowed: 7 })), "{error}");
        let wasm = || async { Err::<Vec<u8>, _>("its bytes are not even fetched") };
        let error = runtime.load(digest_of(&[0; 5]), wasm).await.unwrap_err();
        assert!(matches!(error, RuntimeError::Compile(CompileError::TooSlow { allowed: 7 })), "{error}");
    }
    assert_eq!(*compiler.given.lock().unwrap(), [5], "it was tried once");
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
