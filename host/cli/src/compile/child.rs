//! The child: makes the engine, lowers its own limits for good, and only then looks at what a merchant sent.

use std::io::{ErrorKind, Read, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use fangshi_runtime::{CompileError, InProcess, RuntimeConfig};
use rustix::process::{Resource, Rlimit, setpriority_process, setrlimit};

use super::frame;
use crate::system_calls;

/// How a child ends whose component the engine refuses: the reason is on standard error.
pub const REFUSED: u8 = 3;

/// How a child ends whose memory is used up, where it can still say so.
pub const NO_MEMORY: u8 = 4;

/// Runs may go on meanwhile: compiling takes what they leave.
const NICE: i32 = 10;

#[derive(Args)]
pub struct CompileArguments {
    /// Processor time, seconds.
    #[arg(long, value_name = "N")]
    seconds: u64,
    /// Memory, bytes.
    #[arg(long, value_name = "N")]
    memory_bytes: u64,
    /// Close the system calls that it never makes, where the kernel can.
    #[arg(long)]
    seccomp: bool,
}

/// Compiles the component on standard input; the framed code goes to standard output.
pub fn run(arguments: &CompileArguments) -> anyhow::Result<ExitCode> {
    // One place: the code does not depend on how many runs the host has.
    let compiler = InProcess::new(&RuntimeConfig { max_concurrent_runs: 1, ..RuntimeConfig::default() })?;
    give_up(arguments).context("lowering the compiler's limits")?;
    let mut wasm = Vec::new();
    match std::io::stdin().lock().read_to_end(&mut wasm) {
        Err(error) if error.kind() == ErrorKind::OutOfMemory => return Ok(ExitCode::from(NO_MEMORY)),
        read => read?,
    };
    match compiler.code_of(&wasm) {
        Ok(code) => {
            let mut out = std::io::stdout().lock();
            out.write_all(&frame::head(&code))?;
            out.write_all(&code)?;
            out.flush()?;
            Ok(ExitCode::SUCCESS)
        }
        Err(CompileError::Refused(why)) => {
            std::io::stderr().lock().write_all(why.as_bytes())?;
            Ok(ExitCode::from(REFUSED))
        }
        Err(CompileError::NoMemory) => Ok(ExitCode::from(NO_MEMORY)),
        Err(other) => Err(other.into()),
    }
}

/// Neither this process nor anything it becomes gets these back.
fn give_up(arguments: &CompileArguments) -> std::io::Result<()> {
    if arguments.seccomp {
        system_calls::close();
    }
    let lower = |what, to: u64| setrlimit(what, Rlimit { current: Some(to), maximum: Some(to) });
    // Memory that can be written. Address space is another matter: the engine's pool reserves more than any machine has.
    lower(Resource::Data, arguments.memory_bytes)?;
    let past = arguments.seconds.saturating_add(1);
    setrlimit(Resource::Cpu, Rlimit { current: Some(arguments.seconds), maximum: Some(past) })?;
    lower(Resource::Fsize, 0)?;
    lower(Resource::Core, 0)?;
    // Not one more descriptor: no file can be opened, and no socket made.
    lower(Resource::Nofile, 0)?;
    // It may be lower already, which is right too.
    let _ = setpriority_process(None, NICE);
    Ok(())
}
