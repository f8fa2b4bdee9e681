//! Small plugins, written as core WebAssembly text and made components with the contract's types: no toolchain for
//! guests is needed.
#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Gives out memory from 8192 on, and never takes any back.
const REALLOC: &str = r#"(global $free (mut i32) (i32.const 8192))
      (func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
        (global.set $free (i32.add (local.get $at) (local.get $size)))
        (local.get $at))"#;

/// A plugin with `on-pay` that logs "seen" and ends ok. It asks for nothing.
pub fn quiet() -> Vec<u8> {
    plugin("", "", "")
}

/// As [`quiet`], and beside it with `on-new` and `on-schedule`, both of which it leaves at once.
pub fn of_three_hooks() -> Vec<u8> {
    let more = r#"(func (export "fangshi:host/on-schedule@0.1.0#handle") (param i32 i32 i32 i64) (result i32) (i32.const 4096))
      (func (export "fangshi:store/on-new@0.1.0#handle") (param i32 i32) (result i32) (i32.const 4096))"#;
    let exports = "export fangshi:store/on-new@0.1.0; export fangshi:host/on-schedule@0.1.0;";
    plugin_and(exports, "", "", more)
}

/// A plugin with `on-pay` that breaks down.
pub fn broken() -> Vec<u8> {
    plugin("", "", "unreachable")
}

/// A plugin with `on-pay` that sets the order's note to "CANARY-note" and logs "seen". It asks for `notes`.
pub fn noting() -> Vec<u8> {
    noting_and("", "")
}

/// As [`quiet`], with so many functions of 14,000 instructions each, which take long to compile.
pub fn heavy(functions: usize) -> Vec<u8> {
    let step = "(local.set 0 (i32.add (i32.mul (local.get 0) (local.get 1)) (i32.load (local.get 0))))\n".repeat(2_000);
    let one = |_| format!("(func (param i32 i32) (result i32) {step} (local.get 0))");
    let all: Vec<String> = (0..functions).map(one).collect();
    plugin_and("", "", "", &all.concat())
}

/// As [`noting`], and logs a phone, a masked phone and the note that it has set.
pub fn telling() -> Vec<u8> {
    const TEXT: &str = "call 13800138000 or 139****0775: CANARY-note";
    noting_and(
        &format!(r#"(data (i32.const 640) "{TEXT}")"#),
        &format!("(call $log (i32.const 1) (i32.const 640) (i32.const {}))", TEXT.len()),
    )
}

/// A plugin with `on-pay` and a schema of its settings. It reads the setting `api_key`, logs it, sets it as the order's
/// note, and gives up with it as the reason: all that a careless plugin may do with a secret.
pub fn careless(schema: &str) -> Vec<u8> {
    let imports = r#"(import "fangshi:host/settings@0.1.0" "get" (func $setting (param i32 i32 i32)))
      (import "fangshi:store/notes@0.1.0" "set-merchant-notes" (func $note (param i32 i32 i32 i32 i32)))
      (import "fangshi:host/events@0.1.0" "[method]event.order-id" (func $order_id (param i32 i32)))
      (data (i32.const 700) "api_key")"#;
    // The option lies at 2064: tag, pointer, length. The order's id at 2048.
    let body = "(call $setting (i32.const 700) (i32.const 7) (i32.const 2064))
        (call $log (i32.const 1) (i32.load (i32.const 2068)) (i32.load (i32.const 2072)))
        (call $order_id (local.get 0) (i32.const 2048))
        (call $note (i32.load (i32.const 2048)) (i32.load (i32.const 2052)) (i32.load (i32.const 2068))
          (i32.load (i32.const 2072)) (i32.const 3072))
        (call $drop_event (local.get 0))
        (call $drop_order (local.get 1))
        ;; err(reject(reason))
        (i32.store (i32.const 1024) (i32.const 1))
        (i32.store (i32.const 1028) (i32.const 1))
        (i32.store (i32.const 1032) (i32.load (i32.const 2068)))
        (i32.store (i32.const 1036) (i32.load (i32.const 2072)))
        (return (i32.const 1024))";
    let wasm = plugin("import fangshi:host/settings@0.1.0; import fangshi:store/notes@0.1.0;", imports, body);
    with_schema(wasm, schema)
}

/// A component that says so of its settings.
pub fn with_schema(mut component: Vec<u8>, schema: &str) -> Vec<u8> {
    const NAME: &str = "fangshi:settings-schema";
    let body = [&[NAME.len() as u8], NAME.as_bytes(), schema.as_bytes()].concat();
    component.push(0);
    let mut left = body.len();
    while left >= 0x80 {
        component.push(left as u8 | 0x80);
        left >>= 7;
    }
    component.push(left as u8);
    component.extend(body);
    component
}

fn noting_and(data: &str, more: &str) -> Vec<u8> {
    let import = r#"(import "fangshi:store/notes@0.1.0" "set-merchant-notes"
        (func $note (param i32 i32 i32 i32 i32)))
      (import "fangshi:host/events@0.1.0" "[method]event.order-id" (func $order_id (param i32 i32)))"#;
    // The order's id is text in the event: pointer and length lie at 2048 after the call.
    let call = "(call $order_id (local.get 0) (i32.const 2048))
        (call $note (i32.load (i32.const 2048)) (i32.load (i32.const 2052)) (i32.const 512) (i32.const 11) (i32.const 3072))";
    plugin("import fangshi:store/notes@0.1.0;", &format!("{import}{data}"), &format!("{call}{more}"))
}

/// A plugin that imports `http`, and declares hosts: the text of its section.
pub fn calling_out(hosts: &str) -> Vec<u8> {
    let import = r#"(import "fangshi:host/http@0.1.0" "send"
        (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#;
    let section = format!("(@custom \"fangshi:http-hosts\" {hosts:?})");
    plugin_and("import fangshi:host/http@0.1.0;", import, "", &section)
}

/// A plugin with `on-schedule`: it logs the tick's name, and the event's message.
pub fn ticking() -> Vec<u8> {
    ticking_and("")
}

/// As [`ticking`], and asks to be called again later, each time.
pub fn lagging() -> Vec<u8> {
    // err(retry-later): the reason and the wish are empty.
    ticking_and("(i32.store (i32.const 1024) (i32.const 1))")
}

fn ticking_and(end: &str) -> Vec<u8> {
    let core = r#"(module
      (import "fangshi:host/events@0.1.0" "[method]event.raw" (func $raw (param i32 i32)))
      (import "fangshi:host/log@0.1.0" "write" (func $log (param i32 i32 i32)))
      (memory (export "memory") 1)
      REALLOC
      (func (export "fangshi:host/on-schedule@0.1.0#handle") (param i32 i32 i32 i64) (result i32)
        (call $log (i32.const 1) (local.get 1) (local.get 2))
        (call $raw (local.get 0) (i32.const 2048))
        (call $log (i32.const 1) (i32.load (i32.const 2048)) (i32.load (i32.const 2052)))
        END
        (i32.const 1024)))"#;
    component(
        &core.replace("REALLOC", REALLOC).replace("END", end),
        "import fangshi:host/log@0.1.0; export fangshi:host/on-schedule@0.1.0;",
    )
}

/// A core module.
pub fn core_module() -> Vec<u8> {
    wat::parse_str("(module)").unwrap()
}

/// A component with imports outside of the contract.
pub fn stranger() -> Vec<u8> {
    wat::parse_str(
        r#"(component
            (import "wasi:http/types@0.2.0" (instance))
            (import "evil:things/here@1.0.0" (instance)))"#,
    )
    .unwrap()
}

fn plugin(imports: &str, core_imports: &str, body: &str) -> Vec<u8> {
    plugin_and(imports, core_imports, body, "")
}

fn plugin_and(imports: &str, core_imports: &str, body: &str, functions: &str) -> Vec<u8> {
    let core = format!(
        r#"(module
      (import "fangshi:host/events@0.1.0" "[resource-drop]event" (func $drop_event (param i32)))
      (import "fangshi:store/orders@0.1.0" "[resource-drop]order" (func $drop_order (param i32)))
      (import "fangshi:host/log@0.1.0" "write" (func $log (param i32 i32 i32)))
      {core_imports}
      {functions}
      (memory (export "memory") 1)
      (data (i32.const 256) "seen")
      (data (i32.const 512) "CANARY-note")
      {REALLOC}
      (func (export "fangshi:store/on-pay@0.1.0#handle") (param i32 i32 i64) (result i32)
        (call $log (i32.const 1) (i32.const 256) (i32.const 4))
        {body}
        (call $drop_event (local.get 0))
        (call $drop_order (local.get 1))
        ;; the result's tag: 0 is ok
        (i32.store (i32.const 1024) (i32.const 0))
        (i32.const 1024)))"#
    );
    component(&core, &format!("import fangshi:host/log@0.1.0; {imports} export fangshi:store/on-pay@0.1.0;"))
}

/// A component of a core module and a world's items.
fn component(core: &str, items: &str) -> Vec<u8> {
    let mut module = wat::parse_str(core).unwrap_or_else(|error| panic!("{error}"));
    let mut resolve = Resolve::new();
    let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");
    resolve.push_dir(format!("{wit}/host")).unwrap();
    resolve.push_dir(format!("{wit}/store")).unwrap();
    let text = format!("package test:guest;\nworld guest {{ {items} }}");
    let package = resolve.push_source("guest.wit", &text).unwrap();
    let world = resolve.packages[package].worlds["guest"];
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}
