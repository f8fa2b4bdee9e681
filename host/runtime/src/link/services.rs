//! The services of `fangshi:host` that need no platform: log, settings, kv, clock, random.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;

use serde_json::Value;
use wasmtime::StoreContextMut;
use wasmtime::component::LinkerInstance;

use super::error::GuestError;
use super::guarded;
use crate::panics::panic_words;
use crate::state::{RunState, Stop};

/// Most bytes of one `random.bytes` call, as the contract says.
const RANDOM_BYTES: u32 = 65_536;
/// Longest key of `kv`, as the contract says.
const KEY_BYTES: usize = 512;

pub(super) fn link_log(instance: &mut LinkerInstance<'_, RunState>) -> wasmtime::Result<()> {
    instance.func_wrap_async("write", |mut store: StoreContextMut<'_, RunState>, (level, text): (u32, String)| {
        Box::new(async move {
            let state = store.data_mut();
            print(state, false)?;
            Ok(write(state, level, &text).await?)
        })
    })
}

/// Passes on what the guest printed: whole lines, and at the `end` of its run also started ones. It crossed the border when
/// it was printed.
pub(crate) fn print(state: &mut RunState, end: bool) -> Result<(), Stop> {
    let lines = state.wasi.console.take(end);
    lines.into_iter().try_for_each(|(level, line)| {
        let kept = fitting(state, &line);
        keep(state, level, &line, kept)
    })
}

/// Dropped log text costs the host a copy and no more, for which the guest gives way: so much less than text that is kept.
const DROPPED_DISCOUNT: u64 = 16;

/// Passes a line on, cut at the limit.
async fn write(state: &mut RunState, level: u32, text: &str) -> Result<(), Stop> {
    let kept = fitting(state, text);
    let dropped = (text.len() - kept) as u64;
    state.handled(dropped);
    state.cross(kept as u64 + dropped / DROPPED_DISCOUNT).await?;
    keep(state, level, text, kept)
}

/// How many bytes of a line the log still takes.
fn fitting(state: &RunState, text: &str) -> usize {
    let mut kept = usize::try_from(left(state).saturating_sub(1)).unwrap_or(usize::MAX).min(text.len());
    while !text.is_char_boundary(kept) {
        kept -= 1;
    }
    kept
}

fn left(state: &RunState) -> u64 {
    if state.used.log_full { 0 } else { state.input.limits.log_bytes.saturating_sub(state.used.log_bytes) }
}

/// Keeps so many bytes of a line. At the limit a mark is left once, and what follows is only counted. A line's end counts
/// one byte, so that empty lines end too.
fn keep(state: &mut RunState, level: u32, text: &str, kept: usize) -> Result<(), Stop> {
    let (left, dropped) = (left(state), (text.len() - kept) as u64);
    state.used.log_bytes_cut += dropped;
    if state.used.log_full {
        return Ok(());
    }
    state.used.log_bytes += left.min(kept as u64 + 1);
    state.used.log_lines += 1;
    let lines = state.input.limits.log_lines;
    let cut = left == 0 || dropped > 0;
    state.used.log_full = cut || state.used.log_lines >= lines;
    let line = if state.used.log_full {
        let allowed = match cut {
            true => format!("{} bytes", state.input.limits.log_bytes),
            false => format!("{lines} lines"),
        };
        Cow::Owned(format!("{}… [log cut: {allowed} are kept]", &text[..kept]))
    } else {
        Cow::Borrowed(text)
    };
    let level = u8::try_from(level).ok().filter(|level| *level <= 3).unwrap_or(1);
    let logged = std::panic::catch_unwind(AssertUnwindSafe(|| state.host.log(level, &line)));
    logged.map_err(|panic| Stop::Fault(format!("the log panicked: {}", panic_words(&*panic))))
}

pub(super) fn link_settings(instance: &mut LinkerInstance<'_, RunState>) -> wasmtime::Result<()> {
    instance.func_wrap_async("get", |mut store: StoreContextMut<'_, RunState>, (name,): (String,)| {
        Box::new(async move {
            let state = store.data_mut();
            let value = match state.input.settings.get(&name) {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) => Some(text.clone()),
                Some(other) => Some(other.to_string()),
            };
            // A name is a text as any other: checked and copied before anybody knows that there is no such setting.
            state.cross((name.len() + value.as_ref().map_or(0, String::len)) as u64).await?;
            Ok((value,))
        })
    })?;
    instance.func_wrap_async("all", |mut store: StoreContextMut<'_, RunState>, (): ()| {
        Box::new(async move {
            let state = store.data_mut();
            let all = match &*state.input.settings {
                Value::Object(members) if !members.is_empty() => state.input.settings.to_string(),
                _ => "{}".into(),
            };
            state.cross(all.len() as u64).await?;
            Ok((all,))
        })
    })
}

pub(super) fn link_clock(instance: &mut LinkerInstance<'_, RunState>) -> wasmtime::Result<()> {
    instance.func_wrap("now", |mut store: StoreContextMut<'_, RunState>, (): ()| {
        let state = store.data_mut();
        state.count(0)?;
        Ok((state.input.clock_ms.div_euclid(1000),))
    })?;
    instance.func_wrap("millisecond", |mut store: StoreContextMut<'_, RunState>, (): ()| {
        let state = store.data_mut();
        state.count(0)?;
        Ok((state.input.clock_ms.rem_euclid(1000) as u32,))
    })
}

pub(super) fn link_random(instance: &mut LinkerInstance<'_, RunState>) -> wasmtime::Result<()> {
    instance.func_wrap_async("bytes", |mut store: StoreContextMut<'_, RunState>, (length,): (u32,)| {
        Box::new(async move {
            let state = store.data_mut();
            let length = length.min(RANDOM_BYTES);
            state.cross(length.into()).await?;
            let mut bytes = vec![0; length as usize];
            state.random.fill(&mut bytes);
            Ok((bytes,))
        })
    })?;
    instance.func_wrap("next", |mut store: StoreContextMut<'_, RunState>, (): ()| {
        let state = store.data_mut();
        state.count(0)?;
        Ok((state.random.next_u32() >> 1,))
    })
}

pub(super) fn link_kv(instance: &mut LinkerInstance<'_, RunState>) -> wasmtime::Result<()> {
    instance.func_wrap_async("get", |mut store: StoreContextMut<'_, RunState>, (key,): (String,)| {
        Box::new(async move { Ok((kv_get(store.data_mut(), &key).await?,)) })
    })?;
    instance.func_wrap_async("set", |mut store: StoreContextMut<'_, RunState>, (key, value): (String, Vec<u8>)| {
        Box::new(async move { Ok((kv_set(store.data_mut(), &key, Some(value)).await?,)) })
    })?;
    instance.func_wrap_async("delete", |mut store: StoreContextMut<'_, RunState>, (key,): (String,)| {
        Box::new(async move { Ok((kv_set(store.data_mut(), &key, None).await?,)) })
    })
}

async fn kv_get(state: &mut RunState, key: &str) -> Result<Result<Option<Vec<u8>>, GuestError>, Stop> {
    state.pass_on(key.len() as u64).await?;
    if let Some(error) = kv_refusal(state, key) {
        return Ok(Err(error));
    }
    match guarded(&mut state.waiting, state.host.kv_get(key)).await? {
        Ok(value) => {
            state.cross(value.as_ref().map_or(0, Vec::len) as u64).await?;
            Ok(Ok(value))
        }
        Err(error) => GuestError::from_call(error).map(Err),
    }
}

async fn kv_set(state: &mut RunState, key: &str, value: Option<Vec<u8>>) -> Result<Result<(), GuestError>, Stop> {
    state.pass_on((key.len() + value.as_ref().map_or(0, Vec::len)) as u64).await?;
    if let Some(error) = kv_refusal(state, key) {
        return Ok(Err(error));
    }
    match guarded(&mut state.waiting, state.host.kv_set(key, value)).await? {
        Ok(()) => Ok(Ok(())),
        Err(error) => GuestError::from_call(error).map(Err),
    }
}

fn kv_refusal(state: &RunState, key: &str) -> Option<GuestError> {
    if !state.granted("kv") {
        Some(GuestError::Denied("the grant `kv` is needed".into()))
    } else if key.is_empty() || key.len() > KEY_BYTES {
        Some(GuestError::Invalid(format!("key: 1 to {KEY_BYTES} bytes")))
    } else {
        None
    }
}
