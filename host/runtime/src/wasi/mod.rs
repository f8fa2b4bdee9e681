//! WASI 0.2 for components of other languages: clocks, random numbers and standard output from the same deterministic
//! sources as the contract's own, and refusal for the rest.
//!
//! A language's library imports more of WASI than a plugin uses, so importing is no reason to refuse an upload: files and
//! sockets may be imported, there are none, and a call of one ends the run with its name. Everything else of WASI is
//! refused at upload ([`offer`]).

mod cli;
mod clocks;
mod console;
mod files;
mod io;
mod random;

use wasmtime::Engine;
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Component, Linker, LinkerInstance, ResourceTable, ResourceType};
use wasmtime_wasi_io::IoView;
use wasmtime_wasi_io::poll::DynPollable;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

use crate::limits::Limits;
use crate::state::RunState;

pub(crate) use clocks::Passed;
pub(crate) use console::Console;

/// What a store holds for WASI.
pub(crate) struct Wasi {
    /// Streams and pollables that the guest has handles of; their number is bounded with all other handles.
    table: ResourceTable,
    pub console: Console,
    pub passed: Passed,
}

impl Wasi {
    pub fn new(limits: &Limits) -> Wasi {
        Wasi {
            table: ResourceTable::new(),
            console: Console::new(limits.log_bytes, limits.log_lines),
            passed: Passed::default(),
        }
    }
}

impl IoView for RunState {
    fn table(&mut self) -> &mut ResourceTable {
        &mut self.wasi.table
    }
}

/// What the host does with an import of WASI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// It is there.
    There,
    /// It may be imported; a call of it ends the run.
    RefusedAtCall,
    /// The upload is refused.
    RefusedAtUpload,
}

/// Interfaces that are there, without their version.
const THERE: [&str; 18] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// Interfaces that a language's library imports whether it is used or not.
const REFUSED_AT_CALL: [&str; 9] = [
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// The namespace of WASI's packages.
pub(crate) const NAMESPACE: &str = "wasi";

/// Decides about an import by its full name, `wasi:io/poll@0.2.6`; `None` if it is none of WASI.
pub(crate) fn offer(name: &str) -> Option<Offer> {
    if name.split_once(':')?.0 != NAMESPACE {
        return None;
    }
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    // Releases of 0.2 only add; what they add and we lack is missed when the component is linked.
    let fits = version.strip_prefix("0.2.").is_some_and(|patch| patch.parse::<u32>().is_ok());
    Some(match fits {
        true if THERE.contains(&interface) => Offer::There,
        true if REFUSED_AT_CALL.contains(&interface) => Offer::RefusedAtCall,
        _ => Offer::RefusedAtUpload,
    })
}

/// The release whose functions are linked. Components of any other 0.2 find them too.
const VERSION: &str = "0.2.6";

/// Links what is there, for all plugins.
pub(crate) fn link(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    io::link(linker)?;
    clocks::link(linker)?;
    random::link(linker)?;
    cli::link(linker)
}

/// A linker for one component that imports files or sockets: each function of them ends the run. `None` if it has no such
/// imports.
pub(crate) fn with_refusals(
    linker: &Linker<RunState>,
    component: &Component,
) -> wasmtime::Result<Option<Linker<RunState>>> {
    let (engine, ty) = (linker.engine(), component.component_type());
    let mut refusing: Option<Linker<RunState>> = None;
    for (name, item) in ty.imports(engine) {
        let (Some(Offer::RefusedAtCall), ComponentItem::ComponentInstance(interface)) = (offer(name), &item.ty) else {
            continue;
        };
        let linker = refusing.get_or_insert_with(|| linker.clone());
        refuse(&mut linker.instance(name)?, name, interface, engine)?;
    }
    Ok(refusing)
}

/// Defines what is missing of an interface.
fn refuse(
    instance: &mut LinkerInstance<'_, RunState>,
    interface: &str,
    wanted: &ComponentInstance,
    engine: &Engine,
) -> wasmtime::Result<()> {
    for (name, item) in wanted.exports(engine) {
        match item.ty {
            // Libraries ask for it when they start.
            ComponentItem::ComponentFunc(_) if name == files::OPEN_FOLDERS => files::link(instance)?,
            ComponentItem::ComponentFunc(_) => {
                let refusal = format!(
                    "`{interface}#{name}` is refused: a plugin has no files and no sockets (for the network: `fangshi:host/http`)"
                );
                instance.func_new(name, move |_, _, _, _| wasmtime::bail!("{refusal}"))?;
            }
            ComponentItem::Resource(_) => instance.resource(name, resource(name), |_, _| Ok(()))?,
            _ => {}
        }
    }
    Ok(())
}

/// The host's type of a resource by its name; those of files and sockets never exist, so one type does for all of them.
fn resource(name: &str) -> ResourceType {
    match name {
        "pollable" => ResourceType::host::<DynPollable>(),
        "input-stream" => ResourceType::host::<DynInputStream>(),
        "output-stream" => ResourceType::host::<DynOutputStream>(),
        "error" => ResourceType::host::<wasmtime_wasi_io::streams::Error>(),
        _ => ResourceType::host::<files::Never>(),
    }
}
