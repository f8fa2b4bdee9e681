//! The host's side: starts a child, gives it the component, and says how it ended.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use fangshi_runtime::{CompileError, Compiler};
use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::child::{NO_MEMORY, REFUSED};
use super::frame;

/// A component that has nothing in it: compiled at the start, to see whether a child can be.
const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

/// What one compilation may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Seconds, of processor time and of waiting.
    pub seconds: u64,
    /// Memory, bytes.
    pub memory_bytes: u64,
    /// Machine code, bytes.
    pub code_bytes: u64,
}

/// Threads that compile one component.
const THREADS: &str = "4";

/// The most of a child's words that is read.
const WORDS: u64 = 4 << 10;

/// Compiles each component in a child of its own.
pub struct ChildCompiler {
    program: PathBuf,
    arguments: Vec<OsString>,
    limits: CompileLimits,
}

impl ChildCompiler {
    /// Children of this very program, whatever lies under its name by then: an upgrade replaces the file.
    /// `seccomp`: they close the system calls that they never make.
    pub fn new(limits: CompileLimits, seccomp: bool) -> io::Result<ChildCompiler> {
        let this = Path::new("/proc/self/exe");
        let program = if this.exists() { this.to_owned() } else { std::env::current_exe()? };
        let mut arguments = vec![
            "compile".to_owned(),
            format!("--seconds={}", limits.seconds),
            format!("--memory-bytes={}", limits.memory_bytes),
        ];
        if seccomp {
            arguments.push("--seccomp".to_owned());
        }
        Ok(ChildCompiler { program, arguments: arguments.into_iter().map(OsString::from).collect(), limits })
    }

    /// Whether a child can be started and keeps to its limits.
    ///
    /// # Errors
    /// What [`Compiler::compile`] says of a component with nothing in it.
    pub async fn try_out(&self) -> Result<(), CompileError> {
        self.compile(EMPTY.to_vec()).await.map(drop)
    }

    fn start(&self) -> io::Result<Child> {
        Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            // The allocator would else take a gigabyte at once, before the limit is there to count it.
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            // Runs go on meanwhile; and each thread takes some of the memory.
            .env("RAYON_NUM_THREADS", THREADS)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A signal to the host's terminal is not for the child.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }

    /// What a child that ended by itself has to say.
    fn verdict(&self, ended: ExitStatus, framed: Vec<u8>, words: &str) -> Result<Vec<u8>, CompileError> {
        if ended.success() {
            let code = frame::open(framed);
            return code.ok_or_else(|| CompileError::Failed("what it gave is no compiled code".into()));
        }
        if ended.code() == Some(i32::from(REFUSED)) {
            return Err(CompileError::Refused(words.to_owned()));
        }
        let by = |signal: Signal| ended.signal() == Some(signal.as_raw());
        if by(Signal::XCPU) {
            return Err(CompileError::TooSlow { allowed: self.limits.seconds });
        }
        let aborted = by(Signal::ABORT) && words.contains("memory allocation of");
        if aborted || ended.code() == Some(i32::from(NO_MEMORY)) {
            return Err(CompileError::TooLarge { limit: "compile_memory_bytes", allowed: self.limits.memory_bytes });
        }
        tracing::warn!(%ended, words, "the compiler failed");
        Err(CompileError::Failed(ended.to_string()))
    }
}

#[async_trait]
impl Compiler for ChildCompiler {
    async fn compile(&self, wasm: Vec<u8>) -> Result<Vec<u8>, CompileError> {
        let unavailable = |error: io::Error| CompileError::Unavailable(error.to_string());
        let mut child = self.start().map_err(unavailable)?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(CompileError::Unavailable("it has no pipes".into()));
        };
        let most = self.limits.code_bytes.saturating_add(frame::HEAD as u64);
        let talk = async {
            let give = async move {
                // A child that ended early says why by how it ended.
                let _ = stdin.write_all(&wasm).await;
            };
            let ((), framed, words) = tokio::join!(give, read(stdout, most + 1), read(stderr, WORDS));
            if framed.len() as u64 > most {
                let allowed = self.limits.code_bytes;
                return Err(CompileError::TooLarge { limit: "compiled_bytes", allowed });
            }
            Ok((child.wait().await.map_err(unavailable)?, framed, words))
        };
        // Whatever is left of it then, or when nobody waits any more, is killed with `child`.
        let talked = tokio::time::timeout(Duration::from_secs(self.limits.seconds), talk).await;
        let (ended, framed, words) = talked.unwrap_or(Err(CompileError::TooSlow { allowed: self.limits.seconds }))?;
        self.verdict(ended, framed, String::from_utf8_lossy(&words).trim())
    }
}

/// Up to so many bytes. What can't be read is missing, which shows.
async fn read(from: impl AsyncRead + Unpin, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = from.take(most).read_to_end(&mut bytes).await;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: CompileLimits = CompileLimits { seconds: 600, memory_bytes: 1 << 30, code_bytes: 1_000 };

    /// A child that does as the script says.
    fn script(text: &str, limits: CompileLimits) -> ChildCompiler {
        let arguments = ["-c", text].map(OsString::from).to_vec();
        ChildCompiler { program: "/bin/sh".into(), arguments, limits }
    }

    async fn end_of(text: &str) -> CompileError {
        script(text, LIMITS).compile(vec![0; 1 << 20]).await.unwrap_err()
    }

    #[tokio::test]
    async fn what_a_child_gives_is_code_or_nothing() {
        for garbage in ["", "echo rubbish", "cat", "printf FANGSHIC; head -c 40 /dev/zero"] {
            let small = script(garbage, LIMITS).compile(b"\0asm".to_vec()).await.unwrap_err();
            assert_eq!(small, CompileError::Failed("what it gave is no compiled code".into()), "{garbage}");
        }
        let too_much = CompileError::TooLarge { limit: "compiled_bytes", allowed: 1_000 };
        assert_eq!(end_of("exec cat /dev/zero").await, too_much);
    }

    #[tokio::test]
    async fn the_way_a_child_ends_says_what_it_met() {
        assert_eq!(end_of("printf 'no such type' >&2; exit 3").await, CompileError::Refused("no such type".into()));
        assert_eq!(end_of("kill -XCPU $$").await, CompileError::TooSlow { allowed: 600 });
        let memory = CompileError::TooLarge { limit: "compile_memory_bytes", allowed: 1 << 30 };
        assert_eq!(end_of("exit 4").await, memory);
        assert_eq!(end_of("echo 'memory allocation of 9 bytes failed' >&2; kill -ABRT $$").await, memory);
        for failing in ["kill -ABRT $$", "kill -KILL $$", "kill -SEGV $$", "exit 101"] {
            assert!(matches!(end_of(failing).await, CompileError::Failed(_)), "{failing}");
        }
    }

    #[tokio::test]
    async fn a_child_that_never_ends_is_killed_at_its_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("pid");
        let text = format!("echo $$ > {}; exec sleep 100000", note.display());
        // The deadline is over before anything else can be: only the child's end is looked at.
        let late = script(&text, CompileLimits { seconds: 1, ..LIMITS });
        assert_eq!(late.compile(vec![]).await, Err(CompileError::TooSlow { allowed: 1 }));
        // A process that is slow to start may not have come as far as its note: it is killed all the same.
        if let Ok(pid) = std::fs::read_to_string(&note)
            && let Ok(pid) = pid.trim().parse::<u32>()
        {
            let sleeps = || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|it| !it.contains(") Z "));
            while sleeps() {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn a_child_sees_no_environment_and_no_folder_of_the_host() {
        let seen = end_of("env >&2; pwd >&2; exit 3").await;
        let CompileError::Refused(seen) = seen else { panic!("{seen}") };
        let lines: Vec<&str> =
            seen.lines().filter(|line| !line.starts_with("PWD=") && !line.starts_with("_=")).collect();
        assert!(
            lines.iter().all(|line| *line == "/"
                || line.starts_with("MIMALLOC_")
                || line.starts_with("RAYON_")
                || *line == "OLDPWD="),
            "{seen}"
        );
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_the_operators_matter() {
        let nowhere = ChildCompiler { program: "/nowhere/fangshi".into(), arguments: vec![], limits: LIMITS };
        assert!(matches!(nowhere.compile(vec![]).await, Err(CompileError::Unavailable(_))));
    }
}
