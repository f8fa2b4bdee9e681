//! `wasi:cli`: no environment, no arguments, nothing to read; what is written to standard output and standard error becomes
//! lines of the log.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi_io::IoView;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

use super::VERSION;
use super::console::{Level, NoInput};
use crate::state::RunState;

/// A terminal; there is none.
struct Terminal;

pub(super) fn link(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    let name = |interface: &str| format!("wasi:cli/{interface}@{VERSION}");

    let mut environment = linker.instance(&name("environment"))?;
    environment.func_wrap("get-environment", |mut store: StoreContextMut<'_, RunState>, (): ()| {
        store.data_mut().count(0)?;
        Ok((Vec::<(String, String)>::new(),))
    })?;
    environment.func_wrap("get-arguments", |mut store: StoreContextMut<'_, RunState>, (): ()| {
        store.data_mut().count(0)?;
        Ok((Vec::<String>::new(),))
    })?;
    environment.func_wrap("initial-cwd", |mut store: StoreContextMut<'_, RunState>, (): ()| {
        store.data_mut().count(0)?;
        Ok((None::<String>,))
    })?;

    let mut exit = linker.instance(&name("exit"))?;
    exit.func_wrap("exit", |_: StoreContextMut<'_, RunState>, (how,): (Result<(), ()>,)| -> wasmtime::Result<()> {
        let how = if how.is_ok() { "with success" } else { "with failure" };
        wasmtime::bail!("the plugin ended its own program {how}: a hook returns its result instead")
    })?;

    let mut stdin = linker.instance(&name("stdin"))?;
    stdin.func_wrap("get-stdin", |mut store: StoreContextMut<'_, RunState>, (): ()| {
        let state = store.data_mut();
        state.count(0)?;
        let stream: DynInputStream = Box::new(NoInput);
        Ok((state.table().push(stream)?,))
    })?;
    for (interface, function, level) in
        [("stdout", "get-stdout", Level::Output), ("stderr", "get-stderr", Level::Error)]
    {
        let mut output = linker.instance(&name(interface))?;
        output.func_wrap(function, move |mut store: StoreContextMut<'_, RunState>, (): ()| {
            let state = store.data_mut();
            state.count(0)?;
            let stream: DynOutputStream = Box::new(state.wasi.console.output(level));
            Ok((state.table().push(stream)?,))
        })?;
    }

    let terminal = ResourceType::host::<Terminal>();
    linker.instance(&name("terminal-input"))?.resource("terminal-input", terminal, |_, _| Ok(()))?;
    linker.instance(&name("terminal-output"))?.resource("terminal-output", terminal, |_, _| Ok(()))?;
    for stream in ["stdin", "stdout", "stderr"] {
        let mut instance = linker.instance(&name(&format!("terminal-{stream}")))?;
        instance.func_wrap(&format!("get-terminal-{stream}"), |mut store: StoreContextMut<'_, RunState>, (): ()| {
            store.data_mut().count(0)?;
            Ok((None::<Resource<Terminal>>,))
        })?;
    }
    Ok(())
}
