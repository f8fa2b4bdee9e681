//! One engine and everything around it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::code_dir::CodeDir;
use crate::compiler::{Compiler, InProcess};
use crate::config::{PoolSizes, RuntimeConfig};
use crate::contract::Contract;
use crate::engine::{self, VERSION};
use crate::failures::Failures;
use crate::inspect::inspect;
use crate::line::Line;
use crate::link::linker;
use crate::manifest::{Manifest, Refusal};
use crate::plugin::{Plugin, RuntimeError};
use crate::state::RunState;

/// Code of another engine is kept so long after its last compilation, for a way back.
const STALE: Duration = Duration::from_hours(30 * 24);

/// The engine, its caches and its contract. Cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub config: RuntimeConfig,
    pub contract: &'static Contract,
    pub engine: Engine,
    /// It by name, as attempts record it.
    pub recorded_engine: String,
    pub linker: Linker<RunState>,
    pub plugins: Cache<[u8; 32], Arc<Plugin>>,
    pub code_dir: Option<CodeDir>,
    pub compiler: Arc<dyn Compiler>,
    pub line: Arc<Line>,
    pub failures: Failures,
    /// As many places as the pool has: a run waits here instead of failing there.
    pub places: Semaphore,
}

impl Runtime {
    /// Makes the engine and links the contract.
    ///
    /// # Errors
    /// [`RuntimeError::Config`]: the settings make no engine, or the code folder can't be made.
    pub fn new(config: RuntimeConfig) -> Result<Runtime, RuntimeError> {
        let fault = |error: wasmtime::Error| RuntimeError::Config(format!("{error:#}"));
        let contract = Contract::get().map_err(|error| RuntimeError::Config(format!("the contract: {error}")))?;
        let engine = engine::engine(&config).map_err(fault)?;
        let linker = linker(&engine, contract).map_err(fault)?;
        let code_dir = match &config.code_dir {
            None => None,
            Some(root) => {
                let dir = CodeDir::open(root, config.code_key.clone(), engine::compatibility(&engine));
                Some(dir.map_err(|error| RuntimeError::Config(format!("code folder {}: {error}", root.display())))?)
            }
        };
        let sizes = PoolSizes::derive(config.max_concurrent_runs);
        // Every plugin weighs at least its share, so that neither their number nor their code exceeds its bound.
        let least = (config.loaded_code_bytes / config.loaded_plugins.max(1)).max(1);
        let plugins = Cache::builder()
            .max_capacity(config.loaded_code_bytes)
            .weigher(move |_, plugin: &Arc<Plugin>| {
                u32::try_from(least.max(plugin.code_bytes() as u64)).unwrap_or(u32::MAX)
            })
            .build();
        tracing::info!(engine = VERSION, ?sizes, "runtime ready");
        let places = Semaphore::new(sizes.runs as usize);
        let compiler = config.compiler.clone().unwrap_or_else(|| InProcess::of(&engine));
        let inner = Inner {
            config,
            contract,
            recorded_engine: engine::recorded(&engine),
            engine,
            linker,
            plugins,
            code_dir,
            compiler,
            line: Arc::default(),
            failures: Failures::default(),
            places,
        };
        Ok(Runtime { inner: Arc::new(inner) })
    }

    /// Name and exact version of the engine.
    pub fn engine_version(&self) -> &str {
        VERSION
    }

    /// The same with eight digits that stand for its settings, to be recorded with an attempt: fuel is comparable within one. The
    /// processor's features count as well, since code is compiled for them: on another kind of machine the digits may differ
    /// though fuel does not.
    pub fn recorded_engine(&self) -> &str {
        &self.inner.recorded_engine
    }

    /// Plugins loaded in memory now (approximately: the cache counts lazily).
    pub fn loaded(&self) -> u64 {
        self.inner.plugins.entry_count()
    }

    /// Removes compiled code of components that nobody has any more, and of engines that compiled nothing for a month; gives
    /// the number of files. What is missed later is compiled again. Blocks on the disk.
    ///
    /// # Errors
    /// The folder can't be read, or a file of it not be removed.
    pub fn sweep_code(&self, wanted: impl Fn(&[u8; 32]) -> bool) -> io::Result<u64> {
        self.inner.code_dir.as_ref().map_or(Ok(0), |dir| dir.sweep(wanted, STALE))
    }

    /// Reads an upload's type without compiling it: its hooks and the grants it asks for, or everything that keeps it
    /// out. Takes milliseconds a MiB; call it where blocking that long is no harm.
    pub fn inspect(&self, wasm: &[u8]) -> Result<Manifest, Refusal> {
        inspect(self.inner.contract, wasm, self.inner.config.max_component_bytes)
    }
}
