//! What a component says about itself by its type, and what keeps one out.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::contract::Contract;

/// Problems that a refusal tells one by one.
const TOLD: usize = 50;
/// Characters of one of them.
const LONGEST: usize = 500;

/// What an upload subscribes to and asks for; read from its type, never from a separate file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Hooks exported, in the contract's order: `on-pay`.
    pub hooks: Vec<String>,
    /// Interfaces imported that need consent, by name. `orders` is none of them: it has no data of its own.
    pub grants: Vec<GrantAsked>,
    /// Top-level exports beside the hooks: at most the one `init` of a JavaScript plugin, which is never called.
    pub extra_exports: Vec<String>,
    /// Size of the component, bytes.
    pub size: u64,
}

/// One consent that a plugin asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantAsked {
    /// The interface's name: `notes`.
    pub name: String,
    /// The functions imported of it. JavaScript plugins import all of an interface they use.
    pub functions: Vec<String>,
}

impl Manifest {
    /// Names of the grants asked for.
    pub fn grant_names(&self) -> BTreeSet<String> {
        self.grants.iter().map(|grant| grant.name.clone()).collect()
    }

    /// Whether the host must read the order before it calls a hook: a group of order data is imported.
    pub fn reads_order(&self) -> bool {
        self.grants.iter().any(|grant| Contract::get().is_ok_and(|it| it.is_order_data(&grant.name)))
    }
}

/// Why an upload was refused: everything that is wrong with it, not the first thing alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// All problems found, at least one.
    pub problems: Vec<Problem>,
}

/// One reason against an upload. `Display` is a sentence for the uploader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Problem {
    /// Larger than the host accepts.
    TooLarge {
        /// Bytes of the upload.
        size: u64,
        /// Bytes allowed.
        allowed: u64,
    },
    /// Not WebAssembly at all.
    NotWasm,
    /// A core module instead of a component.
    CoreModule,
    /// A WIT package in binary form: a contract, no program.
    WitPackage,
    /// Cut off, damaged, or using a feature that is switched off (threads, memory64, gc, async types …).
    Invalid {
        /// The validator's words.
        cause: String,
    },
    /// An import that is no part of the contract.
    UnknownImport {
        /// Its full name.
        name: String,
        /// What to do about it.
        hint: String,
    },
    /// An export that is no hook.
    UnknownExport {
        /// Its full name.
        name: String,
    },
    /// An interface of the contract in a version that this host does not have.
    OtherVersion {
        /// The name as imported or exported.
        name: String,
        /// The name this host has.
        offered: String,
    },
    /// A function that the interface does not have.
    UnknownFunction {
        /// The interface's full name.
        interface: String,
        /// The function.
        function: String,
    },
    /// An interface whose types are not those of the contract.
    OtherTypes {
        /// What differs, mostly in the validator's words.
        cause: String,
    },
    /// An `async` function, stream or future.
    Async {
        /// Where.
        name: String,
    },
    /// No hook is exported: nothing would ever call it.
    NoHook,
}

impl Problem {
    /// A short stable code, for the admin API.
    pub fn code(&self) -> &'static str {
        match self {
            Problem::TooLarge { .. } => "component-too-large",
            Problem::NotWasm => "not-wasm",
            Problem::CoreModule => "core-module",
            Problem::WitPackage => "wit-package",
            Problem::Invalid { .. } => "component-invalid",
            Problem::UnknownImport { .. } => "unknown-import",
            Problem::UnknownExport { .. } => "unknown-export",
            Problem::OtherVersion { .. } => "other-version",
            Problem::UnknownFunction { .. } => "unknown-function",
            Problem::OtherTypes { .. } => "other-types",
            Problem::Async { .. } => "async-not-supported",
            Problem::NoHook => "no-hook",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::TooLarge { size, allowed } => write!(f, "the component has {size} bytes; {allowed} are allowed"),
            Problem::NotWasm => write!(f, "this is no WebAssembly component (its first bytes are not those of one)"),
            Problem::CoreModule => {
                write!(
                    f,
                    "this is a core module, not a component: build it with `cargo xtask guests` or `wasm-tools component new`"
                )
            }
            Problem::WitPackage => write!(f, "this is a WIT package in binary form, not a program"),
            Problem::Invalid { cause } => write!(f, "the component is not valid here: {cause}"),
            Problem::UnknownImport { name, hint } => write!(f, "import `{name}` is not part of the contract: {hint}"),
            Problem::UnknownExport { name } => write!(f, "export `{name}` is no hook of the contract"),
            Problem::OtherVersion { name, offered } => write!(f, "`{name}`: this host has `{offered}`"),
            Problem::UnknownFunction { interface, function } => {
                write!(f, "`{interface}` has no function `{function}`")
            }
            Problem::OtherTypes { cause } => write!(f, "types differ from the contract: {cause}"),
            Problem::Async { name } => write!(f, "`{name}` is async: only synchronous functions are supported"),
            Problem::NoHook => write!(f, "no hook is exported, so no event would ever call it"),
        }
    }
}

/// A line each, as far as anybody reads: a small component can have a hundred thousand wrong names, each of many bytes.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(TOLD).enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&problem.to_string().chars().take(LONGEST).collect::<String>())?;
        }
        match self.problems.len().saturating_sub(TOLD) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_as_long_as_somebody_reads() {
        let problem = |name: String| Problem::UnknownExport { name };
        let two = Refusal { problems: vec![problem("a".into()), problem("b".into())] };
        assert_eq!(two.to_string().lines().count(), 2, "{two}");
        let many = Refusal { problems: (0..100_000).map(|_| problem("x".repeat(1_000))).collect() };
        let text = many.to_string();
        assert!(text.ends_with("\nand 99950 more") && text.len() < 30_000, "{}", text.len());
    }
}
