//! An upload: a form with a file, then the page of consent; or what is wrong with the file and what to do.

use axum::extract::multipart::{Field, Multipart};
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::TryStreamExt;

use super::home::{self, Trouble};
use super::session::Session;
use super::words;
use crate::Console;
use crate::limits;
use crate::plugins;
use crate::refusal::Refusal;
use crate::request::{broken_off, gather, most, spill};

/// What a form without a file may hold.
const MAX_TEXT: usize = 1 << 10;

#[derive(Default)]
struct Uploaded {
    proof: String,
    name: String,
    file_name: String,
    wasm: Vec<u8>,
}

/// Keeps the component and shows what it asks for.
pub(super) async fn upload(State(console): State<Console>, session: Session, request: Request) -> Response {
    let limit = limits::component_bytes(&console, session.of());
    let turn = match plugins::begin(&console, session.of(), most(request.headers(), limit)) {
        Ok(turn) => turn,
        Err(refusal) => {
            spill(request.into_body()).await;
            return trouble(&console, &session, &refusal).await;
        }
    };
    let form = match Multipart::from_request(request, &console).await {
        Ok(form) => form,
        Err(rejection) => return rejection.into_response(),
    };
    let uploaded = match read(form, limit).await {
        Ok(uploaded) => uploaded,
        Err(refusal) => return trouble(&console, &session, &refusal).await,
    };
    // Before anything else is looked at.
    if let Some(refused) = session.refuses(&uploaded.proof) {
        return refused;
    }
    if uploaded.wasm.is_empty() {
        let refusal = Refusal::malformed("no-file", "no file was chosen", "choose a .wasm file");
        return trouble(&console, &session, &refusal).await;
    }
    let name = name(&uploaded);
    match plugins::keep(&console, session.caller, &turn, &name, uploaded.wasm, None).await {
        Ok((version, _)) => {
            Redirect::to(&format!("/merchant/consent/{}/{}", version.plugin, version.digest)).into_response()
        }
        Err(refusal) => trouble(&console, &session, &refusal).await,
    }
}

async fn trouble(console: &Console, session: &Session, refusal: &Refusal) -> Response {
    let words = words::refusal(refusal.code());
    let trouble = Trouble {
        title: session.language.pick(words.zh, words.en).to_owned(),
        todo: session.language.pick(words.todo_zh, words.todo_en).to_owned(),
        // The host's own sentences: names of imports, sizes. For whoever builds the plugin.
        details: match refusal.status() {
            StatusCode::INTERNAL_SERVER_ERROR => Vec::new(),
            _ => refusal.message().lines().take(20).map(str::to_owned).collect(),
        },
    };
    home::render(console, session, refusal.status(), Some(&trouble)).await
}

/// The name given, else one made of the file's.
fn name(uploaded: &Uploaded) -> String {
    let given = uploaded.name.trim();
    if !given.is_empty() {
        return given.to_owned();
    }
    let stem = uploaded.file_name.strip_suffix(".wasm").unwrap_or(&uploaded.file_name).to_ascii_lowercase();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    let name: String = stem.chars().map(|c| if allowed(c) { c } else { '-' }).take(64).collect();
    if name.trim_matches('-').is_empty() { "plugin".to_owned() } else { name }
}

async fn read(mut form: Multipart, limit: usize) -> Result<Uploaded, Refusal> {
    let mut uploaded = Uploaded::default();
    while let Some(field) = form.next_field().await.map_err(|error| broken_off(&error))? {
        match field.name() {
            Some("file") => {
                uploaded.file_name = field.file_name().unwrap_or_default().to_owned();
                // Of two files the last one counts, and one is held.
                uploaded.wasm = Vec::new();
                uploaded.wasm = bytes(field, limit).await?;
            }
            Some("proof") => uploaded.proof = text(field).await?,
            Some("name") => uploaded.name = text(field).await?,
            _ => drop(bytes(field, MAX_TEXT).await?),
        }
    }
    Ok(uploaded)
}

async fn text(field: Field<'_>) -> Result<String, Refusal> {
    Ok(String::from_utf8_lossy(&bytes(field, MAX_TEXT).await?).into_owned())
}

async fn bytes(field: Field<'_>, limit: usize) -> Result<Vec<u8>, Refusal> {
    gather(field.map_err(|error| broken_off(&error)), limit, "a component", "make it smaller").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_without_a_name_is_named_after_its_file() {
        let named = |name: &str, file: &str| name_of(name, file);
        assert_eq!(named(" tags ", "x.wasm"), "tags");
        assert_eq!(named("", "Large Order Note.wasm"), "large-order-note");
        assert_eq!(named("", "大单.wasm"), "plugin");
        assert_eq!(named("", ""), "plugin");
        assert_eq!(named("", &"a".repeat(100)).len(), 64);
    }

    fn name_of(name: &str, file: &str) -> String {
        super::name(&Uploaded { name: name.into(), file_name: file.into(), ..Uploaded::default() })
    }
}
