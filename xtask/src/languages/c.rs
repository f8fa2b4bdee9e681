//! C: clang with WASI's library, and bindings of the contract by wit-bindgen in the version of the Rust SDK.
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use wit_bindgen_core::{Files, wit_parser::Resolve};

use super::Workplace;
use crate::{
    guests::{
        Guest,
        component::{self, Imports},
        digest,
    },
    packages,
    steps::run,
};

/// For WASI, whose library lies where Debian puts it; no `main`; little stack, as other plugins have it.
const FLAGS: [&str; 7] = [
    "--target=wasm32-wasi",
    "--sysroot=/usr",
    "-mexec-model=reactor",
    "-Oz",
    "-Wall",
    "-Werror",
    "-Wl,-z,stack-size=65536,--strip-all",
];

pub fn build(folder: &Path) -> Result<Guest> {
    let clang = compiler()?;
    let work = Workplace::lay("c")?;
    let source = digest([work.digest.as_bytes(), clang.as_bytes(), component::RECIPE.as_bytes()]);
    Guest::current(folder, "c", &source, |path| {
        bindings(&work.folder)?;
        let mut command = Command::new("clang");
        command.args(FLAGS).args(["guest.c", "plugin.c", "plugin_component_type.o", "-o", "guest.wasm"]);
        run("module of C", command.current_dir(&work.folder))?;
        component::write(&fs::read(work.folder.join("guest.wasm"))?, Imports::ContractAndWasi, path)
    })
}

/// `plugin.h`, `plugin.c`, and the object that carries the component's type.
fn bindings(work: &Path) -> Result<()> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(work.join("wit"))?;
    let world = resolve.select_world(&[package], Some("plugin"))?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files)?;
    for (name, contents) in files.iter() {
        fs::write(work.join(name), contents).with_context(|| name.to_owned())?;
    }
    Ok(())
}

/// The compiler with its linker, its own library and C's, installed where one of them is missing. Its version.
fn compiler() -> Result<String> {
    if !works() {
        let names = ["clang", "lld", "libclang-rt-dev-wasm32", "wasi-libc"];
        packages::install("the C compiler for WebAssembly", &names, MISSING)?;
        anyhow::ensure!(works(), "{MISSING}");
    }
    let version = Command::new("clang").arg("--version").output()?;
    Ok(String::from_utf8_lossy(&version.stdout).into_owned())
}

const MISSING: &str = "plugins in C need clang with lld, and WASI's library below /usr: install `clang lld \
                       libclang-rt-dev-wasm32 wasi-libc`, or run this once as root on Debian";

/// Whether it compiles and links a program that needs all parts.
fn works() -> bool {
    let mut command = Command::new("clang");
    command.args(FLAGS).args(["-o", "/dev/null", "-x", "c", "-"]).stdin(Stdio::piped()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return false };
    let written = child.stdin.take().is_some_and(|mut stdin| {
        let program = "#include <stdio.h>\nlong double half(long double of) { puts(\"half\"); return of / 2; }\n";
        std::io::Write::write_all(&mut stdin, program.as_bytes()).is_ok()
    });
    child.wait().is_ok_and(|status| status.success()) && written
}
