//! A loaded version, and the way to it: memory, disk, or the compiler.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};
use thiserror::Error;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre};

use crate::compiler::CompileError;
use crate::contract::{Contract, Hook};
use crate::runtime::{Inner, Runtime};
use crate::state::RunState;
use crate::wasi;

/// A loaded version: compiled, linked against the contract, ready for any number of runs at once.
pub struct Plugin {
    digest: [u8; 32],
    pub(crate) pre: InstancePre<RunState>,
    hooks: Vec<(&'static Hook, ComponentExportIndex)>,
    code_bytes: usize,
}

/// What can go wrong outside of a run.
#[derive(Debug, Clone, Error)]
pub enum RuntimeError {
    /// The settings make no engine. For the operator.
    #[error("the runtime can't start: {0}")]
    Config(String),
    /// The plugin does not compile or link. Its author's fault; the text is for him.
    #[error("the plugin can't be loaded: {0}")]
    Unloadable(String),
    /// Compiling the plugin took too much, or failed.
    #[error("the plugin can't be compiled: {0}")]
    Compile(CompileError),
    /// The component's bytes could not be read, or are not those of the digest. For the operator.
    #[error("the plugin's bytes can't be had: {0}")]
    Bytes(String),
}

impl Plugin {
    /// SHA-256 of the component.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Bytes of machine code.
    pub fn code_bytes(&self) -> usize {
        self.code_bytes
    }

    pub(crate) fn hook(&self, name: &str) -> Option<(&'static Hook, &ComponentExportIndex)> {
        self.hooks.iter().find(|(hook, _)| hook.name == name).map(|(hook, index)| (*hook, index))
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("digest", &hex::encode(self.digest)).finish_non_exhaustive()
    }
}

/// The name of a version: SHA-256 of its bytes.
pub fn digest_of(wasm: &[u8]) -> [u8; 32] {
    Sha256::digest(wasm).into()
}

impl Runtime {
    /// Loads a version: from memory, else from the code folder, else by compiling the bytes that `wasm` fetches (and
    /// which must have the digest). Concurrent loads of one version share the work, but not the bytes that one of them can't fetch.
    ///
    /// For runs: where it has to be compiled it goes before all uploads. Load a version once at upload
    /// ([`Runtime::load_bytes`]): it is compiled then, and a component that the engine refuses is
    /// [`RuntimeError::Unloadable`], the uploader's fault. What the engine refused, or what took too much to compile, is
    /// refused again for a while without another try.
    pub async fn load<F, Fut, E>(&self, digest: [u8; 32], wasm: F) -> Result<Arc<Plugin>, RuntimeError>
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = Result<Vec<u8>, E>> + Send,
        E: fmt::Display,
    {
        // Nearly always it is there.
        if let Some(plugin) = self.loaded_one(digest).await {
            return Ok(plugin);
        }
        let _wanted = self.inner.line.want(digest);
        self.load_in_turn(digest, wasm).await
    }

    /// A version, if it is in memory.
    pub async fn loaded_one(&self, digest: [u8; 32]) -> Option<Arc<Plugin>> {
        self.inner.plugins.get(&digest).await
    }

    async fn load_in_turn<F, Fut, E>(&self, digest: [u8; 32], wasm: F) -> Result<Arc<Plugin>, RuntimeError>
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = Result<Vec<u8>, E>> + Send,
        E: fmt::Display,
    {
        let inner = &self.inner;
        let mut wasm = Some(wasm);
        loop {
            let load = async {
                if let Some(plugin) = inner.from_disk(digest).await? {
                    return Ok(plugin);
                }
                if let Some(refused) = inner.failures.of(&digest, Instant::now()) {
                    return Err(refused);
                }
                let Some(wasm) = wasm.take() else {
                    return Err(RuntimeError::Bytes("they were fetched before".into()));
                };
                let wasm = wasm().await.map_err(|error| RuntimeError::Bytes(error.to_string()))?;
                inner.compile(digest, wasm).await
            };
            match inner.plugins.try_get_with(digest, load).await {
                // Somebody else's bytes, whose trouble says nothing about ours and is not ours to hear of.
                Err(error) if matches!(*error, RuntimeError::Bytes(_)) && wasm.is_some() => {}
                loaded => return loaded.map_err(|error| RuntimeError::clone(&error)),
            }
        }
    }

    /// Loads a component from its bytes, without a digest to hold it against: an upload, which waits until no run does.
    pub async fn load_bytes(&self, wasm: Vec<u8>) -> Result<Arc<Plugin>, RuntimeError> {
        let digest = digest_of(&wasm);
        self.load_in_turn(digest, || async move { Ok::<_, RuntimeError>(wasm) }).await
    }
}

impl Inner {
    async fn from_disk(self: &Arc<Self>, digest: [u8; 32]) -> Result<Option<Arc<Plugin>>, RuntimeError> {
        if self.code_dir.is_none() {
            return Ok(None);
        }
        let inner = self.clone();
        blocking(move || {
            let code = inner.code_dir.as_ref().and_then(|dir| dir.read(&digest));
            // Authentic code that the engine refuses all the same (a changed pool, say) is compiled anew.
            Ok(code.and_then(|code| inner.link(digest, &code).ok()))
        })
        .await
    }

    async fn compile(self: &Arc<Self>, digest: [u8; 32], wasm: Vec<u8>) -> Result<Arc<Plugin>, RuntimeError> {
        if digest_of(&wasm) != digest {
            return Err(RuntimeError::Bytes("they are not those of the version's digest".into()));
        }
        // One compilation at a time: each uses all cores, and more of them would only add memory.
        let turn = self.line.turn(digest).await;
        let made = self.compile_in_turn(digest, wasm).await;
        drop(turn);
        if let Err(error) = &made {
            self.failures.keep(digest, error, Instant::now());
        }
        made
    }

    async fn compile_in_turn(self: &Arc<Self>, digest: [u8; 32], wasm: Vec<u8>) -> Result<Arc<Plugin>, RuntimeError> {
        let code = self.compiler.compile(wasm).await.map_err(|error| match error {
            CompileError::Refused(why) => RuntimeError::Unloadable(why),
            other => RuntimeError::Compile(other),
        })?;
        let inner = self.clone();
        blocking(move || {
            // Only what the engine takes is worth keeping.
            let plugin = inner.link(digest, &code)?;
            if let Some(dir) = &inner.code_dir
                && let Err(error) = dir.write(&digest, &code)
            {
                tracing::warn!(%error, "compiled code can't be kept on disk");
            }
            Ok(plugin)
        })
        .await
    }

    /// From machine code that our compiler has just given or that was authenticated.
    fn link(&self, digest: [u8; 32], code: &[u8]) -> Result<Arc<Plugin>, RuntimeError> {
        // SAFETY: `code` is output of this engine version's own compiler with these settings: it comes from a `Compiler`,
        // which must give nothing else (the engine looks at its version and settings again), or from a file whose HMAC under the host's key covers the code, the component's
        // digest, the engine's version and its settings. The bytes are ours alone and can't change under the call.
        #[allow(unsafe_code)]
        let component = unsafe { Component::deserialize(&self.engine, code) }.map_err(unloadable)?;
        let refusing = wasi::with_refusals(&self.linker, &component).map_err(unloadable)?;
        let pre = refusing.as_ref().unwrap_or(&self.linker).instantiate_pre(&component).map_err(unloadable)?;
        let contract = Contract::get().map_err(|error| RuntimeError::Config(error.into()))?;
        let mut hooks = Vec::new();
        for hook in &contract.hooks {
            if let Some(interface) = component.get_export_index(None, &hook.full)
                && let Some(handle) = component.get_export_index(Some(&interface), "handle")
            {
                hooks.push((hook, handle));
            }
        }
        Ok(Arc::new(Plugin { digest, pre, hooks, code_bytes: code.len() }))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RuntimeError> + Send + 'static,
) -> Result<T, RuntimeError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|ended| Err(RuntimeError::Compile(CompileError::cut_off(&ended))))
}

fn unloadable(error: wasmtime::Error) -> RuntimeError {
    RuntimeError::Unloadable(format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_panics_tells_no_data() {
        let text = String::from("CANARY");
        let error = blocking::<()>(move || panic!("{text}")).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("CANARY"));
        assert!(error.to_string().contains("panicked"), "{error}");
    }
}
