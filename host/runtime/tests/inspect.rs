//! What an upload is read as, and the words it is refused with.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use fangshi_runtime::{MAX_CONCURRENT_RUNS, Problem, Runtime, RuntimeConfig, contract_functions, contract_hooks};
use support::{Guest, contract, runtime, with_wasi};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

/// A component with every import and export of a world, made of traps.
fn dummy(resolve: &Resolve, world: wit_parser::WorldId) -> Vec<u8> {
    // Names with whole versions, as the tools of today write them; several releases of one package stay apart.
    let mut module = wit_component::dummy_module(resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().merge_imports_based_on_semver(false).module(&module).unwrap().encode().unwrap()
}

fn world(text: &str) -> Vec<u8> {
    world_of(contract(), text)
}

fn world_of(mut resolve: Resolve, text: &str) -> Vec<u8> {
    let package = resolve.push_source("test.wit", &format!("package test:upload;\n{text}")).unwrap();
    let world = resolve.packages[package].worlds["upload"];
    dummy(&resolve, world)
}

fn refused(wasm: &[u8]) -> Vec<String> {
    let refusal = runtime().inspect(wasm).expect_err("must be refused");
    refusal.problems.iter().map(|problem| format!("{}: {problem}", problem.code())).collect()
}

#[test]
fn the_type_is_the_manifest() {
    let wasm = world(
        "world upload { import fangshi:store/notes@0.1.0; import fangshi:store/order-price@0.1.0;
         import fangshi:host/kv@0.1.0; import fangshi:host/log@0.1.0; import fangshi:store/orders@0.1.0;
         export fangshi:store/on-pay@0.1.0; export fangshi:store/on-new@0.1.0; }",
    );
    let manifest = runtime().inspect(&wasm).unwrap();
    assert_eq!(manifest.hooks, ["on-new", "on-pay"], "in the contract's order");
    let grants: Vec<_> = manifest.grants.iter().map(|grant| (grant.name.as_str(), grant.functions.join(" "))).collect();
    assert_eq!(
        grants,
        [
            ("kv", "get set delete".to_owned()),
            ("notes", "set-merchant-notes".to_owned()),
            ("order-price", "price commissions settlement".to_owned()),
        ],
        "log and orders need no consent"
    );
    assert!(manifest.reads_order());
    assert_eq!(manifest.size, wasm.len() as u64);
    assert!(manifest.extra_exports.is_empty());
}

#[test]
fn unused_functions_and_interfaces_are_not_asked_for() {
    let guest = Guest {
        imports: &["fangshi:store/delivery", "fangshi:store/price"],
        core_imports: r#"(import "fangshi:store/delivery@0.1.0" "companies" (func (param i32 i32)))"#,
        ..Guest::default()
    };
    let manifest = runtime().inspect(&guest.build()).unwrap();
    assert_eq!(manifest.grants.len(), 1);
    assert_eq!(
        (manifest.grants[0].name.as_str(), manifest.grants[0].functions.as_slice()),
        ("delivery", &["companies".into()][..])
    );
    assert!(!manifest.reads_order());
}

#[tokio::test]
async fn the_whole_contract_inspects_and_links() {
    let resolve = contract();
    let (_, package) = resolve.package_names.iter().find(|(name, _)| name.name == "store").unwrap();
    let wasm = dummy(&resolve, resolve.packages[*package].worlds["contract"]);
    let runtime = runtime();
    let manifest = runtime.inspect(&wasm).unwrap();
    assert_eq!(manifest.hooks.len(), 9);
    let listed: usize = manifest.grants.iter().map(|grant| grant.functions.len()).sum();
    assert_eq!(listed, contract_functions().len(), "every function behind a grant");
    assert_eq!(contract_hooks().len(), 9, "on-schedule too");
    runtime.load_bytes(wasm).await.unwrap();
}

#[test]
fn the_largest_pool_that_is_allowed_can_be_mapped() {
    let largest = RuntimeConfig { max_concurrent_runs: MAX_CONCURRENT_RUNS, ..RuntimeConfig::default() };
    assert!(Runtime::new(largest).is_ok());
}

#[test]
fn on_schedule_is_inspected() {
    let wasm = world("world upload { export fangshi:host/on-schedule@0.1.0; }");
    assert_eq!(runtime().inspect(&wasm).unwrap().hooks, ["on-schedule"]);
}

#[test]
fn javascripts_init_is_accepted_and_nothing_else_of_its_kind() {
    let with = |export: &str| world(&format!("world upload {{ export fangshi:store/on-pay@0.1.0; {export} }}"));
    let manifest = runtime().inspect(&with("export init: func();")).unwrap();
    assert_eq!(manifest.extra_exports, ["init"]);
    assert_eq!(
        refused(&with("export init: func(x: u32);")),
        ["unknown-export: export `init` is no hook of the contract"]
    );
    assert_eq!(refused(&with("export start: func();")), ["unknown-export: export `start` is no hook of the contract"]);
}

#[test]
fn everything_that_is_not_ours_is_listed_at_once() {
    let mut resolve = contract();
    resolve
        .push_source("wasi.wit", "package wasi:http@0.2.3; interface outgoing-handler { get: func() -> list<string>; }")
        .unwrap();
    resolve.push_source("acme.wit", "package acme:db; interface rows { all: func() -> list<string>; }").unwrap();
    let wasm = world_of(
        resolve,
        "interface ours { f: func(); }
         world upload { import wasi:http/outgoing-handler@0.2.3; import acme:db/rows; import shout: func(); import ours;
         export ours; export fangshi:store/notes@0.1.0; export fangshi:store/on-pay@0.1.0; }",
    );
    let problems = refused(&wasm);
    let has = |text: &str| assert!(problems.iter().any(|problem| problem == text), "{text}\n{problems:#?}");
    has(
        "unknown-import: import `wasi:http/outgoing-handler@0.2.3` is not part of the contract: of WASI 0.2 a plugin gets clocks, random numbers and standard output, nothing else: build without it",
    );
    has(
        "unknown-import: import `acme:db/rows` is not part of the contract: plugins import `fangshi:host` and `fangshi:store` only",
    );
    has(
        "unknown-import: import `shout` is not part of the contract: plugins import interfaces of the contract, no single functions or types",
    );
    has("unknown-export: export `test:upload/ours` is no hook of the contract");
    has("unknown-export: export `fangshi:store/notes@0.1.0` is no hook of the contract");
    assert_eq!(problems.len(), 6, "{problems:#?}");
}

#[test]
fn another_version_is_named_with_the_one_we_have() {
    let mut resolve = Resolve::new();
    resolve
        .push_source(
            "store.wit",
            "package fangshi:store@0.2.0;
             interface notes { set: func(text: string); }
             interface on-pay { handle: func(); }
             interface horoscope { read: func() -> string; }",
        )
        .unwrap();
    let wasm = world_of(
        resolve,
        "world upload { import fangshi:store/notes@0.2.0; import fangshi:store/horoscope@0.2.0; export fangshi:store/on-pay@0.2.0; }",
    );
    assert_eq!(
        refused(&wasm),
        [
            "other-version: `fangshi:store/notes@0.2.0`: this host has `fangshi:store/notes@0.1.0`",
            "unknown-import: import `fangshi:store/horoscope@0.2.0` is not part of the contract: `fangshi:store@0.1.0` has no such interface",
            "other-version: `fangshi:store/on-pay@0.2.0`: this host has `fangshi:store/on-pay@0.1.0`",
        ]
    );
}

/// A component made with a contract of the right names and other contents, which imports `more` beside it.
fn forged(store: &str, more: &str) -> Vec<u8> {
    let mut resolve = Resolve::new();
    resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/host")).unwrap();
    resolve.push_source("store.wit", &format!("package fangshi:store@0.1.0; {store}")).unwrap();
    let items = format!("import fangshi:store/notes@0.1.0; {more} export fangshi:store/on-pay@0.1.0;");
    world_of(with_wasi(resolve), &format!("world upload {{ {items} }}"))
}

/// Nothing beside the contract, and what the library of another language brings: its types use one another.
const BESIDE: [&str; 2] = [
    "",
    "import wasi:clocks/wall-clock@0.2.3; import wasi:clocks/monotonic-clock@0.2.3; import wasi:cli/stdout@0.2.3;
     import wasi:cli/stdin@0.2.3; import wasi:filesystem/preopens@0.2.3;",
];

#[test]
fn types_are_compared_and_not_names_alone() {
    let hook = "interface orders { resource order { id: func() -> string; } }
        interface on-pay { use fangshi:host/events@0.1.0.{event}; use fangshi:host/outcomes@0.1.0.{failure}; use orders.{order};
          record pay { pay-time: s64 } handle: func(event: event, order: order, pay: pay) -> result<_, failure>; }";
    let notes = |function: &str| format!("interface notes {{ use fangshi:host/errors@0.1.0.{{error}}; {function} }}");
    let right = notes("set-merchant-notes: func(order-id: string, merchant-notes: string) -> result<_, error>;");
    let u64_id = notes("set-merchant-notes: func(order-id: u64, merchant-notes: string) -> result<_, error>;");
    let invented = notes("burn: func();");
    let other_record = hook.replace("pay-time: s64", "pay-time: s32");
    let other_params = hook.replace("event: event, ", "");
    let two = hook.replace("handle: func", "also: func(); handle: func");
    for more in BESIDE {
        runtime().inspect(&forged(&format!("{hook} {right}"), more)).unwrap();
        for (hook, notes) in [(hook, &u64_id), (&other_record, &right), (&other_params, &right)] {
            let problems = refused(&forged(&format!("{hook} {notes}"), more));
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].starts_with("other-types: types differ from the contract: "), "{problems:?}");
        }
        assert_eq!(
            refused(&forged(&format!("{hook} {invented}"), more)),
            ["unknown-function: `fangshi:store/notes@0.1.0` has no function `burn`"]
        );
        assert_eq!(
            refused(&forged(&format!("{two} {right}"), more)),
            ["unknown-function: `fangshi:store/on-pay@0.1.0` has no function `also`"]
        );
    }
}

#[test]
fn a_hook_without_its_function_is_refused() {
    for more in ["", r#"(import "wasi:clocks/wall-clock@0.2.3" (instance))"#] {
        let text =
            format!(r#"(component {more} (instance $hook) (export "fangshi:store/on-pay@0.1.0" (instance $hook)))"#);
        assert_eq!(
            refused(&wat::parse_str(text).unwrap()),
            [
                "other-types: types differ from the contract: `fangshi:store/on-pay@0.1.0` is exported without its function `handle`"
            ]
        );
    }
}

#[test]
fn two_releases_of_wasi_in_one_component_are_no_problem() {
    let mut resolve = with_wasi(contract());
    let poll = "package wasi:io@0.2.6; interface poll { resource pollable { block: func(); } }";
    resolve.push_source("wasi.wit", poll).unwrap();
    let wasm = world_of(
        resolve,
        "world upload { import wasi:io/streams@0.2.3; import wasi:io/poll@0.2.6; export fangshi:store/on-pay@0.1.0; }",
    );
    assert_eq!(runtime().inspect(&wasm).unwrap().hooks, ["on-pay"]);
}

#[test]
fn async_functions_are_refused() {
    let wasm = wat::parse_str(
        r#"(component
            (import "fangshi:store/notes@0.1.0" (instance
              (export "later" (func async (param "x" u32))))))"#,
    )
    .unwrap();
    let problems = refused(&wasm);
    assert!(
        problems.iter().any(|problem| {
            problem == "async-not-supported: `fangshi:store/notes@0.1.0#later` is async: only synchronous functions are supported"
        }),
        "{problems:#?}"
    );
}

#[test]
fn what_is_no_component_is_told_what_it_is() {
    assert_eq!(refused(b""), ["not-wasm: this is no WebAssembly component (its first bytes are not those of one)"]);
    assert_eq!(refused(b"(component)").len(), 1);
    let module = wat::parse_str("(module)").unwrap();
    assert!(refused(&module)[0].starts_with("core-module: this is a core module, not a component"));
    let resolve = contract();
    let package = wit_component::encode(&resolve, *resolve.package_names.values().next().unwrap(), false).unwrap();
    assert!(refused(&package)[0].starts_with("wit-package: "), "{:?}", refused(&package));
    let empty = wat::parse_str("(component)").unwrap();
    assert_eq!(refused(&empty), ["no-hook: no hook is exported, so no event would ever call it"]);
    let whole = Guest::default().build();
    for length in [8, 9, 100, whole.len() - 1] {
        assert!(refused(&whole[..length])[0].contains(": "), "cut at {length}");
    }
    let small =
        Runtime::new(RuntimeConfig { max_component_bytes: 100, max_concurrent_runs: 1, ..RuntimeConfig::default() });
    let refusal = small.unwrap().inspect(&whole).unwrap_err();
    let size = whole.len() as u64;
    assert_eq!(refusal.problems, [Problem::TooLarge { size, allowed: 100 }]);
    assert_eq!(refusal.to_string(), format!("the component has {size} bytes; 100 are allowed"));
}

#[test]
fn features_that_are_off_are_refused() {
    for (body, cause) in [
        ("(memory i64 1)", "memory64"),
        ("(memory 1 2 shared)", "threads"),
        ("(memory 1) (memory 1)", "multi"),
        ("(type (struct))", "gc"),
        ("(tag)", "exceptions"),
        ("(func (result v128) (f32x4.relaxed_min (v128.const i64x2 0 0) (v128.const i64x2 0 0)))", "relaxed"),
    ] {
        let wasm = wat::parse_str(format!("(component (core module {body}))")).unwrap();
        let problems = refused(&wasm);
        assert!(problems[0].starts_with("component-invalid: ") && problems[0].contains(cause), "{body}: {problems:?}");
    }
}
