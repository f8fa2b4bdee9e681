//! Counts its runs in `kv` and logs the count; with the setting `fail` it fails after counting, so nothing may be kept.
use fangshi_plugin::{Event, Order, Outcome, Pay, kv, log, on_pay, reject, setting};

on_pay!(hook);

fn hook(_: &Event, _: &Order, _: Pay) -> Outcome {
    let before = kv::get("count")?.and_then(|bytes| String::from_utf8(bytes).ok()?.parse::<u64>().ok()).unwrap_or(0);
    let count = before + 1;
    kv::set("count", count.to_string().as_bytes())?;
    kv::set("gone", b"x")?;
    kv::delete("gone")?;
    log!(Info, "count {count}, gone {}", kv::get("gone")?.is_none());
    if setting::flag("fail", false)? { Err(reject("as the settings say")) } else { Ok(()) }
}
