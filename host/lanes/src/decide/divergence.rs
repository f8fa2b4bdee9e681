//! Whether a call that is made again is the one that was recorded.

use fangshi_journal::RecordedCall;

/// How a call differs from the recorded one at its place, in words; none if it is the same.
pub fn differs(recorded: &RecordedCall, position: u32, name: &str, digest: &[u8; 32]) -> Option<String> {
    if recorded.name == name && recorded.digest == *digest && recorded.position == position {
        return None;
    }
    let request = if recorded.name == name { " with another request" } else { "" };
    Some(format!("call {position} was {} and is now {name}{request}", recorded.name))
}
