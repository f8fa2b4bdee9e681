//! Settings with a type: a wrong one is a rejection that names the setting and what it should be.
use std::str::FromStr;

use crate::{Failure, reject, settings};

/// Puts a JSON Schema of the settings into the plugin: the host makes a form of it, checks what is set against it and fills
/// in its defaults. The path is that of a file beside the source: `settings_schema!("../settings.schema.json");`.
#[macro_export]
macro_rules! settings_schema {
    ($path:literal) => {
        const _: () = {
            // Read by the host from the component; the program itself never looks at it.
            #[cfg(target_arch = "wasm32")]
            #[allow(dead_code, unsafe_code)]
            #[unsafe(link_section = "fangshi:settings-schema")]
            pub static SCHEMA: [u8; include_bytes!($path).len()] = *include_bytes!($path);
            // On the author's own machine the file must be there too.
            #[cfg(not(target_arch = "wasm32"))]
            const _: &[u8] = include_bytes!($path);
        };
    };
}

/// A text, or `default` if it is not set.
pub fn text(name: &str, default: &str) -> String {
    settings::get(name).unwrap_or_else(|| default.to_owned())
}

/// An integer, or `default` if it is not set.
pub fn integer(name: &str, default: i64) -> Result<i64, Failure> {
    parsed(name, settings::get(name), default, "an integer")
}

/// True or false, or `default` if it is not set.
pub fn flag(name: &str, default: bool) -> Result<bool, Failure> {
    parsed(name, settings::get(name), default, "true or false")
}

fn parsed<T: FromStr>(name: &str, value: Option<String>, default: T, wanted: &str) -> Result<T, Failure> {
    let Some(value) = value else { return Ok(default) };
    value.trim().parse().map_err(|_| reject(format!("setting {name}: {wanted} is expected")))
}

#[cfg(test)]
mod tests {
    use super::parsed;
    use crate::Failure;

    #[test]
    fn numbers_come_as_json_or_text_and_a_wrong_one_is_named() {
        assert_eq!(parsed("threshold", Some("30000".into()), 1_i64, "an integer").unwrap(), 30_000);
        assert_eq!(parsed("threshold", Some(" 30000 ".into()), 1_i64, "an integer").unwrap(), 30_000);
        assert_eq!(parsed("threshold", None, 7_i64, "an integer").unwrap(), 7);
        let Err(Failure::Reject(reason)) = parsed("threshold", Some("300.5".into()), 1_i64, "an integer") else {
            panic!("half a 分 was taken")
        };
        assert!(reason.contains("threshold") && reason.contains("integer"), "{reason}");
        assert!(parsed("on", Some("true".into()), false, "true or false").unwrap());
        assert!(parsed("on", Some("1".into()), false, "true or false").is_err());
    }
}
