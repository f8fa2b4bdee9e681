//! The invariants that ARCHITECTURE.md marks as checked.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Rooms of the host: folder and crate.
const ROOMS: &[(&str, &str)] = &[
    ("host/database", "fangshi-database"),
    ("tenants", "fangshi-tenants"),
    ("host/journal", "fangshi-journal"),
    ("host/callback", "fangshi-callback"),
    ("host/runtime", "fangshi-runtime"),
    ("host/operations", "fangshi-operations"),
    ("host/lanes", "fangshi-lanes"),
    ("host/reconcile", "fangshi-reconcile"),
    ("host/console", "fangshi-console"),
    ("host/cli", "fangshi"),
];

fn manifest(folder: &str) -> toml::Table {
    fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap().parse().unwrap()
}

fn dependencies(folder: &str) -> Vec<String> {
    manifest(folder)["dependencies"].as_table().unwrap().keys().cloned().collect()
}

/// Rust files below a folder, without tests kept in files or folders of their own.
fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder).join("src")];
    while let Some(place) = open.pop() {
        for entry in fs::read_dir(place).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// A file's code up to its test module.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]\nmod ").next().unwrap().to_owned()
}

fn is_test_file(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
}

#[test]
fn rooms_depend_only_downwards() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("host/database", &[][..]),
        ("tenants", &["fangshi-database"][..]),
        ("host/journal", &["fangshi-database", "fangshi-tenants"]),
        ("host/callback", &["fangshi-tenants", "fangshi-journal"]),
        ("host/runtime", &[]),
        ("host/operations", &["fangshi-tenants"]),
        ("host/lanes", &["fangshi-journal", "fangshi-tenants", "fangshi-runtime", "fangshi-operations"]),
        ("host/reconcile", &["fangshi-journal", "fangshi-tenants", "fangshi-operations"]),
    ]);
    for (folder, allowed) in allowed {
        for name in dependencies(folder).iter().filter(|name| name.starts_with("fangshi")) {
            assert!(allowed.contains(&name.as_str()), "{folder} must not depend on {name}");
        }
    }
}

#[test]
fn one_room_knows_wasmtime_and_one_speaks_http() {
    for (folder, name) in ROOMS {
        let dependencies = dependencies(folder);
        if *name != "fangshi-runtime" {
            assert!(!dependencies.iter().any(|d| d == "wasmtime"), "{folder} must not know wasmtime");
        }
        if *name != "fangshi-operations" {
            assert!(!dependencies.iter().any(|d| d == "reqwest"), "{folder} must not have an HTTP client");
        }
    }
}

#[test]
fn sql_is_written_in_three_rooms_alone() {
    for (folder, name) in ROOMS {
        if matches!(*name, "fangshi-database" | "fangshi-tenants" | "fangshi-journal") {
            continue;
        }
        assert!(!dependencies(folder).iter().any(|d| d == "sqlx"), "{folder} must not depend on sqlx");
        for path in sources(folder) {
            let code = code(&path);
            for word in ["SELECT ", "INSERT INTO", "DELETE FROM"] {
                assert!(!code.contains(word), "{} holds SQL ({word})", path.display());
            }
        }
    }
}

#[test]
fn the_fake_platform_shares_no_code_with_the_host() {
    for name in dependencies("tests/platform") {
        assert!(!name.starts_with("fangshi"), "tests/platform must not depend on {name}");
    }
}

#[test]
fn tokens_are_read_by_operations_alone() {
    for (folder, name) in ROOMS {
        if matches!(*name, "fangshi-operations" | "fangshi-tenants") {
            continue;
        }
        for path in sources(folder) {
            assert!(!code(&path).contains("AccessToken"), "{} handles a token", path.display());
        }
    }
}

#[test]
fn files_stay_readable() {
    for (folder, _) in ROOMS {
        for path in sources(folder).into_iter().filter(|path| !is_test_file(path)) {
            let lines = code(&path).lines().count();
            assert!(lines <= 600, "{} has {lines} lines", path.display());
        }
    }
}
