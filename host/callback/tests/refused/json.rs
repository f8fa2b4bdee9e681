//! Decrypted JSON that is no event: number forms above all, since order ids are over 2^53.

use super::case::{Case, case, saying};
use crate::room::paid_json;

pub fn cases() -> Vec<Case> {
    let good = paid_json("gh_anna", 7);
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replace(from, to)
    };
    let id = "\"order_id\":7";
    let inside = |more: &str| with(id, &format!("{id},\"a\":{more}"));
    let nested =
        |open: &str, close: &str, levels: usize| inside(&format!("{}{}", open.repeat(levels), close.repeat(levels)));
    let mut texts: Vec<(String, String)> = [
        ("array", format!("[{good}]")),
        ("two documents", format!("{good}{good}")),
        ("something behind", format!("{good} x")),
        ("a bracket more", format!("{good}}}")),
        ("no last bracket", good[..good.len() - 1].to_owned()),
        ("trailing comma", with("}}", "},}")),
        ("missing comma", with(",\"Event\"", "\"Event\"")),
        ("missing colon", with("\"Event\":", "\"Event\"")),
        ("names without quotes", with("\"Event\"", "Event")),
        ("single quotes", with("\"OPENID\"", "'OPENID'")),
        ("comment", with(id, &format!("/* */{id}"))),
        ("line comment", with(id, &format!("// \n{id}"))),
        ("seventeen deep", nested("[", "]", 15)),
        ("seventeen deep in objects", nested("{\"a\":", "}", 15).replace("\":}", "\":1}")),
        ("deep", nested("[", "]", 1_000)),
        ("very deep", nested("[", "]", 20_000)),
        ("very deep in objects", nested("{\"a\":", "}", 6_000).replace("\":}", "\":1}")),
        ("very deep and open", with(id, &format!("{id},\"a\":{}", "[".repeat(40_000)))),
        ("closed by another bracket", inside("[}")),
        ("raw line break in a string", inside("\"\n\"")),
        ("raw zero byte in a string", inside("\"\u{0}\"")),
        ("unknown escape", inside("\"\\x41\"")),
        ("cut escape", inside("\"\\u00\"")),
        ("lone high surrogate", inside("\"\\ud83d\"")),
        ("lone low surrogate", inside("\"\\ude00\"")),
        ("surrogates swapped", inside("\"\\ude00\\ud83d\"")),
        ("string never closed", inside("\"")),
        ("word", inside("undefined")),
        ("capital true", inside("True")),
        ("cut null", inside("nul")),
        ("not a number", inside("NaN")),
        ("infinity", inside("Infinity")),
        ("minus infinity", inside("-Infinity")),
        ("number with a plus", inside("+1")),
        ("number with a zero before", inside("01")),
        ("number without digits", inside("-")),
        ("number without a whole part", inside(".5")),
        ("number without a fraction", inside("1.")),
        ("number without an exponent", inside("1e")),
        ("number in hex", inside("0x10")),
        ("number with underscores", inside("1_000")),
        ("number with two signs", inside("--1")),
        ("number of BigInt", inside("1n")),
        ("order_id twice", with(id, &format!("{id},{id}"))),
        ("order_id twice and different", with(id, &format!("{id},\"order_id\":8"))),
        ("order_id twice, once escaped", with(id, &format!("{id},\"order\\u005fid\":8"))),
        ("Event twice", with("{\"ToUserName\"", "{\"Event\":\"x\",\"ToUserName\"")),
        ("ToUserName twice", with("{\"ToUserName\"", "{\"ToUserName\":\"gh_bene\",\"ToUserName\"")),
        ("order_info twice", with("\"order_info\"", "\"order_info\":{},\"order_info\"")),
        ("unknown member twice", inside("{\"b\":1,\"b\":1}")),
        ("no order_info", with("order_info", "info")),
        ("order_info null", with("\"order_info\":{", "\"order_info\":null,\"x\":{")),
        ("order_info a list", with("\"order_info\":{", "\"order_info\":[{").replace("}}", "}]}")),
        ("order_info a number", with("\"order_info\":{", "\"order_info\":7,\"x\":{")),
        ("order_info a string of JSON", with("\"order_info\":{", "\"order_info\":\"{}\",\"x\":{")),
        ("order_info empty", with("\"order_info\":{", "\"order_info\":{},\"x\":{")),
        ("no order_id", with("order_id", "orderId")),
        ("no CreateTime", with("CreateTime", "createTime")),
        ("no Event and no MsgType", with("\"Event\"", "\"event\"").replace("MsgType", "msgType")),
        ("Event null and no MsgType", with("\"channels_ec_order_pay\"", "null").replace("MsgType", "msgType")),
        ("Event an object and no MsgType", with("\"channels_ec_order_pay\"", "{}").replace("MsgType", "msgType")),
        ("Event too long", with("channels_ec_order_pay", &"e".repeat(129))),
        ("Event with an escaped line break", with("channels_ec_order_pay", "a\\nb")),
        ("Event with an escaped zero", with("channels_ec_order_pay", "a\\u0000")),
        ("no members", "{}".to_owned()),
        ("a number", "7".to_owned()),
        ("a string", "\"{}\"".to_owned()),
        ("true", "true".to_owned()),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .into();
    for number in [
        "1e18",
        "1E18",
        "3.705115058471208928e18",
        "3705115058471208928.0",
        "7.0",
        "7.5",
        "7e0",
        "7e-1",
        "1e400",
        "-7",
        "-0",
        "-0.0",
        "0",
        "0.0",
        "-3705115058471208928",
        "18446744073709551616",
        "18446744073709551615.0",
        "1e19",
        "340282366920938463463374607431768211456",
        "\"1e18\"",
        "\"-7\"",
        "\"+7\"",
        "\"07\"",
        "\"7.0\"",
        "\" 7\"",
        "\"7 \"",
        "\"0\"",
        "\"-0\"",
        "\"0x7\"",
        "\"18446744073709551616\"",
        "\"７\"",
        "\"七\"",
        "\"7,000\"",
        "true",
        "false",
        "null",
        "\"\"",
        "\"null\"",
        "[]",
        "[7]",
        "{}",
        "{\"order_id\":7}",
    ] {
        texts.push((format!("order_id {number}"), with(id, &format!("\"order_id\":{number}"))));
    }
    for number in [
        "1e9",
        "1.714112445e9",
        "1714112445.0",
        "-1",
        "-0",
        "0.5",
        "9223372036854775808",
        "18446744073709551616",
        "1e400",
        "\"1e9\"",
        "\"-1\"",
        "\"01\"",
        "\"now\"",
        "\"\"",
        "null",
        "true",
        "[1714112445]",
        "{}",
    ] {
        texts.push((
            format!("CreateTime {number}"),
            with("\"CreateTime\":1714112445", &format!("\"CreateTime\":{number}")),
        ));
    }
    let mut cases: Vec<Case> =
        texts.into_iter().map(|(name, text)| case(name, saying(text).request(), 400, "bad_message")).collect();
    let mut latin = good.clone().into_bytes();
    latin.splice(1..1, *b"\"a\":\"\xe9\",");
    cases.push(case("no UTF-8", saying(latin).request(), 400, "bad_message"));
    let marked = format!("\u{feff}{good}");
    cases.push(case("a byte order mark before", saying(marked).request(), 400, "bad_message"));
    for tenth in 0..10 {
        let end = good.len() * tenth / 10;
        let request = saying(good[..end].to_owned()).request();
        cases.push(case(format!("message cut after {tenth} tenths"), request, 400, "bad_message"));
    }
    cases
}
