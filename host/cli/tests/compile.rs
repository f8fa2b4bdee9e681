//! The compiler's own process: it keeps to its limits, says which one it met, and the host goes on without it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../../console/tests/support/guest.rs"]
mod guest;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};

const TOKEN: &str = "operator-token-of-the-tests-0123456789";
/// Enough for small components.
const LITTLE_MEMORY: u64 = 80 << 20;

/// The child as the host starts it.
fn child(seconds: u64, memory: u64) -> Child {
    Command::new(env!("CARGO_BIN_EXE_fangshi"))
        .args(["compile", &format!("--seconds={seconds}"), &format!("--memory-bytes={memory}"), "--seccomp"])
        .env_clear()
        .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
        .env("RAYON_NUM_THREADS", "4")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn compile(wasm: Vec<u8>, seconds: u64, memory: u64) -> Output {
    let mut child = child(seconds, memory);
    let mut stdin = child.stdin.take().unwrap();
    let giving = std::thread::spawn(move || drop(stdin.write_all(&wasm)));
    let output = child.wait_with_output().unwrap();
    giving.join().unwrap();
    output
}

#[test]
fn code_comes_back_with_its_mark() {
    let output = compile(guest::quiet(), 600, 1 << 30);
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.starts_with(b"FANGSHIC") && output.stdout.len() > 1_000);
    let refused = compile(b"\0asm rubbish".to_vec(), 600, 1 << 30);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    assert!(!refused.stderr.is_empty() && refused.stdout.is_empty());
}

#[test]
fn limits_are_lowered_before_the_component_is_read() {
    let mut child = child(77, 1 << 30);
    // It waits for the component, which does not come: its limits show when it has come so far.
    let limits = loop {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        if limits.lines().any(|line| line.starts_with("Max open files") && line.split_whitespace().nth(3) == Some("0"))
        {
            break limits;
        }
        assert_eq!(child.try_wait().unwrap(), None, "it ended before: {limits}");
        std::thread::yield_now();
    };
    let both = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(both("Max open files"), ["0", "0"], "no file, no socket");
    assert_eq!(both("Max core file size"), ["0", "0"]);
    assert_eq!(both("Max file size"), ["0", "0"]);
    assert_eq!(both("Max data size"), ["1073741824", "1073741824"]);
    assert_eq!(both("Max cpu time"), ["77", "78"]);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn memory_and_time_end_it() {
    let large = compile(guest::heavy(60), 600, LITTLE_MEMORY);
    let words = String::from_utf8_lossy(&large.stderr);
    assert_eq!(large.status.signal(), Some(6), "{} {words}", large.status);
    assert!(words.contains("memory allocation of") && large.stdout.is_empty(), "{words}");
    let slow = compile(guest::heavy(120), 1, 4 << 30);
    assert_eq!(slow.status.signal(), Some(24), "{} {}", slow.status, String::from_utf8_lossy(&slow.stderr));
}

/// Sends a request with a body to the host.
fn post(address: &str, path: &str, kind: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: {kind}\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A started host with one tenant, t1.
struct Host {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Host {
    fn with(uploads: &str) -> Host {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fangshi.toml");
        let text = format!(
            "listen = \"127.0.0.1:0\"\ndata_dir = \"data\"\n[operator]\ntoken = \"{TOKEN}\"\n[reconcile]\nstate = \"off\"\n\
             [uploads]\n{uploads}\n"
        );
        std::fs::write(&file, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_fangshi"))
            .args(["serve", "--config"])
            .arg(&file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("fangshi listening on http://").unwrap().to_owned();
        let host = Host { child, address, _folder: folder };
        let shop = format!(
            r#"{{"kind":"self-built","appid":"wxa","user_name":"gh_1","name":"shop","appsecret":"s","token":"token","encoding_aes_key":"{}"}}"#,
            "a".repeat(43)
        );
        let made = post(&host.address, "/api/v1/tenants", "application/json", shop.as_bytes());
        assert!(made.starts_with("HTTP/1.1 201"), "{made}");
        host
    }

    fn upload(&self, wasm: &[u8]) -> String {
        post(&self.address, "/api/v1/tenants/t1/plugins?name=it", "application/wasm", wasm)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_uploader_hears_which_limit_it_was_and_the_host_goes_on() {
    let host = Host::with(&format!("compile_memory_bytes = {LITTLE_MEMORY}"));
    let large = host.upload(&guest::heavy(60));
    assert!(large.starts_with("HTTP/1.1 422") && large.contains("compile-too-large"), "{large}");
    assert!(large.contains(&format!("compile_memory_bytes allows: {LITTLE_MEMORY} bytes")), "{large}");
    let small = host.upload(&guest::quiet());
    assert!(small.starts_with("HTTP/1.1 201"), "{small}");
}

#[test]
fn unsigned_uploads_are_refused_where_signatures_are_required() {
    let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    let host = Host::with(&format!("signatures = \"required\"\ntrusted_keys = [\"{key}\"]"));
    let unsigned = host.upload(&guest::quiet());
    assert!(unsigned.starts_with("HTTP/1.1 422") && unsigned.contains("signature-missing"), "{unsigned}");
}
