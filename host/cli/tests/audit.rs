//! `fangshi audit` beside a running host and without one.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const TOKEN: &str = "operator-token-of-the-tests-0123456789";

struct Host(Child, String);

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(config: &Path) -> Host {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fangshi"))
        .args(["serve", "--config"])
        .arg(config)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().rsplit('/').next().unwrap().to_owned();
    Host(child, address)
}

fn make_token(host: &Host) {
    let body = r#"{"label":"erp"}"#;
    let mut stream = TcpStream::connect(&host.1).unwrap();
    let request = format!(
        "POST /api/v1/tokens HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

fn audit(command: &str, config: &Path, more: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_fangshi"))
        .args(["audit", command, "--config"])
        .arg(config)
        .args(more)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

#[test]
fn the_chain_is_checked_beside_a_running_host_and_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("fangshi.toml");
    std::fs::write(
        &config,
        format!("listen = \"127.0.0.1:0\"\ndata_dir = \"data\"\n[operator]\ntoken = \"{TOKEN}\"\n[reconcile]\nstate = \"off\"\n"),
    )
    .unwrap();
    assert_eq!(audit("verify", &config, &[]).0, Some(1), "there is no store yet");
    let host = start(&config);
    let (code, text) = audit("verify", &config, &[]);
    assert!(code == Some(0) && text.contains("0 entries"), "{text}");
    make_token(&host);
    make_token(&host);
    let (code, text) = audit("verify", &config, &[]);
    assert!(code == Some(0) && text.contains("2 entries") && text.contains("details of 2 entries fit"), "{text}");
    let (_, head) = audit("head", &config, &[]);
    assert!(head.starts_with("2 ") && text.contains(head.trim().split(' ').nth(1).unwrap()), "{head} {text}");
    // The head is exported at the start of a day; the first of this store had nothing to export.
    drop(host);
    let heads = folder.path().join("data/audit-heads/heads.txt");
    assert!(!heads.exists());
    let host = start(&config);
    for _ in 0..200 {
        if heads.exists() {
            break;
        }
        let _ = audit("head", &config, &[]);
    }
    drop(host);
    let exported = std::fs::read_to_string(&heads).unwrap();
    assert!(exported.trim_end().ends_with(&format!(" {}", head.trim())), "{exported}");
    let (code, text) = audit("verify", &config, &[]);
    assert!(code == Some(0) && text.contains("1 exported heads fit"), "{text}");

    // A copy that was kept elsewhere knows more than the store: its end was cut off.
    let copy = folder.path().join("copy.txt");
    std::fs::write(&copy, format!("2026-01-01 9 {}\n", "ab".repeat(32))).unwrap();
    let (code, text) = audit("verify", &config, &["--heads", copy.to_str().unwrap()]);
    assert!(code == Some(1) && text.contains("broken at entry 3") && text.contains("entry 9"), "{text}");
    // Nobody's word makes a restore of an entry that tells of none.
    let (code, text) = audit("verify", &config, &["--heads", copy.to_str().unwrap(), "--restored", "2=2026-01-01"]);
    assert!(code == Some(1) && text.contains("broken at entry 3"), "{text}");
    assert_eq!(audit("verify", &config, &["--restored", "2=yesterday"]).0, Some(2));
}
