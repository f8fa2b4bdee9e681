//! One run: a fresh store, a fresh instance, one call of the hook, and a typed end whatever happens.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use wasmtime::component::{ComponentExportIndex, Resource, Val};
use wasmtime::{Store, Trap, WasmBacktrace};

use crate::call::RunHost;
use crate::contract::{Hook, HookParam};
use crate::convert::{View, from_json};
use crate::input::RunInput;
use crate::limits::Met;
use crate::link::{Event, Order, print};
use crate::panics::panic_words;
use crate::plugin::Plugin;
use crate::report::{Outcome, RunReport};
use crate::runtime::Runtime;
use crate::state::{Orders, RunState, Stop};

/// Longest reason or trap message kept, bytes.
const MESSAGE_BYTES: usize = 4096;

impl Runtime {
    /// Calls a hook of a plugin in a fresh sandbox and reports how it ended. Never fails and never panics for a reason
    /// that lies in the guest or in the [`RunHost`].
    ///
    /// Dropping the future ends the run at once; so does the deadline, and a call to the host that is under way then is
    /// dropped with it.
    pub async fn run(&self, plugin: &Plugin, input: RunInput, host: Box<dyn RunHost>) -> RunReport {
        let started = Instant::now();
        let deadline = input.deadline.min(Duration::from_millis(input.limits.deadline_ms));
        let fuel = input.limits.fuel;
        // The place is given back after the store, whose memory it stands for: dropped in reverse order.
        let place = tokio::time::timeout(deadline, self.inner.places.acquire()).await;
        let mut store = Store::new(&self.inner.engine, RunState::new(input, host));
        let outcome = match &place {
            Err(_) => Outcome::Deadline,
            Ok(Err(_)) => Outcome::HostFault("the runtime is shut down".into()),
            Ok(Ok(_)) => {
                // The deadline and the net for panics lie outside the store, which is only read afterwards, and dropped.
                let call = AssertUnwindSafe(self.call(&mut store, plugin)).catch_unwind();
                match tokio::time::timeout(deadline.saturating_sub(started.elapsed()), call).await {
                    Err(_) => Outcome::Deadline,
                    Ok(Err(panic)) => Outcome::HostFault(format!("the host panicked: {}", panic_words(&*panic))),
                    Ok(Ok(outcome)) => outcome,
                }
            }
        };
        let outcome = match print(store.data_mut(), true) {
            Err(Stop::Fault(text)) => Outcome::HostFault(text),
            _ => outcome,
        };
        let fuel_left = store.get_fuel().unwrap_or_default();
        let state = store.data();
        RunReport {
            waiting: outcome == Outcome::Deadline && (place.is_err() || state.waiting),
            outcome,
            fuel_used: fuel.saturating_sub(fuel_left),
            peak_memory: state.limiter.peak,
            host_calls: state.used.host_calls,
            log_bytes: state.used.log_bytes,
            log_bytes_cut: state.used.log_bytes_cut,
            border_bytes: state.used.border_bytes,
            wall_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    async fn call(&self, store: &mut Store<RunState>, plugin: &Plugin) -> Outcome {
        if let Err(error) = self.limit(store) {
            return Outcome::HostFault(format!("the limits can't be set: {error:#}"));
        }
        let Some((hook, index)) = plugin.hook(&store.data().input.hook) else {
            return Outcome::HostFault(format!("the plugin has no hook `{}`", store.data().input.hook));
        };
        match handle(store, plugin, hook, index).await {
            Ok(result) => returned(result),
            Err(error) => classify(&error, store.data(), self.inner.config.max_wasm_stack),
        }
    }

    fn limit(&self, store: &mut Store<RunState>) -> wasmtime::Result<()> {
        let (fuel, call_bytes) = (store.data().input.limits.fuel, store.data().input.limits.call_bytes);
        store.limiter(|state| &mut state.limiter);
        store.set_fuel(fuel)?;
        store.fuel_async_yield_interval(Some(self.inner.config.yield_interval.max(1)))?;
        store.set_hostcall_fuel(usize::try_from(call_bytes).unwrap_or(usize::MAX));
        store.set_max_component_handles(HANDLES);
        Ok(())
    }
}

/// Resource handles alive at once in one run, the guest's own ones and what is lent to a call included. Beyond:
/// [`Outcome::Limit`] `handles`.
const HANDLES: usize = 10_000;

/// Instantiates and calls. The hook's result as it came.
async fn handle(
    store: &mut Store<RunState>,
    plugin: &Plugin,
    hook: &Hook,
    index: &ComponentExportIndex,
) -> wasmtime::Result<Val> {
    let mut params = Vec::with_capacity(hook.params.len());
    for param in &hook.params {
        params.push(match param {
            HookParam::Event => Val::Resource(Resource::<Event>::new_own(0).try_into_resource_any(&mut *store)?),
            HookParam::Order => {
                Val::Resource(Resource::<Order>::new_own(Orders::OF_EVENT).try_into_resource_any(&mut *store)?)
            }
            HookParam::Detail(shape) => {
                let detail = View::of(Some(&store.data().input.detail));
                from_json(detail, shape, &mut 0).map_err(|mismatch| {
                    Stop::EventUnfit(format!("the event does not fit `{}`: {mismatch}", hook.full))
                })?
            }
        });
    }
    let instance = plugin.pre.instantiate_async(&mut *store).await?;
    let Some(handle) = instance.get_func(&mut *store, index) else {
        return Err(Stop::Fault(format!("`{}` has no `handle`", hook.full)).into());
    };
    let mut results = [Val::Bool(false)];
    handle.call_async(&mut *store, &params, &mut results).await?;
    let [result] = results;
    Ok(result)
}

/// Reads `result<_, failure>`.
fn returned(result: Val) -> Outcome {
    match result {
        Val::Result(Ok(_)) => Outcome::Done,
        Val::Result(Err(Some(failure))) => match *failure {
            Val::Variant(case, Some(payload)) => match (case.as_str(), *payload) {
                ("reject", Val::String(reason)) => Outcome::Reject { reason: cut(reason) },
                ("retry-later", Val::Record(fields)) => {
                    let (mut reason, mut after) = (String::new(), None);
                    for (name, value) in fields {
                        match (name.as_str(), value) {
                            ("reason", Val::String(text)) => reason = cut(text),
                            ("after-seconds", Val::Option(Some(seconds))) => {
                                if let Val::U32(seconds) = *seconds {
                                    after = Some(seconds);
                                }
                            }
                            _ => {}
                        }
                    }
                    Outcome::RetryLater { reason, after }
                }
                _ => Outcome::HostFault("the hook failed in a way that the contract does not have".into()),
            },
            _ => Outcome::HostFault("the hook failed in a way that the contract does not have".into()),
        },
        _ => Outcome::HostFault("the hook returned something else than the contract's result".into()),
    }
}

/// What the engine's error means: whose fault it is, and which limit was met.
fn classify(error: &wasmtime::Error, state: &RunState, stack: usize) -> Outcome {
    let limits = &state.input.limits;
    match error.downcast_ref::<Stop>() {
        Some(Stop::Met(met)) => return (*met).into(),
        Some(Stop::Abort(abort)) => return Outcome::Aborted(abort.clone()),
        Some(Stop::EventUnfit(reason)) => return Outcome::EventUnfit { reason: reason.clone() },
        Some(Stop::Fault(text)) => return Outcome::HostFault(text.clone()),
        None => {}
    }
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return Outcome::HostFault(format!("the pool is too small: {error:#}"));
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => return Met { limit: "fuel", allowed: limits.fuel }.into(),
        Some(Trap::StackOverflow) => return Met { limit: "stack", allowed: stack as u64 }.into(),
        _ => {}
    }
    // A guest whose memory could not grow gives up with a trap of its own: the limit is the reason worth telling.
    if let Some(met) = state.limiter.met {
        return met.into();
    }
    // These have no type to ask for; tests hold them against the engine.
    let text = format!("{error:#}");
    if text.contains("fuel allocated for hostcalls has been exhausted") {
        return Met { limit: "call_bytes", allowed: limits.call_bytes }.into();
    }
    if text.contains("resource limit exceeded: instance count") {
        return Met { limit: "instances", allowed: limits.instances.into() }.into();
    }
    if text.contains("store handle limit exceeded") {
        return Met { limit: "handles", allowed: HANDLES as u64 }.into();
    }
    Outcome::Trap { message: cut(trap_text(error)) }
}

/// The cause first, then the guest's own stack.
fn trap_text(error: &wasmtime::Error) -> String {
    let mut text = error.root_cause().to_string();
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        for frame in backtrace.frames() {
            text.push_str("\n  at ");
            match frame.func_name() {
                Some(name) => text.push_str(name),
                None => text.push_str(&format!("function {}", frame.func_index())),
            }
            if let Some(offset) = frame.module_offset() {
                text.push_str(&format!(" (0x{offset:x})"));
            }
        }
    }
    text
}

fn cut(mut text: String) -> String {
    if text.len() > MESSAGE_BYTES {
        let mut end = MESSAGE_BYTES;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}
