//! From a core module to a component, and what a component asks for.
use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use wit_component::{ComponentEncoder, DecodedWasm};
use wit_parser::WorldItem;

/// Whoever changes how components are made changes this, so that all are made anew.
pub const RECIPE: &str = "wit-component 0.263, 1";

/// Writes the component of a core module that carries its type; refuses imports that are no part of the contract.
pub fn write(module: &[u8], path: &Path) -> Result<()> {
    let component = ComponentEncoder::default().validate(true).module(module)?.encode()?;
    let strangers: Vec<_> =
        interfaces(&component)?.imports.into_iter().filter(|name| !name.starts_with("fangshi:")).collect();
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
