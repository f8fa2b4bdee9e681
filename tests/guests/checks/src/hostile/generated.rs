//! Guests that no file could hold: they are about numbers.
use std::fmt::Write;

use anyhow::Result;

use super::{Ends, Hostile, assemble};

/// All of them.
pub fn all() -> Result<Vec<Hostile>> {
    let refused = |code: &str| Ends::Refused(code.to_owned());
    let mut all = Vec::new();
    let mut add = |name: &str, ends: Ends, wasm: Vec<u8>| all.push(Hostile::new(name, ends, wasm));

    // 64 MiB, all of it one custom section: no part is read.
    let mut large = assemble::plugin(assemble::WELL)?;
    large.extend([0, 0x85, 0x80, 0x80, 0x20, 4]);
    large.extend(b"size");
    large.resize(large.len() + (64 << 20), 0);
    add("size-64-mebibytes", refused("component-too-large"), large);

    let well = assemble::plugin(assemble::WELL)?;
    add("size-cut-off", refused("component-invalid"), well[..well.len() / 2].to_vec());
    add("size-nothing", refused("not-wasm"), Vec::new());
    add("size-eight-bytes", refused("no-hook"), well[..8].to_vec());
    let mut claims = well.clone();
    claims.extend([1, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    add("size-claims-4-gibibytes", refused("component-invalid"), claims);

    let functions: String = (0..20_000).map(|n| format!("(func (param i32) (result i32) (i32.const {n}))\n")).collect();
    add("many-functions", Ends::Done, with(&functions, "")?);
    let locals = "(local i64) ".repeat(50_001);
    add("many-locals", refused("component-invalid"), with("", &locals)?);
    for (name, targets, ends) in
        [("many-branches", 60_000, Ends::Done), ("too-many-branches", 100_000, refused("unloadable"))]
    {
        let targets = "0 ".repeat(targets);
        add(name, ends, with("", &format!("(block (br_table {targets} (local.get 0)))"))?);
    }
    let deep = format!("{}{}", "(block ".repeat(3_000), ")".repeat(3_000));
    add("deep-blocks", Ends::Done, with("", &deep)?);
    let mut types = String::new();
    for n in 0..5_000 {
        write!(types, "(type (func (param {}) (result i64)))", "i32 ".repeat(n % 50))?;
    }
    add("many-types", Ends::Done, with(&types, "")?);
    let globals = "(global (mut i64) (i64.const 1))\n".repeat(20_000);
    add("many-globals", Ends::Done, with(&globals, "")?);
    let exports: String = (0..5_000).map(|n| format!("(func (export \"f{n}\"))\n")).collect();
    add("many-exports", Ends::Done, part(&format!("(core module $m {exports}) (core instance (instantiate $m))"))?);
    let name = "n".repeat(100_001);
    add("name-of-100-kilobytes", refused("component-invalid"), part(&format!("(import \"{name}\" (func))"))?);

    // Components in components in components.
    let mut nested = String::new();
    for _ in 0..90 {
        nested = format!("(component $c {nested}) (instance (instantiate $c))");
    }
    add("nested-90-deep", Ends::Done, part(&nested)?);
    // Each level instantiates the one below twice: 2^16 core instances.
    let mut doubled = "(core module $m) (core instance (instantiate $m))".to_owned();
    for _ in 0..16 {
        doubled = format!("(component $c {doubled}) (instance (instantiate $c)) (instance (instantiate $c))");
    }
    add("nested-and-doubled", refused("unloadable"), part(&doubled)?);
    // A type that doubles with each definition: 2^40 members, if somebody writes them down.
    let mut types = "(type $t0 (tuple u8 u8))".to_owned();
    for n in 1..40 {
        write!(types, "(type $t{n} (tuple $t{} $t{}))", n - 1, n - 1)?;
    }
    add("types-that-double", refused("component-invalid"), part(&types)?);
    Ok(all)
}

/// A plugin that ends well, with more in its module and at the start of its hook.
fn with(top: &str, body: &str) -> Result<Vec<u8>> {
    assemble::plugin(&format!("{top}\n(func $body (param i32 i32 i64) (result i32) {body}\n(call $done))"))
}

/// A plugin that ends well, with a component in it.
fn part(inside: &str) -> Result<Vec<u8>> {
    let part = wat::parse_str(format!("(component {inside})"))?;
    assemble::with_part(assemble::plugin(assemble::WELL)?, &part)
}
