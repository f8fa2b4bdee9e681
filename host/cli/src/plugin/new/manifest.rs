//! `Cargo.toml` of a new plugin in Rust: the template's, made the root of a workspace of its own.

use anyhow::Context;
use toml::{Table, Value};

use super::files::WORKSPACE;

/// Where the template finds the SDK, and where a new plugin does.
const SDK: (&str, &str) = ("../../sdk/rust", "fangshi/plugins/sdk/rust");

/// The manifest, from the template's. What the SDK leaves to its workspace (edition, versions, lints, the profile of plugins)
/// is taken from the host's.
pub fn standalone(template: &str) -> anyhow::Result<String> {
    let host: Table = WORKSPACE.text.parse()?;
    let of = |path: &[&str]| -> anyhow::Result<Value> {
        let mut found = Value::Table(host.clone());
        for name in path {
            found = found.get(name).with_context(|| format!("{} of the workspace", path.join(".")))?.clone();
        }
        Ok(found)
    };
    let mut release = of(&["profile", "guest"])?;
    if let Some(release) = release.as_table_mut() {
        release.remove("inherits");
    }
    let workspace = table([
        ("package", of(&["workspace", "package"])?),
        ("dependencies", table([("wit-bindgen", of(&["workspace", "dependencies", "wit-bindgen"])?)])),
        ("lints", of(&["workspace", "lints"])?),
    ]);
    let added = table([("profile", table([("release", release)])), ("workspace", workspace)]);
    Ok(format!(
        "{}\n# Small, no unwinding: what a run loads.\n{}",
        template.replace(SDK.0, SDK.1),
        toml::to_string(&added).context("writing Cargo.toml")?
    ))
}

fn table<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Table(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

#[cfg(test)]
mod tests {
    use super::super::files::RUST_TEMPLATE;
    use super::*;

    #[test]
    fn a_new_plugin_is_built_with_the_sdk_beside_it_and_as_the_hosts_own_guests_are() {
        let template = RUST_TEMPLATE.iter().find(|file| file.path.ends_with("Cargo.toml")).unwrap();
        let made: Table = standalone(template.text).unwrap().parse().unwrap();
        let host: Table = WORKSPACE.text.parse().unwrap();
        assert_eq!(made["dependencies"]["fangshi-plugin"]["path"].as_str(), Some("fangshi/plugins/sdk/rust"));
        assert_eq!(made["workspace"]["package"], host["workspace"]["package"]);
        assert_eq!(made["profile"]["release"]["panic"].as_str(), Some("abort"));
        assert_eq!(made["workspace"]["dependencies"]["wit-bindgen"], host["workspace"]["dependencies"]["wit-bindgen"]);
    }
}
