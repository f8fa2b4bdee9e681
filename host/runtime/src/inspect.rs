//! Reading an upload: what it is, what it wants, and everything that is wrong with it. Nothing is compiled or run.

use wasmparser::{Parser, Validator, WasmFeatures};
use wit_component::DecodedWasm;
use wit_parser::{Function, FunctionKind, InterfaceId, Resolve, World, WorldId, WorldItem};

use crate::contract::{Contract, HOST, STORE};
use crate::manifest::{GrantAsked, Manifest, Problem, Refusal};
use crate::types;
use crate::wasi::{self, Offer};

/// The one function of a hook.
const HANDLE: &str = "handle";
/// The one top-level export that is no hook: componentized JavaScript brings it. Never called.
const INIT: &str = "init";
/// And the one interface without a package: componentize-py brings it, with an `init` for the same purpose. Never called.
const EXPORTS: &str = "exports";

/// Reads a component's type.
pub(crate) fn inspect(contract: &Contract, wasm: &[u8], max_bytes: usize) -> Result<Manifest, Refusal> {
    let refuse = |problem| Refusal { problems: vec![problem] };
    if wasm.len() > max_bytes {
        return Err(refuse(Problem::TooLarge { size: wasm.len() as u64, allowed: max_bytes as u64 }));
    }
    if !wasm.starts_with(b"\0asm") {
        return Err(refuse(Problem::NotWasm));
    }
    if Parser::is_core_wasm(wasm) {
        return Err(refuse(Problem::CoreModule));
    }
    let mut problems = Vec::new();
    if let Err(error) = Validator::new_with_features(features()).validate_all(wasm) {
        problems.push(Problem::Invalid { cause: first_line(&error.to_string()) });
    }
    // Decoding validates with every feature on, so that a component that needs one too many still tells what it imports.
    let (resolve, world) = match decoded(wasm) {
        Ok(DecodedWasm::Component(resolve, world)) => (resolve, world),
        Ok(DecodedWasm::WitPackage(..)) => return Err(refuse(Problem::WitPackage)),
        Err(cause) => {
            if problems.is_empty() {
                problems.push(Problem::Invalid { cause });
            }
            return Err(Refusal { problems });
        }
    };
    let manifest = Reader { contract, resolve: &resolve, problems: &mut problems }.read(world, wasm.len());
    if problems.is_empty()
        && let Err(cause) = types::compare(contract, &resolve, world, &manifest.hooks, wasm)
    {
        problems.push(Problem::OtherTypes { cause: first_line(&cause) });
    }
    if problems.is_empty() { Ok(manifest) } else { Err(Refusal { problems }) }
}

/// The component's type. The decoder holds some of what is valid for impossible, and panics: that is the upload's fault too.
fn decoded(wasm: &[u8]) -> Result<DecodedWasm, String> {
    match std::panic::catch_unwind(|| wit_component::decode(wasm)) {
        Ok(decoded) => decoded.map_err(|error| first_line(&format!("{error:#}"))),
        Err(_) => Err("its type can't be read: build it with the SDK's build".to_owned()),
    }
}

/// What the engine accepts too: see [`crate::engine`].
fn features() -> WasmFeatures {
    let mut features = WasmFeatures::WASM3 | WasmFeatures::COMPONENT_MODEL;
    features.remove(
        WasmFeatures::THREADS
            | WasmFeatures::MEMORY64
            | WasmFeatures::MULTI_MEMORY
            | WasmFeatures::RELAXED_SIMD
            | WasmFeatures::GC
            | WasmFeatures::GC_TYPES
            | WasmFeatures::FUNCTION_REFERENCES
            | WasmFeatures::EXCEPTIONS
            | WasmFeatures::CM_ASYNC,
    );
    features
}

struct Reader<'a> {
    contract: &'a Contract,
    resolve: &'a Resolve,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn read(&mut self, world: WorldId, size: usize) -> Manifest {
        let world = &self.resolve.worlds[world];
        let grants = self.imports(world);
        let (exported, extra_exports) = self.exports(world);
        // In the contract's order, whatever order the component has.
        let hooks = self.contract.hooks.iter().map(|hook| hook.name.clone()).filter(|name| exported.contains(name));
        Manifest { hooks: hooks.collect(), grants, extra_exports, size: size as u64 }
    }

    fn imports(&mut self, world: &World) -> Vec<GrantAsked> {
        let mut grants = Vec::new();
        for (key, item) in &world.imports {
            let name = self.resolve.name_world_key(key);
            let WorldItem::Interface { id, .. } = item else {
                let hint = "plugins import interfaces of the contract, no single functions or types".into();
                self.problems.push(Problem::UnknownImport { name, hint });
                continue;
            };
            let Some(interface) = self.contract.imports.get(&name) else {
                if !matches!(wasi::offer(&name), Some(Offer::There | Offer::RefusedAtCall)) {
                    self.unknown_import(name);
                }
                continue;
            };
            let functions: Vec<String> = self.functions(*id, &name).into_iter().map(|(name, _)| name).collect();
            for function in &functions {
                let known = function.starts_with('[') || interface.functions.iter().any(|it| it.name == *function);
                if !known {
                    let problem = Problem::UnknownFunction { interface: name.clone(), function: function.clone() };
                    self.problems.push(problem);
                }
            }
            // An interface imported for its types alone asks for nothing.
            if interface.kind.needs_grant() && !functions.is_empty() {
                grants.push(GrantAsked { name: interface.name.clone(), functions });
            }
        }
        grants.sort_by(|one, other| one.name.cmp(&other.name));
        grants
    }

    fn exports(&mut self, world: &World) -> (Vec<String>, Vec<String>) {
        let (mut hooks, mut extra) = (Vec::new(), Vec::new());
        for (key, item) in &world.exports {
            let name = self.resolve.name_world_key(key);
            match item {
                WorldItem::Interface { id, .. } => match self.contract.hooks.iter().find(|hook| hook.full == name) {
                    Some(hook) => {
                        let functions = self.functions(*id, &name);
                        if !functions.iter().any(|(function, _)| function == HANDLE) {
                            let cause = format!("`{name}` is exported without its function `{HANDLE}`");
                            self.problems.push(Problem::OtherTypes { cause });
                        }
                        for (function, _) in functions {
                            if function != HANDLE {
                                self.problems.push(Problem::UnknownFunction { interface: name.clone(), function });
                            }
                        }
                        hooks.push(hook.name.clone());
                    }
                    None if name == EXPORTS && self.is_python_init(*id) => extra.push(name),
                    None => match self.offered(&name) {
                        Some(offered) => self.problems.push(Problem::OtherVersion { name, offered }),
                        None => self.problems.push(Problem::UnknownExport { name }),
                    },
                },
                WorldItem::Function(function) if name == INIT && is_init(function) => extra.push(name),
                WorldItem::Function(_) | WorldItem::Type { .. } => {
                    self.problems.push(Problem::UnknownExport { name });
                }
            }
        }
        let problems_before = !self.problems.is_empty();
        if hooks.is_empty() && !problems_before {
            self.problems.push(Problem::NoHook);
        }
        (hooks, extra)
    }

    fn is_python_init(&self, id: InterfaceId) -> bool {
        self.resolve.interfaces[id].functions.keys().map(String::as_str).eq([INIT])
    }

    /// Names of an interface's functions; async ones are a problem.
    fn functions(&mut self, id: InterfaceId, interface: &str) -> Vec<(String, FunctionKind)> {
        let mut functions = Vec::new();
        for function in self.resolve.interfaces[id].functions.values() {
            if function.kind.is_async() || !function.find_futures_and_streams(self.resolve).is_empty() {
                self.problems.push(Problem::Async { name: format!("{interface}#{}", function.name) });
            }
            functions.push((function.name.clone(), function.kind.clone()));
        }
        functions
    }

    fn unknown_import(&mut self, name: String) {
        if let Some(offered) = self.offered(&name) {
            self.problems.push(Problem::OtherVersion { name, offered });
            return;
        }
        let package = name.split('/').next().unwrap_or_default();
        let hint = match package {
            _ if package.starts_with("wasi:") => {
                "of WASI 0.2 a plugin gets clocks, random numbers and standard output, nothing else: build without it"
                    .into()
            }
            "fangshi:host" => format!("`{HOST}` has no such interface"),
            "fangshi:store" => format!("`{STORE}` has no such interface"),
            _ => "plugins import `fangshi:host` and `fangshi:store` only".into(),
        };
        self.problems.push(Problem::UnknownImport { name, hint });
    }

    /// The contract's name of an interface given in another version.
    fn offered(&self, name: &str) -> Option<String> {
        let base = name.split('@').next()?;
        let hooks = self.contract.hooks.iter().map(|hook| &hook.full);
        let mut all = self.contract.imports.keys().chain(hooks);
        all.find(|full| full.split('@').next() == Some(base) && *full != name).cloned()
    }
}

/// The function by which componentize-qjs fills its snapshot at build time: `init(shim, script, entry-path, disable-gc)`. It stays
/// exported and is never called.
fn is_init(function: &Function) -> bool {
    let names: Vec<&str> = function.params.iter().map(|param| param.name.as_str()).collect();
    matches!(function.kind, FunctionKind::Freestanding)
        && matches!(names.as_slice(), [] | ["shim", "script", "entry-path", "disable-gc"])
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(300).collect()
}
