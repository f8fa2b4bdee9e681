//! From a core module to a component, and what a component asks for.
use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, DecodedWasm};
use wit_parser::WorldItem;

/// Whoever changes how components are made changes this, so that all are made anew.
pub const RECIPE: &str = "wit-component 0.263, 1";

/// What of a component may be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imports {
    /// The contract's interfaces.
    Contract,
    /// Those of WASI as well, for whose library a compiler links it.
    ContractAndWasi,
}

/// Writes the component of a core module that carries its type; refuses other imports.
pub fn write(module: &[u8], allowed: Imports, path: &Path) -> Result<()> {
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(module)?;
    if allowed == Imports::ContractAndWasi {
        // Libraries of C speak WASI's first release, components its second.
        encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)?;
    }
    let component = encoder.encode()?;
    let known = |name: &String| {
        name.starts_with("fangshi:") || (allowed == Imports::ContractAndWasi && name.starts_with("wasi:"))
    };
    let strangers: Vec<_> = interfaces(&component)?.imports.into_iter().filter(|name| !known(name)).collect();
    if !strangers.is_empty() {
        bail!("imports outside the contract: {}", strangers.join(", "));
    }
    fs::write(path, component).with_context(|| path.display().to_string())
}

/// Hooks and imports of a component file, for people.
pub fn read(path: &Path) -> Result<String> {
    let found = interfaces(&fs::read(path)?)?;
    Ok(format!("{} ← {}", found.exports.join(" "), found.imports.join(" "))
        .replace("fangshi:", "")
        .replace("@0.1.0", ""))
}

struct Interfaces {
    imports: Vec<String>,
    exports: Vec<String>,
}

/// Names of the interfaces that a component imports for their functions, and of those that it exports.
fn interfaces(component: &[u8]) -> Result<Interfaces> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else { bail!("not a component") };
    let world = &resolve.worlds[world];
    let mut found = Interfaces { imports: Vec::new(), exports: Vec::new() };
    for (key, item) in &world.imports {
        let functions = match item {
            WorldItem::Interface { id, .. } => resolve.interfaces[*id].functions.len(),
            _ => 1,
        };
        if functions > 0 {
            found.imports.push(resolve.name_world_key(key));
        }
    }
    found.exports = world.exports.keys().map(|key| resolve.name_world_key(key)).collect();
    Ok(found)
}
