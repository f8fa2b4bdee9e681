//! The contract's imports, made once for all plugins: the linker resolves in it what a component imports.

mod error;
mod events;
mod http;
mod operations;
mod order_data;
mod orders;
mod services;

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::call::CallError;
use crate::contract::{Contract, Kind};
use crate::panics::panic_words;
use crate::state::{RunState, Stop};
use crate::wasi;

pub(crate) use events::Event;
pub(crate) use orders::Order;
pub(crate) use services::print;

/// Links every import of the contract.
pub(crate) fn linker(engine: &Engine, contract: &'static Contract) -> wasmtime::Result<Linker<RunState>> {
    let mut linker = Linker::new(engine);
    wasi::link(&mut linker)?;
    for (full, interface) in &contract.imports {
        let mut instance = linker.instance(full)?;
        match interface.kind {
            Kind::Operations => operations::link(&mut instance, interface)?,
            Kind::OrderData => order_data::link(&mut instance, interface)?,
            Kind::Http => http::link(&mut instance)?,
            Kind::Orders => orders::link(&mut instance)?,
            Kind::Kv => services::link_kv(&mut instance)?,
            Kind::Free => match interface.name.as_str() {
                "events" => events::link(&mut instance)?,
                "log" => services::link_log(&mut instance)?,
                "settings" => services::link_settings(&mut instance)?,
                "clock" => services::link_clock(&mut instance)?,
                "random" => services::link_random(&mut instance)?,
                _ if interface.functions.is_empty() => {}
                other => wasmtime::bail!("the contract's interface `{other}` has no implementation"),
            },
        }
    }
    Ok(linker)
}

/// Waits for a call of the [`RunHost`](crate::RunHost): a panic in it and an abort become a [`Stop`], so that neither
/// reaches the guest. Whoever drops it finds `waiting` set.
async fn guarded<T>(
    waiting: &mut bool,
    call: impl Future<Output = Result<T, CallError>>,
) -> Result<Result<T, CallError>, Stop> {
    *waiting = true;
    let answer = AssertUnwindSafe(call).catch_unwind().await;
    *waiting = false;
    match answer {
        Ok(Err(CallError::Abort(abort))) => Err(Stop::Abort(abort)),
        Ok(answer) => Ok(answer),
        Err(panic) => Err(Stop::Fault(format!("a host call panicked: {}", panic_words(&*panic)))),
    }
}
