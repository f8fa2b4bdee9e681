//! `fangshi plugin component`: from the module that a compiler makes to the component that is uploaded.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use fangshi_database::Digest;
use fangshi_runtime::Runtime;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::ComponentEncoder;

use super::{desk, manifest_of, print, read};

fn encode(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(module)?;
    // Libraries of C speak WASI's first release, components its second. What imports none of it stays as it was.
    let name = WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME;
    if module.windows(name.len()).any(|bytes| bytes == name.as_bytes()) {
        encoder.adapter(name, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)?;
    }
    encoder.encode()
}

/// Makes a component of a core module that carries its type, checks it as an upload is checked, and shows it.
pub fn component(module: &Path, to: &Path) -> anyhow::Result<ExitCode> {
    let bytes = read(module, "module")?;
    let component = encode(&bytes).with_context(|| {
        let wanted =
            "expected what `cargo build --target wasm32-unknown-unknown` makes of a plugin, or clang of one in C";
        format!("module {}: {wanted}", module.display())
    })?;
    let manifest = manifest_of(&Runtime::new(desk())?, &component, to)?;
    std::fs::write(to, &component).with_context(|| to.display().to_string())?;
    let mut out = std::io::stdout().lock();
    print::manifest(&mut out, to, &Digest::of(&component), &manifest)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
