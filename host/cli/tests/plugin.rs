//! `fangshi plugin` at an author's desk.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../../console/tests/support/guest.rs"]
mod guest;

use std::path::PathBuf;
use std::process::Command;

const PAID: &str = r#"{"ToUserName":"gh_1","FromUserName":"o1","CreateTime":1764642403,"MsgType":"event",
    "Event":"channels_ec_order_pay","order_info":{"order_id":3732676853715311104,"pay_time":1764642403}}"#;
const ORDER: &str = r#"{"errcode":0,"errmsg":"ok","order":{"order_id":"3732676853715311104","status":20}}"#;

struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Desk {
        let desk = Desk { folder: tempfile::tempdir().unwrap() };
        desk.put("event.json", PAID.as_bytes());
        desk.put("order.json", ORDER.as_bytes());
        desk.put("noting.wasm", &guest::noting());
        desk
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Runs `fangshi plugin …` in the folder: exit code, standard output, standard error.
    fn plugin(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_fangshi"))
            .arg("plugin")
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("RUST_LOG")
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    fn run(&self, more: &[&str]) -> (i32, String, String) {
        let mut arguments = vec!["run", "noting.wasm", "--event", "event.json", "--order", "order.json"];
        arguments.extend(more);
        self.plugin(&arguments)
    }
}

#[test]
fn a_run_prints_hooks_grants_calls_fuel_memory_and_log() {
    let desk = Desk::new();
    let (code, out, err) = desk.run(&[]);
    assert_eq!(code, 0, "{out}{err}");
    for part in [
        "hook     on-pay",
        "grants   notes",
        "notes.set-merchant-notes",
        "would call POST /channels/ec/order/merchantnotes/update",
        "3732676853715311104",
        "CANARY-note",
        "log      info    seen",
        "outcome  done",
        "fuel     ",
        "memory   65536 of ",
        "calls    1 of 1000",
    ] {
        assert!(out.contains(part), "lacks {part:?}:\n{out}");
    }
    let without_time =
        |text: &str| text.lines().filter(|line| !line.starts_with("time ")).collect::<Vec<_>>().join("\n");
    assert_eq!(without_time(&out), without_time(&desk.run(&[]).1), "the same files give the same output");
}

#[test]
fn a_run_prints_all_hooks_and_which_of_them_was_called() {
    let desk = Desk::new();
    desk.put("noting.wasm", &guest::of_three_hooks());
    let (code, out, err) = desk.run(&[]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.starts_with("hooks    on-schedule, on-new, on-pay\nevent    channels_ec_order_pay "), "{out}");
    assert!(out.contains("\nhook     on-pay\n"), "{out}");
}

#[test]
fn the_grants_given_are_the_grants_used() {
    let desk = Desk::new();
    let (code, out, _) = desk.run(&["--grants", ""]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("grants   none") && out.contains("refused denied: the grant `notes` is needed"), "{out}");
    assert!(!out.contains("would call"), "{out}");
    let (code, _, err) = desk.run(&["--grants", "note"]);
    assert_eq!(code, 1);
    assert!(err.contains("unknown grants: note"), "{err}");
}

#[test]
fn answers_come_from_a_file() {
    let desk = Desk::new();
    desk.put("answers.json", br#"{"notes.set-merchant-notes": {"error": {"kind": "conflict", "detail": "closed"}}}"#);
    let (_, out, err) = desk.run(&["--answers", "answers.json"]);
    assert!(out.contains("conflict: closed"), "{out}{err}");
    desk.put("answers.json", br#"{"notes.set": {}}"#);
    let (code, _, err) = desk.run(&["--answers", "answers.json"]);
    assert_eq!(code, 1);
    assert!(err.contains("no such operation: notes.set"), "{err}");
}

#[test]
fn limits_hold_at_the_desk_too() {
    let desk = Desk::new();
    desk.put("limits.json", br#"{"host_calls": 0}"#);
    let (code, out, err) = desk.run(&["--limits", "limits.json"]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("outcome  limit host_calls of 0 reached"), "{out}");
    desk.put("limits.json", br#"{"effects_per_hour": 1, "echoes": false}"#);
    let (code, out, err) = desk.run(&["--limits", "limits.json"]);
    assert_eq!(code, 0, "those that span runs are known too: {out}{err}");
    desk.put("limits.json", br#"{"fuel": 5}"#);
    let (code, _, err) = desk.run(&["--limits", "limits.json"]);
    assert_eq!(code, 1);
    assert!(err.contains("limits.json: fuel must be a whole number from 10000 to 60000000000, not 5"), "{err}");
}

#[test]
fn inspect_shows_what_a_plugin_asks_for_and_why_it_is_refused() {
    let desk = Desk::new();
    let (code, out, err) = desk.plugin(&["inspect", "noting.wasm"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("hooks    on-pay") && out.contains("grant    notes (personal): set-merchant-notes"), "{out}");
    desk.put("stranger.wasm", &guest::stranger());
    let (code, _, err) = desk.plugin(&["inspect", "stranger.wasm"]);
    assert_eq!(code, 1);
    assert!(err.contains("wasi:http/types@0.2.0") && err.contains("evil:things/here@1.0.0"), "{err}");
}

#[test]
fn wrong_files_are_named() {
    let desk = Desk::new();
    desk.put("event.json", b"{}");
    let (code, _, err) = desk.run(&[]);
    assert_eq!(code, 1);
    assert!(err.contains("event file event.json: expected a decrypted push"), "{err}");
    desk.put("event.json", PAID.as_bytes());
    desk.put("order.json", b"[]");
    assert!(desk.run(&[]).2.contains("order file order.json: expected an answer of getorder"));
    desk.put("order.json", ORDER.as_bytes());
    desk.put("event.json", PAID.replace("order_pay", "order_new").as_bytes());
    assert!(desk.run(&[]).2.contains("calls on-new, which the plugin does not export; it has on-pay"));
    assert!(desk.plugin(&["inspect", "none.wasm"]).2.contains("none.wasm"));
}

#[test]
fn settings_are_held_against_the_schema_at_the_desk_too() {
    const SCHEMA: &str = r#"{"type": "object", "required": ["api_key"], "properties": {
        "from": {"type": "integer", "default": 100}, "api_key": {"type": "string", "writeOnly": true}}}"#;
    let desk = Desk::new();
    desk.put("noting.wasm", &guest::with_schema(guest::noting(), SCHEMA));
    let (_, out, err) = desk.plugin(&["inspect", "noting.wasm"]);
    for part in ["setting  from (integer; 100 if it is not set)", "setting  api_key (secret; must be set)"] {
        assert!(out.contains(part), "lacks {part:?}:\n{out}{err}");
    }
    let (code, _, err) = desk.run(&[]);
    assert_eq!(code, 1);
    assert!(err.contains("`api_key` is missing"), "{err}");
    desk.put("settings.json", br#"{"api_key": "k", "from": "x"}"#);
    assert!(desk.run(&["--settings", "settings.json"]).2.contains("`from` must be an integer"));
    desk.put("settings.json", br#"{"api_key": "k"}"#);
    assert_eq!(desk.run(&["--settings", "settings.json"]).0, 0);
    desk.put("noting.wasm", &guest::with_schema(guest::noting(), r#"{"type": "array"}"#));
    let (code, _, err) = desk.plugin(&["inspect", "noting.wasm"]);
    assert_eq!(code, 1);
    assert!(err.contains("`type` must be \"object\""), "{err}");
}

#[test]
fn a_tick_is_run_without_files() {
    let desk = Desk::new();
    desk.put("ticking.wasm", &guest::ticking());
    let (code, out, err) = desk.plugin(&["run", "ticking.wasm", "--schedule", "morning", "--at", "1795395600"]);
    assert_eq!(code, 0, "{out}{err}");
    for part in [
        "event    fangshi_schedule at 1795395600\n",
        "hook     on-schedule",
        "info    morning",
        "\"due_at\":\"1795395600\"",
    ] {
        assert!(out.contains(part), "lacks {part:?}:\n{out}");
    }
    let (code, _, err) = desk.plugin(&["run", "ticking.wasm"]);
    assert_ne!(code, 0);
    assert!(err.contains("--event"), "{err}");
    let (_, _, err) = desk.plugin(&["run", "noting.wasm", "--schedule", "morning"]);
    assert!(err.contains("calls on-schedule, which the plugin does not export"), "{err}");
}
