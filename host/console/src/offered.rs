//! What is in the contract and not offered by this version of the host: refused when it is installed, so that nobody waits for it.

use crate::refusal::Refusal;

/// Hooks that nothing calls yet. A host that calls one takes it out here, and freezes its interface (`wit/frozen`).
const HOOKS: [&str; 1] = ["on-schedule"];

/// Refuses a version that waits for a hook that is never called, whatever else it exports.
pub(crate) fn check(hooks: &[String]) -> Result<(), Refusal> {
    match hooks.iter().find(|hook| HOOKS.contains(&hook.as_str())) {
        None => Ok(()),
        Some(hook) => Err(Refusal::invalid(
            "hook-not-offered",
            format!("the version exports `{hook}`, which this version of the host never calls"),
            "build the plugin without that hook",
        )),
    }
}
