//! What pages may show without an audited call: of every operation, the members that are known to be harmless.
//!
//! Everything else is masked, members that the platform adds tomorrow included.

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::operation::Operation;
use crate::outside::{is_outside, shown, shown_grant};

/// What stands where something was masked.
pub const MASK: &str = "[masked]";

/// A request or answer of an operation as pages may show it.
pub fn redact(op: &Operation, value: &Value) -> Value {
    if is_outside(op) { shown(value) } else { shown_only(op.shown, "", value) }
}

/// A refusal (the contract's error) as pages may show it. It holds no platform data, but may repeat what a plugin asked for:
/// so it is short, on one line and in plain sight, and names no host at length.
pub fn redact_refusal(refusal: &Value) -> Value {
    match refusal {
        Value::String(text) => shown_grant(text).unwrap_or_else(|| scrub(text, &[])).into(),
        Value::Array(items) => items.iter().map(redact_refusal).collect(),
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), redact_refusal(member))).collect(),
        other => other.clone(),
    }
}

fn shown_only(shown: &[&str], name: &str, value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            members.iter().map(|(name, member)| (name.clone(), shown_only(shown, name, member))).collect()
        }
        Value::Array(items) => items.iter().map(|item| shown_only(shown, name, item)).collect(),
        Value::Null => Value::Null,
        Value::String(text) if text.is_empty() => value.clone(),
        Value::String(text) if shown.contains(&name) => Value::String(without_phones(text)),
        Value::Bool(_) if shown.contains(&name) => value.clone(),
        Value::Number(number) if shown.contains(&name) && !is_phone(&number.to_string()) => value.clone(),
        _ => Value::String(MASK.to_owned()),
    }
}

/// Words of a plugin, or of the host about it, as pages may show them: without the texts in `secrets` (see [`delicate`]),
/// mobile numbers, and what may be a token. Numbers that the platform has masked stay as they are.
pub fn redact_text(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret.as_str(), MASK);
    }
    without_phones(&without_opaque(&text))
}

/// The texts of a request or an answer that pages may not show, the longest first: whoever saw the call may repeat them
/// elsewhere. Left out is what is too short to be told from other words, and what the platform has masked itself.
pub fn delicate(op: &Operation, value: &Value) -> Vec<String> {
    let mut found = hidden(op, value);
    found.retain(|text| !text.contains('*') && if text.is_ascii() { text.len() > 5 } else { text.trim() != "" });
    found
}

/// The texts of a request that pages may not show: they may not stand in messages either.
pub(crate) fn secrets(op: &Operation, value: &Value) -> Vec<SecretString> {
    hidden(op, value).into_iter().map(SecretString::from).collect()
}

fn hidden(op: &Operation, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(op.shown, "", value, &mut found);
    // The longest first, so that no part of one is left.
    found.sort_by_key(|text| std::cmp::Reverse(text.len()));
    found
}

fn collect(shown: &[&str], name: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| collect(shown, name, member, found)),
        Value::Array(items) => items.iter().for_each(|item| collect(shown, name, item, found)),
        Value::String(text) if text.chars().count() > 1 && !shown.contains(&name) => found.push(text.clone()),
        _ => {}
    }
}

/// A text of the platform, made fit for plugins, logs and pages: short, on one line, without secrets and phones.
pub(crate) fn scrub(text: &str, secrets: &[SecretString]) -> String {
    const LONGEST: usize = 300;
    let mut text: String = text.chars().map(|c| if is_unseen(c) { ' ' } else { c }).collect();
    for secret in secrets.iter().map(ExposeSecret::expose_secret).filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, MASK);
    }
    let text = without_phones(&without_opaque(&text));
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Characters that are not seen, or that turn round what is.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Masks what may be a token that nobody here knows: 40 and more letters and digits in a row.
pub(crate) fn without_opaque(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let mut rest = text;
    while !rest.is_empty() {
        let run = rest.find(|c| !plain(c)).unwrap_or(rest.len());
        out.push_str(if run >= 40 { MASK } else { &rest[..run] });
        let gap = rest[run..].find(plain).unwrap_or(rest.len() - run);
        out.push_str(&rest[run..run + gap]);
        rest = &rest[run + gap..];
    }
    out
}

/// Masks what looks like a mobile number of the mainland: exactly 11 digits in a row, or 13 with the country's 86.
pub(crate) fn without_phones(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let length = rest[start..].bytes().take_while(u8::is_ascii_digit).count();
        let (before, digits) = (&rest[..start], &rest[start..start + length]);
        out.push_str(before);
        out.push_str(if is_phone(digits) { MASK } else { digits });
        rest = &rest[start + length..];
    }
    out.push_str(rest);
    out
}

fn is_phone(digits: &str) -> bool {
    let digits = if digits.len() == 13 { digits.strip_prefix("86").unwrap_or_default() } else { digits };
    digits.len() == 11
        && matches!(digits.as_bytes(), [b'1', b'3'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::find;
    use serde_json::json;

    #[test]
    fn a_real_order_shows_its_state_and_nobody() {
        let order = json!({"order_id": "3732676853715311104", "status": 30, "openid": "oWRGA7eC8hTdngzEnBSbFKBTVFcQ",
            "order_detail": {"product_infos": [{"sku_id": "3616331648", "title": "手柄", "sale_price": 39800}],
                "delivery_info": {"address_info": {"user_name": "杨**", "postal_code": "", "tel_number": "139****0775",
                    "tel_number_ext_info": {"virtual_tel_number": "18400984191-0775", "has_delay_times": 0}}},
                "tomorrow": [{"secret": 1, "yes": true}]}});
        assert_eq!(
            redact(crate::table::read_order(), &order),
            json!({"order_id": "3732676853715311104", "status": 30, "openid": MASK,
                "order_detail": {"product_infos": [{"sku_id": "3616331648", "title": MASK, "sale_price": MASK}],
                    "delivery_info": {"address_info": {"user_name": MASK, "postal_code": "", "tel_number": MASK,
                        "tel_number_ext_info": {"virtual_tel_number": MASK, "has_delay_times": 0}}},
                    "tomorrow": [{"secret": MASK, "yes": MASK}]}})
        );
    }

    #[test]
    fn requests_and_answers_keep_ids_and_lose_people_and_money() {
        let op = find("decode", "sensitive-info").unwrap();
        assert_eq!(redact(op, &json!({"order_id": "37"})), json!({"order_id": "37"}));
        let answer = json!({"address_info": {"user_name": "张三"}, "virtual_number_info": {"expiration": 1767241651}});
        assert_eq!(
            redact(op, &answer),
            json!({"address_info": {"user_name": MASK}, "virtual_number_info": {"expiration": 1767241651}})
        );
        let price = find("price", "change").unwrap();
        let request = json!({"order_id": "1", "change_order_infos": [{"sku_id": "2", "change_price": 38000}]});
        assert_eq!(redact(price, &request)["change_order_infos"], json!([{"sku_id": "2", "change_price": MASK}]));
        let waiting = find("sku-decision", "waiting").unwrap();
        assert_eq!(redact(waiting, &json!(["37"])), json!(["37"]));
        let real = find("real-number", "apply").unwrap();
        assert_eq!(redact(real, &json!("77")), json!("77"));
        assert_eq!(redact(real, &json!({"pic_media_ids": ["m1"]})), json!({"pic_media_ids": [MASK]}));
    }

    #[test]
    fn a_phone_in_a_harmless_member_is_masked_all_the_same() {
        let op = find("notes", "set-merchant-notes").unwrap();
        assert_eq!(redact(op, &json!({"order_id": "13800138000"})), json!({"order_id": MASK}));
        assert_eq!(
            without_phones("a13800138000b 3732676853715311104 12345678901"),
            "a[masked]b 3732676853715311104 12345678901"
        );
    }

    #[test]
    fn words_of_plugins_lose_what_their_calls_showed_them() {
        let op = find("decode", "sensitive-info").unwrap();
        let answer = json!({"address_info": {"user_name": "张三", "detail_info": "桃花岛1号", "tel_number": "139****0775",
            "postal_code": "31", "house_number": " "}, "virtual_number_info": {"extension": "0775"}});
        let secrets = delicate(op, &answer);
        assert_eq!(secrets, ["桃花岛1号", "张三"]);
        assert_eq!(
            redact_text("张三 at 桃花岛1号, 31 pieces, 139****0775, 13800138000", &secrets),
            "[masked] at [masked], 31 pieces, 139****0775, [masked]"
        );
        let words = "order 3732676853715311104 of 38800 分 at 1764642403000, 139****0775, 大额订单\nnext";
        assert_eq!(redact_text(words, &[]), words, "ids, money, times and masked numbers stay");
        assert_eq!(redact_text("+8613800138000 8613800138000 138-0013", &[]), "+[masked] [masked] 138-0013");
        let token = "57_Qz-".repeat(20);
        assert_eq!(redact_text(&format!("token={token};"), &[]), "token=[masked];");
    }

    #[test]
    fn a_refusal_repeats_little_of_what_a_plugin_said() {
        let conflict = json!({"kind": "conflict", "detail": "closed"});
        assert_eq!(redact_refusal(&conflict), conflict);
        let limited = json!({"kind": "limited", "detail": {"retry_after": 7}});
        assert_eq!(redact_refusal(&limited), limited);
        let denied = |host: &str| redact_refusal(&json!({"kind": "denied", "detail": format!("http:{host}")}));
        assert_eq!(denied("a.example:8443")["detail"], "http:a.example:8443");
        assert!(denied(&format!("{}example", "carried.".repeat(29)))["detail"].as_str().unwrap().chars().count() < 70);
        let said = json!({"kind": "invalid", "detail": format!("x\n\u{202e}y 13800138000 {}", "so long ".repeat(90))});
        let shown = redact_refusal(&said);
        let text = shown["detail"].as_str().unwrap();
        assert!(text.starts_with("x  y [masked] so long") && text.chars().count() == 301, "{text}");
    }

    #[test]
    fn messages_lose_secrets_phones_and_length() {
        let op = find("address", "change").unwrap();
        let request = json!({"order_id": "37", "user_address": {"user_name": "欧阳锋", "detail_info": "桃花岛1号"}});
        let text = scrub("bad detail_info 桃花岛1号 of 欧阳锋,\n call 13800138000", &secrets(op, &request));
        assert_eq!(text, "bad detail_info [masked] of [masked],  call [masked]");
        let token = "57_Qz".repeat(20);
        assert_eq!(scrub(&format!("token {token}, hint: [x-1]"), &[]), "token [masked], hint: [x-1]");
        assert_eq!(scrub(&"大".repeat(1000), &[]).chars().count(), 301);
    }
}
