//! The one engine: which WebAssembly is accepted, how it is compiled, and the pool it runs in.
//!
//! Measured reasons: `concurrency_support` on doubles a call; keep-resident together with the pagemap scan halves it;
//! fuel and epochs together cost interpreters twice their speed, so fuel alone; a smaller memory reservation costs 44 %
//! in guest loops. Changing anything here changes the hash that compiled code is kept under.

use std::hash::{Hash, Hasher};
use std::num::NonZeroUsize;

use sha2::{Digest, Sha256};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Strategy, WasmFeatures,
};

use crate::config::{
    MAX_CORE_INSTANCES, MAX_INSTANCE_BYTES, MAX_MEMORIES, MAX_TABLE_ELEMENTS, MAX_TABLES, PoolSizes, RuntimeConfig,
};

/// The engine's version, as in its crate. Fuel and compiled code depend on it.
pub(crate) const VERSION: &str = concat!("wasmtime ", env!("ENGINE_VERSION"));

/// Raised when the host refuses what it compiled before: no such code is used any more.
const RULES: u32 = 2;

/// Frames of a guest's stack kept in a trap's message.
const FRAMES: usize = 16;

pub(crate) fn engine(config: &RuntimeConfig) -> wasmtime::Result<Engine> {
    let sizes = PoolSizes::derive(config.max_concurrent_runs);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(sizes.runs)
        .total_stacks(sizes.runs)
        .total_core_instances(sizes.core_instances)
        .total_memories(sizes.memories)
        .total_tables(sizes.tables)
        .max_core_instances_per_component(MAX_CORE_INSTANCES)
        .max_memories_per_component(MAX_MEMORIES)
        .max_tables_per_component(MAX_TABLES)
        .max_component_instance_size(MAX_INSTANCE_BYTES)
        .max_core_instance_size(MAX_INSTANCE_BYTES)
        .table_elements(MAX_TABLE_ELEMENTS as usize)
        // A slot keeps the image of the plugin that last used it, as long as there are other free slots.
        .max_unused_warm_slots(sizes.memories)
        // More than a JavaScript run touches (1.5 MiB); what a slot keeps, it keeps resident while idle.
        .linear_memory_keep_resident(4 << 20)
        .table_keep_resident(128 << 10)
        .async_stack_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);

    let mut engine = Config::new();
    engine
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .memory_init_cow(true)
        .concurrency_support(false)
        .consume_fuel(true)
        .epoch_interruption(false)
        .max_wasm_stack(config.max_wasm_stack)
        // Host functions run on the same stack, above the WebAssembly frames.
        .async_stack_size(config.max_wasm_stack + (1536 << 10))
        .async_stack_zeroing(false)
        .generate_address_map(config.backtraces)
        .wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES))
        .native_unwind_info(false)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .wasm_component_model(true);
    // Multi-memory stays on: the engine's own adapters between the parts of a composed component (JavaScript) need it.
    for feature in [
        WasmFeatures::THREADS,
        WasmFeatures::SHARED_EVERYTHING_THREADS,
        WasmFeatures::MEMORY64,
        WasmFeatures::RELAXED_SIMD,
        WasmFeatures::GC,
        WasmFeatures::FUNCTION_REFERENCES,
        WasmFeatures::EXCEPTIONS,
        WasmFeatures::LEGACY_EXCEPTIONS,
        WasmFeatures::STACK_SWITCHING,
        WasmFeatures::WIDE_ARITHMETIC,
        WasmFeatures::CUSTOM_PAGE_SIZES,
        WasmFeatures::CM_ASYNC,
        WasmFeatures::CM_THREADING,
        WasmFeatures::CM_ERROR_CONTEXT,
        WasmFeatures::CM_GC,
    ] {
        engine.wasm_features(feature, false);
    }
    Engine::new(&engine)
}

/// The engine as attempts record it: its version, and eight digits of the digest of its settings.
pub(crate) fn recorded(engine: &Engine) -> String {
    let [a, b, c, d, ..] = compatibility(engine);
    format!("{VERSION} {}", hex::encode([a, b, c, d]))
}

/// Digest of everything in the engine's settings that compiled code depends on.
pub(crate) fn compatibility(engine: &Engine) -> [u8; 32] {
    struct Sha(Sha256);
    impl Hasher for Sha {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut sha = Sha(Sha256::new());
    VERSION.hash(&mut sha);
    RULES.hash(&mut sha);
    engine.precompile_compatibility_hash().hash(&mut sha);
    sha.0.finalize().into()
}
