//! `wasi:random`: the run's own numbers, for every purpose. A language that seeds its generator from here gives the same
//! numbers in every repetition of a run, and others in every other run.

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use super::VERSION;
use crate::limits::Met;
use crate::state::{RunState, Stop};

pub(super) fn link(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    for (interface, bytes, number) in [
        ("random", "get-random-bytes", "get-random-u64"),
        ("insecure", "get-insecure-random-bytes", "get-insecure-random-u64"),
    ] {
        let mut instance = linker.instance(&format!("wasi:random/{interface}@{VERSION}"))?;
        instance.func_wrap_async(bytes, |mut store: StoreContextMut<'_, RunState>, (length,): (u64,)| {
            Box::new(async move { Ok((random_bytes(store.data_mut(), length).await?,)) })
        })?;
        instance.func_wrap(number, |mut store: StoreContextMut<'_, RunState>, (): ()| {
            Ok((random_u64(store.data_mut())?,))
        })?;
    }
    let mut seed = linker.instance(&format!("wasi:random/insecure-seed@{VERSION}"))?;
    seed.func_wrap("insecure-seed", |mut store: StoreContextMut<'_, RunState>, (): ()| {
        let state = store.data_mut();
        Ok(((random_u64(state)?, random_u64(state)?),))
    })
}

async fn random_bytes(state: &mut RunState, length: u64) -> Result<Vec<u8>, Stop> {
    let allowed = state.input.limits.call_bytes;
    if length > allowed {
        return Err(Stop::Met(Met { limit: "call_bytes", allowed }));
    }
    state.cross(length).await?;
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    state.random.fill(&mut bytes);
    Ok(bytes)
}

fn random_u64(state: &mut RunState) -> Result<u64, Stop> {
    state.count(8)?;
    let mut bytes = [0; 8];
    state.random.fill(&mut bytes);
    Ok(u64::from_le_bytes(bytes))
}
