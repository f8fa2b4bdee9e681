//! Whether a component's types are the contract's.
//!
//! Linking does not ask: functions that are linked by the contract's tables take values of any type, and a hook is found by its
//! name. What differs would be seen at an event, as a fault of the host.

use wit_component::{WitPrinter, targets};
use wit_parser::{Resolve, WorldId};

use crate::contract::Contract;
use crate::wasi;

/// Compares all types with the contract's: a world of its imports and exactly these hooks must be fulfilled. What the component
/// has of WASI is taken into that world as the component says it: the linker knows those types and compares them.
///
/// # Errors
/// The first difference, in the validator's words.
pub(crate) fn compare(
    contract: &Contract,
    component: &Resolve,
    root: WorldId,
    hooks: &[String],
    wasm: &[u8],
) -> Result<(), String> {
    // Like the decoder, what prints and encodes types may hold some of what is valid for impossible.
    match std::panic::catch_unwind(|| fulfils(contract, component, root, hooks, wasm)) {
        Ok(compared) => compared,
        Err(_) => Err("they can't be read: build it with the SDK's build".to_owned()),
    }
}

fn fulfils(
    contract: &Contract,
    component: &Resolve,
    root: WorldId,
    hooks: &[String],
    wasm: &[u8],
) -> Result<(), String> {
    let mut resolve = contract.resolve.clone();
    let of_wasi = imported_of_wasi(component, root);
    if !of_wasi.is_empty() {
        take_wasi(component, &mut resolve)?;
    }
    let mut text = String::from("package fangshi:upload;\nworld plugin {\n");
    for full in contract.imports.keys().chain(&of_wasi) {
        text.push_str(&format!("import {full};\n"));
    }
    for hook in hooks.iter().filter_map(|name| contract.hook(name)) {
        text.push_str(&format!("export {};\n", hook.full));
    }
    text.push('}');
    let package = resolve.push_source("upload.wit", &text).map_err(|error| format!("{error:#}"))?;
    let world = resolve.packages[package].worlds.get("plugin").copied().ok_or("no world")?;
    targets(&resolve, world, wasm, false).map_err(|error| error.root_cause().to_string())
}

/// Full names of the interfaces of WASI among the component's imports.
fn imported_of_wasi(component: &Resolve, root: WorldId) -> Vec<String> {
    let names = component.worlds[root].imports.keys().map(|key| component.name_world_key(key));
    names.filter(|name| wasi::offer(name).is_some()).collect()
}

/// Copies the component's packages of WASI, as text: merged as they are, they would bring its own idea of the contract along.
fn take_wasi(component: &Resolve, into: &mut Resolve) -> Result<(), String> {
    for package in component.topological_packages() {
        if component.packages[package].name.namespace != wasi::NAMESPACE {
            continue;
        }
        let mut printer = WitPrinter::default();
        printer.emit_docs(false);
        let copied = printer.print(component, package, &[]);
        copied.and_then(|()| into.push_source("wasi.wit", &printer.output.to_string())).map_err(|error| {
            // Cause by cause it would quote a text that the author never wrote.
            format!("`{}`: {}", component.packages[package].name, error.root_cause())
        })?;
    }
    Ok(())
}
