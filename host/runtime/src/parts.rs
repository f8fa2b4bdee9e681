//! Text between the parts of a component that is composed of several: refused.
//!
//! Where one part calls another, the engine copies what is passed between their memories. Lists it copies with instructions,
//! which cost fuel by the element. Text it checks and copies in a function of its own, which costs the same fuel for a byte as
//! for all that a memory holds: a thousand of these calls take minutes of a core within what a guest may burn before it gives
//! way. No smaller fuel and no shorter way to yield makes that small, and the engine has no price to set. Compilers of one
//! language give one part, whatever it is made of; composed of several is what somebody composed.

use wasmtime_environ::component::{ComponentTypesBuilder, Trampoline, Translator};
use wasmtime_environ::wasmparser::{Validator, WasmFeatures};
use wasmtime_environ::{ScopeVec, Tunables};

use crate::compiler::CompileError;

const PASS_TEXT: &str = "parts of the component pass text to each other, which costs no fuel: build it as one component, \
                         linked by its compiler, or pass list<u8>";

/// Refuses a component, which the engine compiles, if its parts pass text to each other.
pub(crate) fn check(wasm: &[u8]) -> Result<(), CompileError> {
    // The engine has looked at it with its own settings: these need only be no stricter.
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut types = ComponentTypesBuilder::new(&validator);
    let (tunables, scope) = (Tunables::default_host(), ScopeVec::new());
    let translated = Translator::new(&tunables, &mut validator, &mut types, &scope).translate(wasm);
    let (component, _) = translated.map_err(|error| CompileError::Refused(format!("{error:#}")))?;
    match component.trampolines.values().any(|one| matches!(one, Trampoline::Transcoder { .. })) {
        true => Err(CompileError::Refused(PASS_TEXT.to_owned())),
        false => Ok(()),
    }
}
