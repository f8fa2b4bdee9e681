//! From a file of `tests/guests/hostile` to a component with the contract's types. No guest toolchain is needed.
//!
//! A file is one of three: the inside of a core module with the hook's `$body`, which gets the prelude; a whole core
//! `(module`, which gets nothing; or a `(component`, which becomes a part of a plugin that is well behaved otherwise and is
//! instantiated beside it (with `form: alone` it stands for itself, as `form: core` does for a module).
use anyhow::{Context, Result};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// What every guest needs: memory, an allocator, the results of a hook, and dropping its two handles. A file that brings a
/// memory or an allocator of its own goes without these.
const MEMORY: &str = r#"(memory (export "memory") 1)"#;
const REALLOC: &str = r#"
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (local $at i32)
  (global.set $heap
    (i32.and (i32.add (global.get $heap) (i32.sub (local.get 2) (i32.const 1)))
             (i32.sub (i32.const 0) (local.get 2))))
  (local.set $at (global.get $heap))
  (global.set $heap (i32.add (global.get $heap) (local.get 3)))
  (local.get $at))"#;
const PRELUDE: &str = r#"
(global $heap (mut i32) (i32.const 16384))
(func $done (result i32)
  (i32.store (i32.const 1024) (i32.const 0))
  (i32.const 1024))
(func $reject (param $at i32) (param $len i32) (result i32)
  (i32.store (i32.const 1024) (i32.const 1))
  (i32.store (i32.const 1028) (i32.const 1))
  (i32.store (i32.const 1032) (local.get $at))
  (i32.store (i32.const 1036) (local.get $len))
  (i32.const 1024))
(func (export "fangshi:store/on-pay@0.1.0#handle") (param i32 i32 i64) (result i32)
  (local $result i32)
  (local.set $result (call $body (local.get 0) (local.get 1) (local.get 2)))
  (call $drop_event (local.get 0))
  (call $drop_order (local.get 1))
  (local.get $result))"#;
const DROPS: &str = r#"
(import "fangshi:host/events@0.1.0" "[resource-drop]event" (func $drop_event (param i32)))
(import "fangshi:store/orders@0.1.0" "[resource-drop]order" (func $drop_order (param i32)))"#;

/// A hook that does nothing and ends well.
pub const WELL: &str = "(func $body (param i32 i32 i64) (result i32) (call $done))";

/// The component of a file, whose texts cross in this encoding.
pub fn component(text: &str, form: Option<&str>, encoding: StringEncoding) -> Result<Vec<u8>> {
    let begins = text.lines().find(|line| !line.starts_with(";;")).unwrap_or_default();
    match form {
        Some(_) => Ok(wat::parse_str(text)?),
        None if begins.starts_with("(component") => with_part(plugin(WELL)?, &wat::parse_str(text)?),
        None if begins.starts_with("(module") => typed(text, encoding),
        None => with_prelude(text, encoding),
    }
}

/// A plugin of the inside of a module.
pub fn plugin(inside: &str) -> Result<Vec<u8>> {
    with_prelude(inside, StringEncoding::UTF8)
}

fn with_prelude(inside: &str, encoding: StringEncoding) -> Result<Vec<u8>> {
    let (imports, rest): (Vec<&str>, Vec<&str>) = inside.lines().partition(|line| line.starts_with("(import "));
    let memory = if inside.contains(r#"(memory (export "memory")"#) { "" } else { MEMORY };
    let realloc = if inside.contains(r#"(export "cabi_realloc")"#) { "" } else { REALLOC };
    let (imports, rest) = (imports.join("\n"), rest.join("\n"));
    typed(&format!("(module {DROPS}\n{imports}\n{memory}\n{PRELUDE}\n{realloc}\n{rest})"), encoding)
}

/// A component of a core module; the world is what the module imports and exports.
fn typed(core: &str, encoding: StringEncoding) -> Result<Vec<u8>> {
    let mut items: Vec<String> = Vec::new();
    for name in core.split('"').skip(1).step_by(2).filter(|name| is_interface(name)) {
        let item = match name.strip_suffix("#handle") {
            Some(hook) => format!("export {hook};"),
            None => format!("import {name};"),
        };
        if !items.contains(&item) {
            items.push(item);
        }
    }
    let mut module = wat::parse_str(core)?;
    let mut resolve = contract()?;
    let source = format!("package test:guest;\nworld guest {{ {} }}", items.join(" "));
    let package = resolve.push_source("guest.wit", &source)?;
    let world = resolve.packages[package].worlds["guest"];
    embed_component_metadata(&mut module, &resolve, world, encoding, false)?;
    ComponentEncoder::default().module(&module)?.validate(false).encode()
}

fn is_interface(name: &str) -> bool {
    ["fangshi:", "wasi:"].iter().any(|package| name.starts_with(package))
}

/// As much of WASI as these guests use, each after what it uses.
const WASI: [&str; 3] = [
    include_str!("../../../wasi/io.wit"),
    include_str!("../../../wasi/clocks.wit"),
    include_str!("../../../wasi/cli.wit"),
];

fn contract() -> Result<Resolve> {
    let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../wit");
    let mut resolve = Resolve::new();
    resolve.push_dir(format!("{wit}/host"))?;
    resolve.push_dir(format!("{wit}/store"))?;
    for package in WASI {
        resolve.push_source("wasi.wit", package)?;
    }
    Ok(resolve)
}

const HEADER: usize = 8;
const COMPONENT: u8 = 4;
const INSTANCE: u8 = 5;

/// A component with another one in it, instantiated after all that it has itself.
pub fn with_part(mut whole: Vec<u8>, part: &[u8]) -> Result<Vec<u8>> {
    let parts = sections(&whole)?.into_iter().filter(|id| *id == COMPONENT).count();
    whole.push(COMPONENT);
    whole.extend(leb(part.len()));
    whole.extend(part);
    // One instance: instantiated, of the component of this index, with no arguments.
    let mut instance = vec![1, 0];
    instance.extend(leb(parts));
    instance.push(0);
    whole.push(INSTANCE);
    whole.extend(leb(instance.len()));
    whole.extend(instance);
    Ok(whole)
}

/// The ids of a binary's sections.
fn sections(binary: &[u8]) -> Result<Vec<u8>> {
    let mut ids = Vec::new();
    let mut rest = binary.get(HEADER..).context("no header")?;
    while let Some((id, after)) = rest.split_first() {
        ids.push(*id);
        let (mut size, mut shift, mut at) = (0_usize, 0, 0);
        loop {
            let byte = *after.get(at).context("a section is cut off")?;
            size |= usize::from(byte & 0x7f) << shift;
            (shift, at) = (shift + 7, at + 1);
            if byte & 0x80 == 0 {
                break;
            }
        }
        rest = after.get(at + size..).context("a section is cut off")?;
    }
    Ok(ids)
}

pub fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}
