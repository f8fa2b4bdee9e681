//! A tenant that was deleted after a backup stays deleted when the backup is put back.
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

impl Host {
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

    /// Asks the admin API; gives the status line and the rest.
    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.1).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

fn fangshi(config: &Path, arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_fangshi")).args(arguments).arg("--config").arg(config).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn a_restore_deletes_again_who_was_deleted_since_the_backup() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("fangshi.toml");
    std::fs::write(
        &config,
        format!("listen = \"127.0.0.1:0\"\ndata_dir = \"data\"\n[operator]\ntoken = \"{TOKEN}\"\n[reconcile]\nstate = \"off\"\n"),
    )
    .unwrap();
    let host = Host::start(&config);
    for appid in ["wx00000000000000aa", "wx00000000000000bb"] {
        let tenant = format!(
            r#"{{"platform":"weixin","kind":"self-built","appid":"{appid}","user_name":"gh_{appid}","name":"a shop","appsecret":"s","token":"t",
            "encoding_aes_key":"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"}}"#
        );
        let answer = host.ask("POST", "/api/v1/tenants", &tenant);
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }
    let backup = folder.path().join("backup");
    let told = fangshi(&config, &["backup", "--to", backup.to_str().unwrap()]);
    assert!(told.contains("fangshi.erased"), "{told}");
    let answer = host.ask("PATCH", "/api/v1/tenants/t1", r#"{"state":"suspended","reason":"unpaid"}"#);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let answer = host.ask("DELETE", "/api/v1/tenants/t1?appid=wx00000000000000aa", "");
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    drop(host);

    let list = folder.path().join("fangshi.erased");
    let noted = std::fs::read_to_string(&list).unwrap();
    assert!(noted.starts_with("done      t1 wx00000000000000aa "), "{noted}");
    let away = folder.path().join("away");
    let [begun, taken_back] = ["intended ", "withdrawn"].map(|word| noted.replace("done     ", word));
    let cases = [
        (Some(&noted), "1 tenants that were deleted", false),
        // The host ended between its two lines, and its store is lost: whoever ordered it is obeyed, and told.
        (Some(&begun), "the host ended while it deleted wx00000000000000aa", false),
        (Some(&taken_back), "0 tenants that were deleted", true),
        (None, "WARNING: there is no list of deletions", true),
    ];
    for (says, expected, is_back) in cases {
        std::fs::rename(folder.path().join("data"), &away).unwrap();
        std::fs::remove_dir_all(&away).unwrap();
        match says {
            Some(says) => std::fs::write(&list, says).unwrap(),
            None => std::fs::remove_file(&list).unwrap(),
        }
        let told = fangshi(&config, &["restore", "--from", backup.to_str().unwrap()]);
        assert!(told.contains(expected), "{told}");
        let host = Host::start(&config);
        let listed = host.ask("GET", "/api/v1/tenants", "");
        assert!(listed.contains("wx00000000000000bb"), "{listed}");
        assert_eq!(listed.contains("wx00000000000000aa"), is_back, "{listed}");
        if says == Some(&begun) {
            assert_eq!(std::fs::read_to_string(&list).unwrap(), noted, "so that no start takes it back");
        }
    }
}
