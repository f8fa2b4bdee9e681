//! Decrypted XML that is no event.

use super::case::{Case, case, saying};
use crate::room::paid;

pub fn cases() -> Vec<Case> {
    let good = paid("gh_anna", 7);
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replace(from, to)
    };
    let id = "<order_id>7</order_id>";
    let nested = |levels: usize| with(id, &format!("{id}{}{}", "<a>".repeat(levels), "</a>".repeat(levels)));
    let laughs = "<!DOCTYPE xml [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;\">]>";
    let mut texts: Vec<(String, String)> = [
        ("document type", format!("<!DOCTYPE xml>{good}")),
        ("document type behind", format!("{good}<!DOCTYPE xml>")),
        ("document type inside", with("<order_info>", "<!DOCTYPE a><order_info>")),
        ("a billion laughs", format!("{laughs}{}", with(">7<", ">&c;<"))),
        (
            "external entity",
            format!("<!DOCTYPE xml [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>{}", with(">7<", ">&e;<")),
        ),
        ("parameter entity", format!("<!DOCTYPE xml [<!ENTITY % p SYSTEM \"http://127.0.0.1/\">%p;]>{good}")),
        ("undeclared entity", with(">7<", ">&e;<")),
        ("HTML entity", with(">7<", ">&nbsp;7<")),
        ("lone ampersand", with(">7<", ">&<")),
        ("unfinished entity", with(">7<", ">&amp7<")),
        ("character 0", with(">7<", ">&#0;7<")),
        ("character 1", with(">7<", ">&#1;7<")),
        ("character of a surrogate", with(">7<", ">&#xD800;7<")),
        ("character U+FFFF", with(">7<", ">&#xFFFF;7<")),
        ("character beyond Unicode", with(">7<", ">&#x110000;7<")),
        ("character by no number", with(">7<", ">&#x;7<")),
        ("character in letters", with(">7<", ">&#seven;<")),
        ("raw control character", with(">7<", ">\u{1}7<")),
        ("raw zero byte", with(">7<", ">\u{0}7<")),
        ("comment", with(id, &format!("<!-- -->{id}"))),
        ("comment within the number", with(">7<", ">7<!-- -->7<")),
        ("processing instruction", with(id, &format!("<?php ?>{id}"))),
        ("second declaration", with(id, &format!("<?xml version=\"1.0\"?>{id}"))),
        ("declaration of GBK", format!("<?xml version=\"1.0\" encoding=\"GBK\"?>{good}")),
        ("declaration without a version", format!("<?xml?>{good}")),
        ("another root", with("<xml>", "<x>").replace("</xml>", "</x>")),
        ("root never closed", with("</xml>", "")),
        ("root closed twice", format!("{good}</xml>")),
        ("second root", format!("{good}<xml/>")),
        ("text behind", format!("{good}x")),
        ("text beside elements", with("<order_info>", "<order_info>x")),
        ("CDATA beside elements", with("<order_info>", "<order_info><![CDATA[x]]>")),
        ("CDATA never closed", with("]]></Event>", "</Event>")),
        ("crossed tags", with("</order_id>", "</order_info>")),
        ("tag of another case", with("</order_id>", "</ORDER_ID>")),
        ("tag never closed", with("<order_id>", "<order_id")),
        ("tag that begins with a digit", with("<pay_time>", "<1>").replace("</pay_time>", "</1>")),
        ("tag without a name", with(id, &format!("< >x</ >{id}"))),
        ("attribute without quotes", with("<order_id>", "<order_id a=1>")),
        ("attribute without a value", with("<order_id>", "<order_id a>")),
        ("attribute twice", with("<order_id>", "<order_id a=\"1\" a=\"2\">")),
        ("seventeen containers deep", nested(16)),
        ("deep", nested(1_000)),
        ("very deep", nested(6_000)),
        ("no order_info", with("order_info", "info")),
        ("order_info empty", with(&format!("<order_info>{id}"), "<order_info/><x>").replace("</order_info>", "</x>")),
        ("order_info twice", with("<order_info>", "<order_info><order_id>8</order_id></order_info><order_info>")),
        ("order_info a text", with(id, "").replace("<pay_time>1714112445</pay_time>", "7")),
        ("no order_id", with("order_id", "id")),
        ("order_id twice", with(id, &format!("{id}{id}"))),
        ("no CreateTime", with("CreateTime", "Time")),
        ("CreateTime empty", with("<CreateTime>1714112445", "<CreateTime>")),
        ("CreateTime twice", with("<CreateTime>", "<CreateTime>1</CreateTime><CreateTime>")),
        ("CreateTime with an element", with("<CreateTime>1714112445", "<CreateTime><a>1</a>")),
        ("no Event and no MsgType", with("Event>", "E>").replace("MsgType", "M")),
        ("Event too long", with("channels_ec_order_pay", &"e".repeat(129))),
        ("Event with a line break", with("channels_ec_order_pay", "channels\nerror: all is lost")),
        ("Event with an escape", with("channels_ec_order_pay", "channels\u{7f}")),
        ("nothing", String::new()),
        ("blanks", " \n ".to_owned()),
        ("an empty root", "<xml/>".to_owned()),
        ("a word", "success".to_owned()),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .into();
    for number in [
        "07",
        "-7",
        "+7",
        "7.0",
        "7e0",
        "1e18",
        "0",
        "-0",
        "0x7",
        "7 ",
        " 7",
        "7\n",
        "7,000",
        "７",
        "seven",
        "18446744073709551616",
        "3705115058471208928.0",
        "999999999999999999999999",
    ] {
        texts.push((format!("order_id {number:?}"), with(">7<", &format!(">{number}<"))));
    }
    for number in ["-1", "+1", "1.5", "1e9", "01", "0x1", "now", "9223372036854775808", "18446744073709551616", " 1"] {
        texts
            .push((format!("CreateTime {number:?}"), with("<CreateTime>1714112445", &format!("<CreateTime>{number}"))));
    }
    let mut cases: Vec<Case> =
        texts.into_iter().map(|(name, text)| case(name, saying(text).request(), 400, "bad_message")).collect();
    let mut latin = good.clone().into_bytes();
    latin.splice(5..5, *b"<a>\xe9</a>");
    cases.push(case("no UTF-8", saying(latin).request(), 400, "bad_message"));
    for tenth in 1..10 {
        let end = good.len() * tenth / 10;
        let request = saying(good[..end].to_owned()).request();
        cases.push(case(format!("message cut after {tenth} tenths"), request, 400, "bad_message"));
    }
    cases
}
