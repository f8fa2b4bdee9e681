//! Operations: arguments to JSON, over to the [`RunHost`](crate::RunHost), the answer back by type. No operation has
//! code of its own here.

use serde_json::{Map, Value};
use wasmtime::component::{LinkerInstance, Val};

use super::error::GuestError;
use super::guarded;
use crate::contract::{Function, Interface};
use crate::convert::{View, from_json, to_json};
use crate::state::{RunState, Stop};

/// The result of a call as the guest gets it.
type Answer = Result<Option<Val>, GuestError>;

pub(super) fn link(instance: &mut LinkerInstance<'_, RunState>, interface: &'static Interface) -> wasmtime::Result<()> {
    for function in &interface.functions {
        instance.func_new_async(&function.name, move |mut store, _, params, results| {
            Box::new(async move {
                let answer = call(store.data_mut(), interface, function, params).await?;
                put(answer, function.fallible, results)
            })
        })?;
    }
    Ok(())
}

async fn call(
    state: &mut RunState,
    interface: &'static Interface,
    function: &'static Function,
    params: &[Val],
) -> Result<Answer, Stop> {
    let (mut bytes, mut request) = (0, Map::with_capacity(params.len()));
    for (param, val) in function.params.iter().zip(params) {
        let value = to_json(val, &param.shape, &mut bytes)
            .map_err(|mismatch| Stop::Fault(format!("`{}#{}`: {mismatch}", interface.name, function.name)))?;
        if let Some(value) = value {
            request.insert(param.json.clone(), value);
        }
    }
    state.pass_on(bytes).await?;
    if !state.granted(&interface.name) {
        return Ok(Err(GuestError::Denied(format!("the grant `{}` is needed", interface.name))));
    }
    let request = Value::Object(request);
    match guarded(&mut state.waiting, state.host.operation(&interface.name, &function.name, request)).await? {
        Err(error) => GuestError::from_call(error).map(Err),
        Ok(answer) => {
            let Some(shape) = &function.ok else { return Ok(Ok(None)) };
            let mut bytes = 0;
            let val = from_json(View::of(Some(&answer)), shape, &mut bytes).map_err(|mismatch| {
                let at = format!("`{}#{}`", interface.name, function.name);
                Stop::Fault(format!("the platform's answer does not fit {at}: {mismatch}"))
            })?;
            state.cross(bytes).await?;
            Ok(Ok(Some(val)))
        }
    }
}

fn put(answer: Answer, fallible: bool, results: &mut [Val]) -> wasmtime::Result<()> {
    let val = match answer {
        Ok(val) if fallible => Some(Val::Result(Ok(val.map(Box::new)))),
        Ok(val) => val,
        Err(error) if fallible => Some(Val::Result(Err(Some(Box::new(error.into_val()))))),
        Err(_) => return Err(Stop::Fault("an infallible function was refused".into()).into()),
    };
    if let (Some(slot), Some(val)) = (results.first_mut(), val) {
        *slot = val;
    }
    Ok(())
}
