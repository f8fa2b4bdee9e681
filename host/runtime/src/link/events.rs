//! `fangshi:host/events`: the envelope as a resource.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
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
    raw(instance)?;
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
        state.count(text.len() as u64)?;
        Ok((text,))
    };
    instance.func_wrap(&format!("[method]event.{name}"), call)
}

/// The buyer's openid in a message.
const BUYER: &str = "FromUserName";
/// The grants that show it in the order's data.
const SHOWN_BY: [&str; 2] = ["order-payment", "order-raw"];

fn raw(instance: &mut LinkerInstance<'_, RunState>) -> wasmtime::Result<()> {
    instance.func_wrap_async(
        "[method]event.raw",
        |mut store: StoreContextMut<'_, RunState>, (_,): (Resource<Event>,)| {
            Box::new(async move {
                let state = store.data_mut();
                let raw = &state.input.envelope.raw;
                // The attempt's recorded grants decide, so that a repeated attempt reads the same text.
                let text = match SHOWN_BY.iter().any(|grant| state.granted(grant)) {
                    true => raw.clone(),
                    false => without_buyer(raw),
                };
                // What can't be read shows nothing, and was read all the same.
                state.cross(text.len().max(raw.len()) as u64).await?;
                Ok((text,))
            })
        },
    )
}

/// The message with an empty [`BUYER`]; every other member stays as it is. What can't be read shows nothing.
fn without_buyer(raw: &str) -> String {
    let Ok(mut members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(raw) else { return String::new() };
    let Ok(empty) = serde_json::from_str("\"\"") else { return String::new() };
    if let Some(buyer) = members.get_mut(BUYER) {
        *buyer = empty;
    }
    serde_json::to_string(&members).unwrap_or_default()
}

fn scalar<R>(instance: &mut LinkerInstance<'_, RunState>, name: &str, read: fn(&Envelope) -> R) -> wasmtime::Result<()>
where
    R: ComponentNamedList + Lower + 'static,
{
    let call = move |mut store: StoreContextMut<'_, RunState>, (_,): (Resource<Event>,)| {
        let state = store.data_mut();
        state.count(0)?;
        Ok(read(&state.input.envelope))
    };
    instance.func_wrap(&format!("[method]event.{name}"), call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_buyer_is_taken_out_of_a_message() {
        let raw = r#"{"CreateTime":"1","FromUserName":"OPENID","a":{"FromUserName":"\u0001","n":["5",""]}}"#;
        assert_eq!(without_buyer(raw), raw.replace("OPENID", ""));
        assert_eq!(without_buyer(r#"{"Event":"x"}"#), r#"{"Event":"x"}"#);
        assert_eq!(without_buyer("OPENID"), "");
    }
}
