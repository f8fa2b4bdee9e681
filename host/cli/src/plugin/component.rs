//! `fangshi plugin component`: from the module that a compiler makes to the component that is uploaded.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use fangshi_database::Digest;
use fangshi_runtime::Runtime;
use wit_component::ComponentEncoder;

use super::{desk, manifest_of, print, read};

fn encode(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    ComponentEncoder::default().validate(true).module(module)?.encode()
}

/// Makes a component of a core module that carries its type, checks it as an upload is checked, and shows it.
pub fn component(module: &Path, to: &Path) -> anyhow::Result<ExitCode> {
    let bytes = read(module, "module")?;
    let component = encode(&bytes).with_context(|| {
        let wanted = "expected what `cargo build --target wasm32-unknown-unknown` makes of a plugin";
        format!("module {}: {wanted}", module.display())
    })?;
    let manifest = manifest_of(&Runtime::new(desk())?, &component, to)?;
    std::fs::write(to, &component).with_context(|| to.display().to_string())?;
    let mut out = std::io::stdout().lock();
    print::manifest(&mut out, to, &Digest::of(&component), &manifest)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
