//! `fangshi plugin new`: a folder with a working plugin, its tests, and everything that it is built with.

mod files;
mod manifest;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use files::{CONTRACT, File, JAVASCRIPT_SDK, JAVASCRIPT_TEMPLATE, RUST_SDK, RUST_TEMPLATE};

/// Longest name: folders, crates and the admin API take it.
const NAME_BYTES: usize = 64;

/// Makes a new plugin.
#[derive(Args)]
pub struct NewArguments {
    /// The plugin's name, which is the folder's: small letters, digits and hyphens.
    name: String,
    /// What it is written in.
    #[arg(long, value_enum)]
    language: Language,
}

/// What a plugin can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    /// Rust.
    Rust,
    /// JavaScript, run by QuickJS.
    Javascript,
}

impl Language {
    /// The template's own name, which the plugin's replaces.
    fn placeholder(self) -> &'static str {
        match self {
            Language::Rust => "template-rust",
            Language::Javascript => "template-javascript",
        }
    }

    /// The folder of the template, its files, and those of the SDK.
    fn files(self) -> (&'static str, &'static [File], &'static [File]) {
        match self {
            Language::Rust => ("plugins/templates/rust/", RUST_TEMPLATE, RUST_SDK),
            Language::Javascript => ("plugins/templates/javascript/", JAVASCRIPT_TEMPLATE, JAVASCRIPT_SDK),
        }
    }
}

/// Writes the folder below the current one and says how to go on. A folder or file of that name is left alone.
pub fn new(arguments: &NewArguments) -> anyhow::Result<ExitCode> {
    let NewArguments { name, language } = arguments;
    check(name)?;
    let folder = PathBuf::from(name);
    std::fs::create_dir(&folder).with_context(|| format!("making the folder {name}"))?;
    for (path, text) in contents(name, *language)? {
        write(&folder.join(path), &text)?;
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "made {name}: a plugin that works as it stands, and its tests")?;
    writeln!(out, "next: {name}/README.md · 说明: {name}/README.zh-CN.md")?;
    Ok(ExitCode::SUCCESS)
}

/// Paths within the new folder, and texts. The SDK and the contract keep their places to each other, below `fangshi`.
fn contents(name: &str, language: Language) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let (home, template, sdk) = language.files();
    let placeholder = language.placeholder();
    let mut contents = Vec::new();
    for file in template {
        let own = file.path.strip_prefix(home).unwrap_or(file.path);
        let named =
            file.text.replace(placeholder, name).replace(&placeholder.replace('-', "_"), &name.replace('-', "_"));
        let text = if own == "Cargo.toml" { manifest::standalone(&named)? } else { named };
        contents.push((PathBuf::from(own), text));
    }
    for file in CONTRACT.iter().chain(sdk) {
        contents.push((Path::new("fangshi").join(file.path), file.text.to_owned()));
    }
    Ok(contents)
}

fn check(name: &str) -> anyhow::Result<()> {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let right = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.ends_with(|last: char| last != '-')
        && name.chars().all(plain)
        && name.len() <= NAME_BYTES;
    if !right {
        bail!(
            "name {name:?}: expected small letters, digits and hyphens, beginning with a letter, at most {NAME_BYTES}"
        );
    }
    if matches!(name, "fangshi" | "fangshi-plugin" | "test") {
        bail!("name {name:?}: taken by what the plugin is built with; choose another");
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    std::fs::write(path, text).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_before_anything_is_made() {
        for right in ["a", "big-orders", "v2"] {
            check(right).unwrap();
        }
        for wrong in ["", "Big", "2nd", "-a", "a-", "a_b", "a/b", "../a", "大单", "fangshi", "test", &"a".repeat(65)]
        {
            let error = check(wrong).unwrap_err().to_string();
            assert!(error.starts_with("name "), "{error}");
        }
    }

    #[test]
    fn a_new_plugin_bears_its_own_name_everywhere() {
        for language in [Language::Rust, Language::Javascript] {
            let made = contents("big-orders", language).unwrap();
            for (path, text) in &made {
                assert!(!text.contains("template-") && !text.contains("template_"), "{}", path.display());
                assert!(path.is_relative() && !path.starts_with(".."), "{}", path.display());
            }
            let readme = &made.iter().find(|(path, _)| path == Path::new("README.md")).unwrap().1;
            assert!(readme.contains("big-orders.wasm"));
        }
    }
}
