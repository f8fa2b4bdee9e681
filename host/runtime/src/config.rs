//! The runtime's settings, and the pool derived from the one that matters.

use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::compiler::Compiler;

/// Settings of the engine and its caches. `RuntimeConfig::default()` is right for a small host.
#[derive(Clone)]
pub struct RuntimeConfig {
    /// Runs that may be in a sandbox at one time; the pool is sized from it. Default 64, at most
    /// [`MAX_CONCURRENT_RUNS`]. A run beyond it waits for a
    /// free place, and its deadline runs meanwhile.
    pub max_concurrent_runs: u32,

    /// Largest component that is accepted, bytes. Default 32 MiB (a Rust plugin has 30 KiB, one in JavaScript 1 to 2 MiB with
    /// QuickJS and 12 MiB with SpiderMonkey, one in Python 18 MiB).
    pub max_component_bytes: usize,

    /// Native stack for WebAssembly frames, bytes. Default 512 KiB. Beyond: [`Outcome::Limit`](crate::Outcome::Limit)
    /// `stack`.
    pub max_wasm_stack: usize,

    /// Fuel after which a guest gives way to its neighbours on the thread. Default 100,000, about 0.1 ms.
    pub yield_interval: u64,

    /// Compiled plugins kept in memory, at most. Default 4,000: each holds 3 mappings (the kernel's map limit comes near
    /// 20,000 plugins). The least recently used ones go; a reload from disk costs about 0.2 ms.
    pub loaded_plugins: u64,

    /// Bytes of machine code kept in memory, at most. Default 1 GiB: a Rust plugin has 80 KiB, a JavaScript one 5 MiB.
    pub loaded_code_bytes: u64,

    /// Folder of compiled code; `None` keeps none on disk. Default `None`.
    pub code_dir: Option<PathBuf>,

    /// Key that authenticates compiled code on disk. Whoever can write the folder but lacks the key can't make the host
    /// run code. Default: random, so that the folder is worthless after a restart; give the host's own to keep it.
    pub code_key: Zeroizing<[u8; 32]>,

    /// What compiles components, with the engine settings of this `RuntimeConfig`; `None`: this process does. Default
    /// `None`.
    pub compiler: Option<Arc<dyn Compiler>>,

    /// Keep addresses in compiled code, so that traps name functions and offsets. Default true.
    pub backtraces: bool,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        RuntimeConfig {
            max_concurrent_runs: 64,
            max_component_bytes: 32 << 20,
            max_wasm_stack: 512 << 10,
            yield_interval: 100_000,
            loaded_plugins: 4_000,
            loaded_code_bytes: 1 << 30,
            code_dir: None,
            code_key: Zeroizing::new(rand::random()),
            compiler: None,
            backtraces: true,
        }
    }
}

// The key must not be printed.
impl std::fmt::Debug for RuntimeConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RuntimeConfig")
            .field("max_concurrent_runs", &self.max_concurrent_runs)
            .field("max_component_bytes", &self.max_component_bytes)
            .field("max_wasm_stack", &self.max_wasm_stack)
            .field("yield_interval", &self.yield_interval)
            .field("loaded_plugins", &self.loaded_plugins)
            .field("loaded_code_bytes", &self.loaded_code_bytes)
            .field("code_dir", &self.code_dir)
            .field("backtraces", &self.backtraces)
            .finish_non_exhaustive()
    }
}

/// The pool's sizes, derived from `max_concurrent_runs`; shown at the start.
///
/// Each is what so many runs need if every one of them is of the largest component allowed, so a run that got a place
/// never finds the pool empty. All of it is address space until it is touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolSizes {
    /// Component instances and async stacks: one a run.
    pub runs: u32,
    /// Core instances.
    pub core_instances: u32,
    /// Linear memories. Each reserves 4 GiB of address space and guards: 47 bits of it hold about 20,000.
    pub memories: u32,
    /// Tables.
    pub tables: u32,
}

/// The most concurrent runs that a pool can be mapped for.
///
/// A run's place reserves address space, used or not: [`MAX_MEMORIES`] memories of 4 GiB and a guard of 32 MiB each
/// (16.1 GiB), [`MAX_TABLES`] tables of [`MAX_TABLE_ELEMENTS`] (9.8 MiB), one stack of 2 MiB. 4,000 places reserve 63 TiB, half of
/// the 128 TiB of an x86-64 process; 5,000 could be mapped on Linux, 6,000 could not. Each place also takes two mappings
/// for its stack from the start and a few more once it is used, of the 65,530 that Linux allows a process by default.
pub const MAX_CONCURRENT_RUNS: u32 = 4_000;

/// The most core instances, tables and memories that one component may have.
pub(crate) const MAX_CORE_INSTANCES: u32 = 64;
pub(crate) const MAX_TABLES: u32 = 64;
pub(crate) const MAX_MEMORIES: u32 = 4;
/// The most elements of one table.
pub(crate) const MAX_TABLE_ELEMENTS: u32 = 20_000;
/// The most bytes that the engine keeps of one instance besides (its globals, its functions' addresses), of a core instance and of
/// the component's own.
pub(crate) const MAX_INSTANCE_BYTES: usize = 2 << 20;

impl PoolSizes {
    /// Sizes for so many concurrent runs.
    pub(crate) fn derive(max_concurrent_runs: u32) -> PoolSizes {
        let runs = max_concurrent_runs.max(1);
        PoolSizes {
            runs,
            core_instances: runs.saturating_mul(MAX_CORE_INSTANCES),
            memories: runs.saturating_mul(MAX_MEMORIES),
            tables: runs.saturating_mul(MAX_TABLES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_of_limits_have_what_a_place_holds() {
        let pages = [include_str!("../../../docs/limits.md"), include_str!("../../../docs/limits.zh-CN.md")];
        let (each, tables) = (u64::from(MAX_TABLE_ELEMENTS), u64::from(MAX_TABLES));
        let rows = [
            ("table elements of one", "单个表的元素", each),
            ("tables", "表", tables),
            ("memories", "内存", MAX_MEMORIES.into()),
            ("instance data", "实例数据", MAX_INSTANCE_BYTES as u64),
        ];
        for (en, zh, figure) in rows {
            for (page, name) in pages.iter().zip([en, zh]) {
                let row = format!("| {name} | {figure} ");
                assert!(
                    page.lines().any(|line| line.replace(',', "").replace(" 字节", " ").starts_with(&row)),
                    "{row}"
                );
            }
        }
        let bound = crate::BOUNDS.iter().find(|bound| bound.name == "table_elements").unwrap();
        assert_eq!(bound.most, each * tables, "all that a place has");
    }
}
