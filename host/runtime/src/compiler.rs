//! What turns a component into machine code. Where that happens is the caller's choice: [`InProcess`] here, or a process of
//! its own, which a component that takes too much can't take with it.

use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;
use tokio::task::JoinError;
use wasmtime::{Engine, OutOfMemory};

use crate::config::RuntimeConfig;
use crate::engine;
use crate::panics::ending_of;
use crate::parts;
use crate::plugin::RuntimeError;

/// Gives the machine code of a component.
///
/// What it gives is run as it is: it must come from [`InProcess::code_of`], in this process or in another one of the same
/// program, and from nowhere else.
#[async_trait]
pub trait Compiler: Send + Sync + 'static {
    /// The machine code of a component, in the engine's own form.
    async fn compile(&self, wasm: Vec<u8>) -> Result<Vec<u8>, CompileError>;
}

/// Why there is no machine code. All but the last are the component's doing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CompileError {
    /// The engine refuses the component. The text is for its author.
    #[error("{0}")]
    Refused(String),
    /// It used up its time.
    #[error("compiling it takes more than the {allowed} seconds that it may take")]
    TooSlow {
        /// Seconds.
        allowed: u64,
    },
    /// It used up its memory, or gives more code than is kept.
    #[error("compiling it needs more than {limit} allows: {allowed} bytes")]
    TooLarge {
        /// The setting's name.
        limit: &'static str,
        /// Its value.
        allowed: u64,
    },
    /// There is no memory left. A compiler in a process of its own says which limit that was.
    #[error("there is no memory left to compile it")]
    NoMemory,
    /// The compiler ended without a word, or gave something else than code.
    #[error("the compiler failed: {0}")]
    Failed(String),
    /// No compiler could be started. For the operator.
    #[error("the compiler can't be started: {0}")]
    Unavailable(String),
}

impl CompileError {
    /// The task that worked on the component gave no answer.
    pub(crate) fn cut_off(ended: &JoinError) -> CompileError {
        CompileError::Failed(ending_of(ended).to_owned())
    }
}

/// Compiles in this process, without limits.
pub struct InProcess {
    engine: Engine,
}

impl InProcess {
    /// A compiler for runtimes with these settings.
    ///
    /// # Errors
    /// [`RuntimeError::Config`]: the settings make no engine.
    pub fn new(config: &RuntimeConfig) -> Result<InProcess, RuntimeError> {
        let engine = engine::engine(config).map_err(|error| RuntimeError::Config(format!("{error:#}")))?;
        Ok(InProcess { engine })
    }

    pub(crate) fn of(engine: &Engine) -> Arc<InProcess> {
        Arc::new(InProcess { engine: engine.clone() })
    }

    /// The machine code of a component. Takes seconds for a large one.
    ///
    /// # Errors
    /// [`CompileError::Refused`], [`CompileError::NoMemory`].
    pub fn code_of(&self, wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
        let code = self.engine.precompile_component(wasm).map_err(|error| match error.is::<OutOfMemory>() {
            true => CompileError::NoMemory,
            false => CompileError::Refused(format!("{error:#}")),
        })?;
        parts::check(wasm)?;
        Ok(code)
    }
}

#[async_trait]
impl Compiler for InProcess {
    async fn compile(&self, wasm: Vec<u8>) -> Result<Vec<u8>, CompileError> {
        let compiler = InProcess { engine: self.engine.clone() };
        let done = tokio::task::spawn_blocking(move || compiler.code_of(&wasm)).await;
        done.unwrap_or_else(|ended| Err(CompileError::cut_off(&ended)))
    }
}
