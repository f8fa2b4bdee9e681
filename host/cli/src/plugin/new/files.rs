//! The files of new plugins, as they lie in the repository: the binary carries them, so that an author needs nothing else.

/// A file: its path in the repository, and its text.
pub struct File {
    /// From the repository's root.
    pub path: &'static str,
    /// All of it.
    pub text: &'static str,
}

macro_rules! file {
    ($path:literal) => {
        File { path: $path, text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../", $path)) }
    };
}

/// The workspace's manifest: it says what the SDK's manifest leaves to it.
pub const WORKSPACE: File = file!("Cargo.toml");

/// The contract.
pub const CONTRACT: &[File] = &[
    file!("wit/host/errors.wit"),
    file!("wit/host/events.wit"),
    file!("wit/host/services.wit"),
    file!("wit/store/hooks.wit"),
    file!("wit/store/operations.wit"),
    file!("wit/store/orders.wit"),
    file!("wit/store/world.wit"),
];

/// What plugins in Rust are built with.
pub const RUST_SDK: &[File] = &[
    file!("plugins/sdk/rust/Cargo.toml"),
    file!("plugins/sdk/rust/README.md"),
    file!("plugins/sdk/rust/src/arena.rs"),
    file!("plugins/sdk/rust/src/bindings.rs"),
    file!("plugins/sdk/rust/src/codes.rs"),
    file!("plugins/sdk/rust/src/failure.rs"),
    file!("plugins/sdk/rust/src/hooks.rs"),
    file!("plugins/sdk/rust/src/lib.rs"),
    file!("plugins/sdk/rust/src/note.rs"),
    file!("plugins/sdk/rust/src/order.rs"),
    file!("plugins/sdk/rust/src/setting.rs"),
    file!("plugins/sdk/rust/wit/hooks.wit"),
];

/// What plugins in JavaScript are built with.
pub const JAVASCRIPT_SDK: &[File] = &[
    file!("plugins/sdk/js/README.md"),
    file!("plugins/sdk/js/build.js"),
    file!("plugins/sdk/js/entry.js"),
    file!("plugins/sdk/js/guest/date.js"),
    file!("plugins/sdk/js/guest/guard.js"),
    file!("plugins/sdk/js/guest/random.js"),
    file!("plugins/sdk/js/modules.js"),
    file!("plugins/sdk/js/package-lock.json"),
    file!("plugins/sdk/js/package.json"),
    file!("plugins/sdk/js/sections.js"),
    file!("plugins/sdk/js/world.js"),
];

/// The template in Rust.
pub const RUST_TEMPLATE: &[File] = &[
    file!("plugins/templates/rust/.cargo/config.toml"),
    file!("plugins/templates/rust/.gitignore"),
    file!("plugins/templates/rust/Cargo.toml"),
    file!("plugins/templates/rust/README.md"),
    file!("plugins/templates/rust/README.zh-CN.md"),
    file!("plugins/templates/rust/event.json"),
    file!("plugins/templates/rust/order.json"),
    file!("plugins/templates/rust/settings.schema.json"),
    file!("plugins/templates/rust/src/lib.rs"),
];

/// The template in JavaScript.
pub const JAVASCRIPT_TEMPLATE: &[File] = &[
    file!("plugins/templates/javascript/.gitignore"),
    file!("plugins/templates/javascript/README.md"),
    file!("plugins/templates/javascript/README.zh-CN.md"),
    file!("plugins/templates/javascript/event.json"),
    file!("plugins/templates/javascript/note.js"),
    file!("plugins/templates/javascript/note.test.js"),
    file!("plugins/templates/javascript/order.json"),
    file!("plugins/templates/javascript/package.json"),
    file!("plugins/templates/javascript/plugin.js"),
    file!("plugins/templates/javascript/settings.schema.json"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    /// Files below a folder, without what building and installing leave there.
    fn below(root: &Path, folder: PathBuf, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(root.join(&folder)).unwrap() {
            let name = entry.unwrap().file_name();
            let path = folder.join(&name);
            if root.join(&path).is_dir() {
                if name != "node_modules" && name != "target" {
                    below(root, path, found);
                }
            } else {
                found.insert(path.to_str().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn every_file_of_the_contract_the_sdks_and_the_templates_is_carried() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for (folders, files) in [
            (&["wit/host", "wit/store"][..], CONTRACT),
            (&["plugins/sdk/rust"], RUST_SDK),
            (&["plugins/sdk/js"], JAVASCRIPT_SDK),
            (&["plugins/templates/rust"], RUST_TEMPLATE),
            (&["plugins/templates/javascript"], JAVASCRIPT_TEMPLATE),
        ] {
            let mut there = BTreeSet::new();
            for folder in folders {
                below(&root, PathBuf::from(folder), &mut there);
            }
            // The SDK's own tests stay at home; a template's tests are the author's.
            there.retain(|path| !(path.starts_with("plugins/sdk/") && path.ends_with(".test.js")));
            let carried: BTreeSet<String> = files.iter().map(|file| file.path.to_owned()).collect();
            assert_eq!(carried, there);
        }
    }
}
