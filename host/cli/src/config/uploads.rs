//! `[uploads]`, and what one tenant may upload in all.

use fangshi_console::TrustedKeys;
use fangshi_tenants::UploadLimits;

use super::choice;
use super::keys;
use super::reader::Reader;
use crate::compile::CompileLimits;

pub(super) fn limits(reader: &mut Reader<'_>) -> UploadLimits {
    let default = UploadLimits::default();
    let versions = reader.number(&keys::PLUGIN_VERSIONS_PER_TENANT);
    UploadLimits {
        versions: versions.and_then(|versions| u32::try_from(versions).ok()).unwrap_or(default.versions),
        bytes: reader.number(&keys::PLUGIN_BYTES_PER_TENANT).unwrap_or(default.bytes),
    }
}

/// Whether the operator must approve what a merchant uploaded.
pub(super) fn approval(reader: &mut Reader<'_>) -> bool {
    choice(reader, &keys::APPROVAL, ["none", "operator"], "none") == "operator"
}

/// Who must have signed an upload. Wrong keys are told of even where no signature is required: they would be missed on the day it
/// is.
pub(super) fn trusted(reader: &mut Reader<'_>) -> Option<TrustedKeys> {
    let required = choice(reader, &keys::SIGNATURES, ["off", "required"], "off") == "required";
    let found = reader.texts(&keys::TRUSTED_KEYS);
    let line = found.as_ref().and_then(|found| found.line);
    let given = found.map(|found| found.value).unwrap_or_default();
    match TrustedKeys::new(&given) {
        Ok(trusted) => required.then_some(trusted),
        Err(at) => {
            if let Some(key) = given.get(at) {
                reader.wrong(&keys::TRUSTED_KEYS, line, &format!("\"{key}\""));
            } else if required && !reader.reported(&keys::TRUSTED_KEYS.path()) {
                reader.missing(&keys::TRUSTED_KEYS, "");
            }
            None
        }
    }
}

/// What compiling one plugin may take.
pub(super) fn compile(reader: &mut Reader<'_>) -> CompileLimits {
    CompileLimits {
        seconds: reader.number(&keys::COMPILE_SECONDS).unwrap_or(120),
        memory_bytes: reader.number(&keys::COMPILE_MEMORY).unwrap_or(2 << 30),
        code_bytes: reader.number(&keys::COMPILED_BYTES).unwrap_or(128 << 20),
    }
}
