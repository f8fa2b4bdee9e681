//! The process: how it starts, how it refuses to, and how it ends.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const TOKEN: &str = "CANARY-operator-token-0123456789-0123456789";

fn fangshi() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fangshi"));
    command.env_remove("RUST_LOG").env_remove("RUST_BACKTRACE").env_remove("FANGSHI_OPERATOR_TOKEN");
    command
}

fn config(folder: &Path, text: &str) -> std::path::PathBuf {
    let file = folder.join("fangshi.toml");
    // Nothing is asked of a platform that is not there.
    let rest = format!("data_dir = \"data\"\n[operator]\ntoken = \"{TOKEN}\"\n[reconcile]\nstate = \"off\"\n");
    std::fs::write(&file, format!("{text}\n{rest}")).unwrap();
    file
}

/// A started host; killed if a test fails before it ends it.
struct Host {
    child: Child,
    address: String,
}

impl Host {
    fn start(config: &Path) -> Host {
        let mut child = fangshi()
            .args(["serve", "--config"])
            .arg(config)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let Some(address) = line.trim().strip_prefix("fangshi listening on http://") else {
            let _ = child.kill();
            panic!("{line:?}\n{}", errors(&mut child));
        };
        Host { address: address.to_owned(), child }
    }

    fn get(&self, path: &str, token: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn post(&self, path: &str, token: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Ends it by a signal; gives the exit code and what it logged.
    fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let told = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(told.success());
        let log = errors(&mut self.child);
        (self.child.wait().unwrap().code(), log)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn errors(child: &mut Child) -> String {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

fn refused(output: &Output) -> String {
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn it_listens_answers_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let file = config(folder.path(), "listen = \"127.0.0.1:0\"");
    for signal in ["-TERM", "-INT"] {
        let host = Host::start(&file);
        assert!(host.get("/healthz", "").starts_with("HTTP/1.1 200"), "{}", host.get("/healthz", ""));
        assert!(host.get("/readyz", "").contains("engine_version"));
        assert!(host.get("/metrics", "").contains("fangshi_database_up 1"), "{}", host.get("/metrics", ""));
        assert!(host.get("/api/v1/tenants", "wrong").starts_with("HTTP/1.1 401"));
        assert!(host.get("/api/v1/tenants", TOKEN).starts_with("HTTP/1.1 200"));
        assert!(host.get("/api/v1/openapi.json", TOKEN).contains("/api/v1/tenants/{tenant}/runs/{run}"));
        assert!(host.get("/callback/weixin/wxnobody", "").starts_with("HTTP/1.1 4"));
        let (code, log) = host.end(signal);
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("stopped"), "{log}");
        assert!(!log.contains("CANARY"), "a secret in the log: {log}");
    }
    assert!(folder.path().join("fangshi.key").exists(), "the key lies beside the config file");
    assert!(folder.path().join("data/fangshi.db").exists());
}

#[test]
fn the_second_wall_stands_as_readyz_tells() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start(&config(folder.path(), "listen = \"127.0.0.1:0\""));
    let ready = host.get("/readyz", "");
    for wall in ["no_new_privileges", "core_dumps_off", "memory_closed"] {
        assert!(ready.contains(&format!("\"{wall}\":true")), "{wall}: {ready}");
    }
    // Of every thread: each has what its maker had.
    for thread in std::fs::read_dir(format!("/proc/{}/task", host.child.id())).unwrap() {
        let thread = thread.unwrap().path();
        let status = std::fs::read_to_string(thread.join("status")).unwrap();
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    }
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", host.child.id())).unwrap();
    let cores = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    assert_eq!(cores.split_whitespace().take(2).collect::<Vec<_>>(), ["0", "0"]);
}

#[test]
fn the_second_wall_is_up_before_a_plugin_runs_and_a_callback_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (code, log) = Host::start(&config(folder.path(), "listen = \"127.0.0.1:0\"")).end("-TERM");
    assert_eq!(code, Some(0), "{log}");
    let steps = ["plugins are compiled in processes", "second wall", "runs that were cut off go on", "listening"];
    let at: Vec<_> =
        steps.iter().map(|step| log.find(step).unwrap_or_else(|| panic!("no {step:?} in {log}"))).collect();
    assert!(at.is_sorted(), "{at:?}: {log}");
}

#[test]
fn logs_can_be_json() {
    let folder = tempfile::tempdir().unwrap();
    let file = config(folder.path(), "listen = \"127.0.0.1:0\"\nlog.format = \"json\"");
    let (code, log) = Host::start(&file).end("-TERM");
    assert_eq!(code, Some(0));
    assert!(log.lines().count() > 1, "{log}");
    for line in log.lines() {
        assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
    }
}

#[test]
fn a_wrong_config_ends_with_two() {
    let folder = tempfile::tempdir().unwrap();
    let file = config(folder.path(), "listen = 8080\nlisten_on = \"x\"");
    for command in [&["serve", "--config"][..], &["config", "check", "--config"]] {
        let output = fangshi().args(command).arg(&file).output().unwrap();
        let text = refused(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("fangshi.toml:1: listen: expected an address and a port"), "{text}");
        assert!(text.contains("fangshi.toml:2: listen_on: unknown key"), "{text}");
        assert!(!text.contains("CANARY"), "{text}");
    }
    let output = fangshi().args(["serve", "--config", "no/such.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(refused(&output).contains("no/such.toml"));
}

#[test]
fn a_right_config_is_shown_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = config(folder.path(), "");
    let output = fangshi().args(["config", "check", "--config"]).arg(&file).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("fangshi.toml: right") && text.contains("fangshi.key"), "{text}");
    assert!(!text.contains("CANARY"), "{text}");
    assert!(!folder.path().join("data").exists(), "nothing was started");
    let keys = fangshi().args(["config", "keys"]).output().unwrap();
    let keys = String::from_utf8(keys.stdout).unwrap();
    assert!(keys.contains("weixin.encoding_aes_key") && keys.contains("FANGSHI_WEIXIN_TOKEN"), "{keys}");
}

#[test]
fn a_bad_key_in_the_environment_is_found_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = config(folder.path(), "");
    for command in [&["serve", "--config"][..], &["config", "check", "--config"]] {
        let output = fangshi().args(command).arg(&file).env("FANGSHI_CUSTODY_KEY", "CANARY-key").output().unwrap();
        let text = refused(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("FANGSHI_CUSTODY_KEY: expected 64 hex digits"), "{text}");
        assert!(!text.contains("CANARY"), "{text}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = fangshi().args(["config", "keys"]).stdout(writer).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_locked_folder_a_taken_port_and_a_wrong_key_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = config(folder.path(), "listen = \"127.0.0.1:0\"");
    let host = Host::start(&file);
    let second = fangshi().args(["serve", "--config"]).arg(&file).output().unwrap();
    let text = refused(&second);
    assert_eq!(second.status.code(), Some(1), "{text}");
    assert!(text.contains("is in use by") && text.contains("another data_dir"), "{text}");
    assert!(text.contains("RUST_BACKTRACE=1"), "{text}");

    let elsewhere = tempfile::tempdir().unwrap();
    let taken = config(elsewhere.path(), &format!("listen = \"{}\"", host.address));
    let third = fangshi().args(["serve", "--config"]).arg(&taken).output().unwrap();
    assert_eq!(third.status.code(), Some(1));
    assert!(refused(&third).contains("config key `listen`"), "{}", refused(&third));
    assert_eq!(host.end("-TERM").0, Some(0));

    let key = folder.path().join("fangshi.key");
    let right = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let without = fangshi().args(["serve", "--config"]).arg(&file).output().unwrap();
    let text = refused(&without);
    assert_eq!(without.status.code(), Some(1), "{text}");
    assert!(text.contains("the store is sealed under the key k-") && text.contains("key_file"), "{text}");
    assert!(!key.exists(), "no new key for a sealed store");

    std::fs::write(&key, "00".repeat(32)).unwrap();
    let wrong = fangshi().args(["serve", "--config"]).arg(&file).output().unwrap();
    let text = refused(&wrong);
    assert_eq!(wrong.status.code(), Some(1), "{text}");
    assert!(text.contains("the store is sealed under the key k-") && text.contains("the key given is k-"), "{text}");

    std::fs::write(&key, right).unwrap();
    assert_eq!(Host::start(&file).end("-TERM").0, Some(0), "the right key opens it again");
}

#[test]
fn keys_are_rotated_and_a_tenant_exported_while_the_host_is_down() {
    let folder = tempfile::tempdir().unwrap();
    let file = config(folder.path(), "listen = \"127.0.0.1:0\"");
    let (old, new) = (folder.path().join("fangshi.key"), folder.path().join("keys/new.key"));
    let rotate = || fangshi().args(["keys", "rotate", "--config"]).arg(&file).arg("--to").arg(&new).output().unwrap();
    let export = |tenant: &str, to: &str| {
        let mut command = fangshi();
        command.args(["tenant", "export", "--tenant", tenant, "--config"]).arg(&file);
        command.arg("--to").arg(folder.path().join(to)).output().unwrap()
    };
    let host = Host::start(&file);
    let body =
        r#"{"kind":"self-built","appid":"wxa","user_name":"gh_1","name":"shop","appsecret":"CANARY-secret","token":"CANARYtoken","encoding_aes_key":"AES"}"#.replace("AES", &"a".repeat(43));
    let made = host.post("/api/v1/tenants", TOKEN, &body);
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    for output in [rotate(), export("t1", "t1.ndjson")] {
        let text = refused(&output);
        assert!(output.status.code() == Some(1) && text.contains("is in use by"), "{text}");
    }
    assert!(!new.exists() && !folder.path().join("t1.ndjson").exists(), "refused before anything was made");
    assert_eq!(host.end("-TERM").0, Some(0));

    let output = export("t1", "t1.ndjson");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(folder.path().join("t1.ndjson")).unwrap();
    assert!(text.lines().next().unwrap().contains("\"wxa\"") && text.ends_with("\"lines\":1}\n"), "{text}");
    assert!(!text.contains("CANARY"), "{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(folder.path().join("t1.ndjson")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert!(refused(&export("t1", "t1.ndjson")).contains("does not exist"), "nothing is written over");
    assert!(refused(&export("t7", "t7.ndjson")).contains("there is no tenant t7"));

    let before = std::fs::read_to_string(&old).unwrap();
    let output = rotate();
    let told = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let id = |text: &str| {
        text.split_whitespace().find(|word| word.starts_with("k-")).unwrap().trim_matches([':', ';', ',']).to_owned()
    };
    assert!(told.contains("2 data keys") && told.contains(&id(&before)), "the old key is named: {told}");
    let after = fangshi().args(["serve", "--config"]).arg(&file).output().unwrap();
    assert!(refused(&after).contains(&id(&std::fs::read_to_string(&new).unwrap())), "the old key no longer opens it");
    std::fs::rename(&new, &old).unwrap();
    assert_eq!(Host::start(&file).end("-TERM").0, Some(0));
}

#[test]
fn system_calls_that_nobody_makes_are_closed_unless_the_config_says_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let closed = Host::start(&config(folder.path(), "listen = \"127.0.0.1:0\""));
    let ready = closed.get("/readyz", TOKEN);
    let status = std::fs::read_to_string(format!("/proc/{}/status", closed.child.id())).unwrap();
    // A kernel that filters has said so of every process.
    let filters = status.lines().find_map(|line| line.strip_prefix("Seccomp_filters:"));
    if filters.is_some_and(|filters| filters.trim() != "0") {
        assert!(ready.contains("\"seccomp\":true"), "{ready}");
    }
    if ready.contains("\"seccomp\":true") {
        assert!(status.lines().any(|line| line.split_whitespace().eq(["Seccomp:", "2"])), "{status}");
    }
    assert!(closed.end("-TERM").0 == Some(0), "it works and ends as ever");
    let folder = tempfile::tempdir().unwrap();
    let file = config(folder.path(), "listen = \"127.0.0.1:0\"");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}[walls]\nseccomp = \"off\"\n")).unwrap();
    let open = Host::start(&file);
    assert!(open.get("/readyz", TOKEN).contains("\"seccomp\":false"));
    assert_eq!(open.end("-TERM").0, Some(0));
}

#[test]
fn landlock_is_up_as_far_as_the_kernel_can_unless_the_config_says_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let file = config(folder.path(), "listen = \"127.0.0.1:0\"");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}[walls]\nlandlock = \"off\"\n")).unwrap();
    let open = Host::start(&file);
    let ready = open.get("/readyz", TOKEN);
    assert!(ready.contains("\"landlock_files\":false,\"landlock_ports\":false"), "{ready}");
    assert!(ready.contains("\"no_new_privileges\":true"), "{ready}");
    assert_eq!(open.end("-TERM").0, Some(0));
}
