//! What plugins do: the arguments of their calls.
use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;
use fangshi_guest_checks::{Played, Stage, hostile};
use fangshi_runtime::{CallError, Manifest, Plugin, Runtime};
use serde_json::{Value, json};

use super::Target;
use super::sandbox::{runtime, sane};

/// The functions that [`caller`] calls: interface, function, and its parameters, `i` for 32 bits and `j` for 64; `=` where it gives
/// back a number. In each of the contract's kinds, and of WASI's streams and pollables, the ones with the richest arguments.
const CALLED: [(&str, &str, &str); 24] = [
    ("fangshi:host/log@0.1.0", "write", "iii"),
    ("fangshi:host/kv@0.1.0", "get", "iii"),
    ("fangshi:host/kv@0.1.0", "set", "iiiii"),
    ("fangshi:host/random@0.1.0", "bytes", "ii"),
    ("fangshi:store/orders@0.1.0", "get", "iii"),
    ("fangshi:store/orders@0.1.0", "[method]order.id", "ii"),
    ("fangshi:store/notes@0.1.0", "set-merchant-notes", "iiiii"),
    ("fangshi:store/price@0.1.0", "change", "iiiiiji"),
    ("fangshi:host/http@0.1.0", "send", "iiiiiiiii"),
    ("fangshi:host/settings@0.1.0", "get", "iii"),
    ("fangshi:store/order-items@0.1.0", "attributes", "iiii"),
    ("fangshi:store/order-items@0.1.0", "thumb-img", "iiii"),
    // Records that hold lists of records, and records of records; a list of texts; a record in memory.
    ("fangshi:store/delivery@0.1.0", "send", "iiiii"),
    ("fangshi:store/delivery@0.1.0", "change-some", "iiiii"),
    ("fangshi:store/real-number@0.1.0", "apply", "iiiiiiii"),
    ("fangshi:store/search@0.1.0", "search-orders", "ii"),
    ("wasi:io/streams@0.2.3", "[method]output-stream.write", "iiii"),
    ("wasi:io/streams@0.2.3", "[method]output-stream.blocking-write-and-flush", "iiii"),
    ("wasi:io/streams@0.2.3", "[method]output-stream.write-zeroes", "iji"),
    ("wasi:io/streams@0.2.3", "[method]output-stream.subscribe", "i="),
    ("wasi:io/streams@0.2.3", "[method]input-stream.blocking-read", "iji"),
    ("wasi:io/poll@0.2.3", "poll", "iii"),
    ("wasi:io/poll@0.2.3", "[method]pollable.ready", "i="),
    ("wasi:io/poll@0.2.3", "[resource-drop]pollable", "i"),
];
/// Those of them that the plugin calls by itself first.
const KV_GET: usize = 1;
const SUBSCRIBE: usize = 19;

/// Calls of one input: so many, of ten words each, and behind them the memory that they point into.
const CALLS: usize = 3;
const WORDS: usize = 10;
/// Where the first word lies in the guest, and where the memory behind the last does.
const FIRST: u32 = 16_384;
const BEHIND: usize = CALLS * WORDS * 4;

/// A plugin whose calls are the input: each of a function's number and its arguments. It has standard output and standard input
/// open, and something to poll.
fn caller() -> String {
    let mut text = String::from(
        r#"(import "wasi:cli/stdout@0.2.3" "get-stdout" (func $stdout (result i32)))
(import "wasi:cli/stdin@0.2.3" "get-stdin" (func $stdin (result i32)))
(data (i32.const 2048) "input")
(global $at (mut i32) (i32.const 0))
(func $word (param i32) (result i32) (i32.load (i32.add (global.get $at) (i32.shl (local.get 0) (i32.const 2)))))
"#,
    );
    let (mut types, mut cases) = (String::new(), String::new());
    for (number, (interface, function, shape)) in CALLED.iter().enumerate() {
        let (params, result) = match shape.strip_suffix('=') {
            Some(params) => (params, "(result i32)"),
            None => (*shape, ""),
        };
        let word = |(at, kind): (usize, char)| match kind {
            'j' => format!("(i64.extend_i32_s (call $word (i32.const {})))", at + 1),
            _ => format!("(call $word (i32.const {}))", at + 1),
        };
        let arguments: String = params.chars().enumerate().map(word).collect();
        let kinds: String = params.chars().map(|kind| if kind == 'j' { " i64" } else { " i32" }).collect();
        types += &format!("(import \"{interface}\" \"{function}\" (func $f{number} (param{kinds}) {result}))\n");
        let call = format!("(call $f{number} {arguments})");
        let call = if result.is_empty() { call } else { format!("(drop {call})") };
        let this = format!(
            "(i32.eq (i32.rem_u (call $word (i32.const 0)) (i32.const {})) (i32.const {number}))",
            CALLED.len()
        );
        cases += &format!("(if {this} (then {call} (return)))\n");
    }
    text += &types;
    text += &format!(
        "(func $one {cases})
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (drop (call $f{SUBSCRIBE} (call $stdout)))
  (drop (call $stdin))
  (call $f{KV_GET} (i32.const 2048) (i32.const 5) (i32.const 8))
  (global.set $at (i32.const {FIRST}))
  (loop
    (call $one)
    (global.set $at (i32.add (global.get $at) (i32.const {})))
    (br_if 0 (i32.lt_u (global.get $at) (i32.const {}))))
  (call $done))
",
        WORDS * 4,
        FIRST as usize + BEHIND,
    );
    text
}

/// The arguments of host calls, as they lie in a guest's memory.
pub struct HostCalls {
    runtime: Runtime,
    plugin: Arc<Plugin>,
    manifest: Manifest,
    stage: Stage,
}

impl HostCalls {
    pub async fn load() -> Result<HostCalls> {
        let runtime = runtime()?;
        let wasm = hostile::plugin(&caller())?;
        let manifest = runtime.inspect(&wasm)?;
        let plugin = runtime.load_bytes(wasm).await?;
        let mut stage = Stage::new()?;
        stage.script = |name, request| {
            // What reached the host is JSON like any other.
            let text = request.to_string();
            match serde_json::from_str::<Value>(&text) {
                Ok(again) if again == *request => {}
                _ => return Err(CallError::Platform { code: -1, message: "another request".into() }),
            }
            if name != "http.send" {
                return Ok(Value::Null);
            }
            // Checked as before it would be sent.
            let Some(op) = fangshi_operations::of_call("http", "send", request) else {
                return Err(CallError::Invalid("no operation".into()));
            };
            op.body(request).map_err(CallError::Invalid)?;
            match fangshi_operations::not_approved(["http:erp.example.com"], op, request) {
                Some(grant) => Err(CallError::Denied(grant)),
                None => Ok(json!({"status": 200, "headers": [], "body": ""})),
            }
        };
        Ok(HostCalls { runtime, plugin, manifest, stage })
    }

    async fn play(&mut self, input: &[u8]) -> Result<Played> {
        // As a value of the guest's own store it reaches its memory byte for byte.
        self.stage.kv.insert("input".to_owned(), input.iter().copied().take(8_192).collect());
        self.stage.run(&self.runtime, &self.plugin, &self.manifest, "on-pay").await
    }
}

#[async_trait]
impl Target for HostCalls {
    fn name(&self) -> &'static str {
        "host-call-arguments"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let at = FIRST + BEHIND as u32;
        let memory = |calls: &[Vec<u32>], behind: &[u8]| {
            let words = calls.iter().flat_map(|call| call.iter().copied().chain(std::iter::repeat(0)).take(WORDS));
            let mut bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
            bytes.resize(BEHIND, 0);
            bytes.extend_from_slice(behind);
            bytes
        };
        let texts = b"3732676853715311104 note key \xe6\xbc\xa2";
        let calls = (0..CALLED.len() as u32).flat_map(|kind| {
            let texts = [
                vec![kind, at, 19, at, 5, 8, 0, 8],
                vec![kind, at, 0, at, 0, 8, 0, 8],
                vec![kind, 1, at, 4, 8, 8, 8, 8],
            ];
            // The handles that are open: the order, standard output, what it is polled by, standard input.
            let handles = [2, 3, 4, 5].map(|handle| vec![kind, handle, at, 4, 8]);
            texts.into_iter().chain(handles)
        });
        let alone: Vec<Vec<u8>> = calls.clone().map(|call| memory(&[call], texts)).collect();
        // What one call left open or closed, the next one meets.
        let calls: Vec<Vec<u32>> = calls.collect();
        let together = calls.windows(CALLS).map(|calls| memory(calls, texts));
        // A request to an outside host: the method, the URL, one header, the body.
        let mut request = b"POSThttps://erp.example.com/x?y=1name".to_vec();
        request.resize(40, 0);
        request.extend([at + 33, 4, at + 4, 5].iter().flat_map(|word| word.to_le_bytes()));
        let sending = memory(&[vec![8, at, 4, at + 4, 29, at + 40, 1, at + 33, 4, 8]], &request);
        // One parcel with one product, in a list of one.
        let parcel = [at + 64, 2, at + 66, 4, 1, at + 32, 1, 0, at + 64, 6, at + 64, 6, 1];
        let mut parcels: Vec<u8> = parcel.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
        parcels.resize(64, 0);
        parcels.extend_from_slice(b"SF123456");
        let shipping = memory(&[vec![12, at + 64, 6, at, 1, 8]], &parcels);
        // Two pollables, of which one is the same.
        let polled: Vec<u8> = [4_u32, 4].iter().flat_map(|handle| handle.to_le_bytes()).collect();
        let polling = memory(&[vec![21, at, 2, 8], vec![22, 4], vec![16, 3, at, 4, 8]], &polled);
        // Options that are one, and that are none.
        let price = memory(&[vec![7, at, 6, at, 0, 1, 5, 8]], texts);
        let search = memory(&[vec![15, at, 8]], &[0; 256]);
        alone.into_iter().chain(together).chain([sending, shipping, polling, price, search]).collect()
    }

    async fn feed(&mut self, input: &[u8]) -> Result<()> {
        sane(&self.play(input).await?.report.outcome)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::collections::BTreeSet;

    use fangshi_runtime::Outcome;

    use super::*;

    #[tokio::test]
    async fn every_function_is_reached_and_comes_back() {
        for (number, function) in [(KV_GET, "get"), (SUBSCRIBE, "[method]output-stream.subscribe")] {
            assert_eq!(CALLED[number].1, function);
        }
        let mut calls = HostCalls::load().await.unwrap();
        let mut back = BTreeSet::new();
        for seed in calls.seeds() {
            // The zeros behind the first call are others, of the first function.
            let kinds: Vec<u8> = seed.chunks(WORDS * 4).take(CALLS).map(|call| call[0]).collect();
            if calls.play(&seed).await.unwrap().report.outcome == Outcome::Done {
                back.extend(kinds);
            }
        }
        let never: Vec<_> =
            (0..CALLED.len()).filter(|kind| !back.contains(&(*kind as u8))).map(|n| CALLED[n]).collect();
        assert!(never.is_empty(), "{never:?}");
    }
}
