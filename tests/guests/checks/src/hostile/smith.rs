//! Modules and components that nobody has written: made of random bytes by wasm-smith, valid by construction, and as strange
//! as the specification allows.
use anyhow::Result;
use arbitrary::{Arbitrary, Unstructured};
use wasm_smith::{Component, Config, Module};

use super::{Ends, Hostile, assemble};

/// Bytes that a guest is made of.
pub const SEED_BYTES: usize = 4_096;

/// The guest of some bytes; `None` if they make none. One in four is a whole component, the others are a module beside a plugin
/// that is well behaved, so that they start.
pub fn guest(name: &str, bytes: &[u8]) -> Result<Option<Hostile>> {
    let mut source = Unstructured::new(bytes);
    let Ok(kind) = u8::arbitrary(&mut source) else { return Ok(None) };
    let wasm = if kind % 4 == 0 {
        let Ok(component) = Component::arbitrary(&mut source) else { return Ok(None) };
        component.to_bytes()
    } else {
        let config = Config {
            max_imports: 0,
            min_funcs: 1,
            max_memories: 1,
            max_memory32_bytes: 1 << 24,
            max_table_elements: 10_000,
            allow_start_export: true,
            memory64_enabled: false,
            multi_value_enabled: true,
            threads_enabled: false,
            shared_everything_threads_enabled: false,
            exceptions_enabled: false,
            gc_enabled: false,
            relaxed_simd_enabled: false,
            wide_arithmetic_enabled: false,
            custom_page_sizes_enabled: false,
            ..Config::default()
        };
        let Ok(module) = Module::new(config, &mut source) else { return Ok(None) };
        assemble::with_part(assemble::plugin(assemble::WELL)?, &around(&module.to_bytes()))?
    };
    Ok(Some(Hostile::new(name, Ends::Somehow, wasm)))
}

/// A component of one core module, which it instantiates.
fn around(module: &[u8]) -> Vec<u8> {
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    component.push(1);
    component.extend(assemble::leb(module.len()));
    component.extend(module);
    // One core instance: instantiated, of module 0, with no arguments.
    component.extend([2, 4, 1, 0, 0, 0]);
    component
}
