//! `fangshi:host/events`: the envelope as a resource.

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentNamedList, LinkerInstance, Lower, Resource, ResourceType};

use crate::input::Envelope;
use crate::state::RunState;

/// The resource's type on the host's side; there is one event a run, so handles carry nothing.
pub(crate) enum Event {}

pub(super) fn link(instance: &mut LinkerInstance<'_, RunState>) -> wasmtime::Result<()> {
    instance.resource("event", ResourceType::host::<Event>(), |_, _| Ok(()))?;
    text(instance, "id", |envelope| &envelope.id)?;
    text(instance, "order-id", |envelope| &envelope.order_id)?;
    text(instance, "raw", |envelope| &envelope.raw)?;
    scalar(instance, "source", |envelope| (envelope.source,))?;
    scalar(instance, "created-at", |envelope| (envelope.created_at,))?;
    scalar(instance, "received-at", |envelope| (envelope.received_at,))?;
    scalar(instance, "attempt", |envelope| (envelope.attempt,))?;
    scalar(instance, "is-last-attempt", |envelope| (envelope.is_last_attempt,))
}

fn text(
    instance: &mut LinkerInstance<'_, RunState>,
    name: &str,
    read: fn(&Envelope) -> &String,
) -> wasmtime::Result<()> {
    let call = move |mut store: StoreContextMut<'_, RunState>, (_,): (Resource<Event>,)| {
        let state = store.data_mut();
        let text = read(&state.input.envelope).clone();
        state.cross(text.len() as u64)?;
        Ok((text,))
    };
    instance.func_wrap(&format!("[method]event.{name}"), call)
}

fn scalar<R>(instance: &mut LinkerInstance<'_, RunState>, name: &str, read: fn(&Envelope) -> R) -> wasmtime::Result<()>
where
    R: ComponentNamedList + Lower + 'static,
{
    let call = move |mut store: StoreContextMut<'_, RunState>, (_,): (Resource<Event>,)| {
        let state = store.data_mut();
        state.cross(0)?;
        Ok(read(&state.input.envelope))
    };
    instance.func_wrap(&format!("[method]event.{name}"), call)
}
