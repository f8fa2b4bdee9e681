//! Authentic messages at the wrong address.

use super::case::{Case, case, saying};
use crate::room::{ANNA, BENE, COMPONENT, NAMELESS, NOW, Push, paid, paid_json};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let annas = Push::authorized(ANNA, paid("gh_anna", 7));
    let replayed = Push { path: format!("/callback/weixin/{BENE}"), ..annas.clone() };
    cases.push(case("Anna's push replayed to Bene", replayed.request(), 403, "wrong_shop"));
    let replayed = Push { path: format!("/callback/weixin/{BENE}"), ..Push::authorized(ANNA, paid_json("gh_anna", 7)) };
    cases.push(case("Anna's JSON push replayed to Bene", replayed.request(), 403, "wrong_shop"));
    for to in [
        "gh_bene",
        "gh_",
        "gh_ann",
        "gh_anna0",
        "GH_ANNA",
        " gh_anna",
        "gh_anna ",
        "gh_anna\n",
        "anna",
        ANNA,
        "gh_аnna",
    ] {
        cases.push(case(format!("ToUserName {to:?}"), saying(paid(to, 7)).request(), 403, "wrong_shop"));
    }
    let selma = Push::self_built(paid_json("gh_anna", 7));
    cases.push(case("self-built, another's ToUserName", selma.request(), 403, "wrong_shop"));
    for (name, message) in [
        ("missing", paid("gh_anna", 7).replace("ToUserName", "ToUser")),
        ("empty", paid("", 7)),
        ("twice", paid("gh_anna", 7).replace("<xml>", "<xml><ToUserName>gh_bene</ToUserName>")),
        ("with an element", paid("gh_anna", 7).replace("<![CDATA[gh_anna]]>", "<a>gh_anna</a>")),
        (
            "in order_info alone",
            paid("gh_anna", 7).replace("<order_info>", "<order_info><ToUserName>gh_anna</ToUserName>").replacen(
                "ToUserName",
                "X",
                2,
            ),
        ),
        ("missing in JSON", paid_json("gh_anna", 7).replace("ToUserName", "toUserName")),
        ("null", paid_json("gh_anna", 7).replace("\"gh_anna\"", "null")),
        ("a list", paid_json("gh_anna", 7).replace("\"gh_anna\"", "[\"gh_anna\"]")),
        ("an object", paid_json("gh_anna", 7).replace("\"gh_anna\"", "{\"gh_anna\":1}")),
    ] {
        cases.push(case(format!("ToUserName {name}"), saying(message).request(), 400, "bad_message"));
    }
    for (name, message) in [("missing", paid("", 7)), ("missing in JSON", paid_json("", 7))] {
        let push = Push::authorized(NAMELESS, message);
        cases.push(case(format!("no user_name, and ToUserName {name}"), push.request(), 400, "bad_message"));
    }
    cases.extend(component());
    cases
}

fn component() -> Vec<Case> {
    let info =
        |appid: &str, more: &str| format!("<xml><AppId>{appid}</AppId><CreateTime>{NOW}</CreateTime>{more}</xml>");
    let ticket = "<InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>t</ComponentVerifyTicket>";
    let mut cases = vec![
        case("a shop's order at the component", Push::component(paid("gh_anna", 7)).request(), 400, "wrong_address"),
        case(
            "a shop's JSON order at the component",
            Push::component(paid_json("gh_anna", 7)).request(),
            400,
            "wrong_address",
        ),
        case("a ticket at a shop", saying(info(COMPONENT, ticket)).request(), 400, "bad_message"),
        case("another component's ticket", Push::component(info("wxffff", ticket)).request(), 403, "wrong_shop"),
    ];
    let without_time = info(COMPONENT, ticket).replace("CreateTime", "Time");
    for (name, message) in [
        ("ticket without AppId", info("", ticket)),
        ("ticket without CreateTime", without_time),
        ("ticket without a ticket", info(COMPONENT, "<InfoType>component_verify_ticket</InfoType>")),
        (
            "ticket with an empty ticket",
            info(COMPONENT, "<InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket/>"),
        ),
        ("no InfoType", info(COMPONENT, "")),
        ("InfoType twice", info(COMPONENT, "<InfoType>authorized</InfoType><InfoType>unauthorized</InfoType>")),
        ("InfoType too long", info(COMPONENT, &format!("<InfoType>{}</InfoType>", "a".repeat(129)))),
        ("CreateTime negative", info(COMPONENT, ticket).replace(&NOW.to_string(), "-1")),
        ("no message", String::new()),
        ("no XML", "ticket".to_owned()),
    ] {
        cases.push(case(format!("component: {name}"), Push::component(message).request(), 400, "bad_message"));
    }
    let strange = Push { token: "other".to_owned(), ..Push::component(info(COMPONENT, ticket)) };
    cases.push(case("component: another token", strange.request(), 401, "bad_signature"));
    let shops = Push { appid: ANNA.to_owned(), ..Push::component(info(COMPONENT, ticket)) };
    cases.push(case("component: closes with a shop's appid", shops.request(), 403, "wrong_appid"));
    let old = Push { timestamp: (NOW - 90_000).to_string(), ..Push::component(info(COMPONENT, ticket)) };
    cases.push(case("component: too old", old.request(), 403, "outside_window"));
    cases
}
