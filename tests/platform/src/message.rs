//! An event's decrypted message in the four spellings that a receiver must take: XML or JSON, ids as numbers or texts.

use serde::{Deserialize, Serialize};

/// What happened to an order (platform page 3.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum OrderEvent {
    /// Placed.
    New,
    /// Cancelled: 1 user, 2 timeout, 3 all items refunded, 4 oversold.
    Cancel {
        /// The code as pushed.
        cancel_type: i64,
    },
    /// Paid.
    Pay {
        /// Unix seconds.
        pay_time: i64,
    },
    /// Became 待发货.
    WaitShipping,
    /// A shipment call.
    Deliver {
        /// 0 partial, 1 complete.
        finish_delivery: i64,
    },
    /// Received: 1 user, 2 timeout.
    Confirm {
        /// The code as pushed.
        confirm_type: i64,
    },
    /// Settled.
    Settle {
        /// Unix seconds.
        settle_time: i64,
    },
    /// Other data changed; 23 known types, and unknown ones may come.
    ExtInfo {
        /// The code as pushed (platform page 3.3).
        #[serde(rename = "type")]
        ext_type: i64,
    },
}

impl OrderEvent {
    /// The value of `Event`.
    pub fn name(&self) -> &'static str {
        match self {
            OrderEvent::New => "channels_ec_order_new",
            OrderEvent::Cancel { .. } => "channels_ec_order_cancel",
            OrderEvent::Pay { .. } => "channels_ec_order_pay",
            OrderEvent::WaitShipping => "channels_ec_order_wait_shipping",
            OrderEvent::Deliver { .. } => "channels_ec_order_deliver",
            OrderEvent::Confirm { .. } => "channels_ec_order_confirm",
            OrderEvent::Settle { .. } => "channels_ec_order_settle",
            OrderEvent::ExtInfo { .. } => "channels_ec_order_ext_info_update",
        }
    }

    /// The member of `order_info` beside `order_id`.
    pub fn member(&self) -> Option<(&'static str, i64)> {
        match *self {
            OrderEvent::New | OrderEvent::WaitShipping => None,
            OrderEvent::Cancel { cancel_type } => Some(("cancel_type", cancel_type)),
            OrderEvent::Pay { pay_time } => Some(("pay_time", pay_time)),
            OrderEvent::Deliver { finish_delivery } => Some(("finish_delivery", finish_delivery)),
            OrderEvent::Confirm { confirm_type } => Some(("confirm_type", confirm_type)),
            OrderEvent::Settle { settle_time } => Some(("settle_time", settle_time)),
            OrderEvent::ExtInfo { ext_type } => Some(("type", ext_type)),
        }
    }
}

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// As the page of third-party platforms says.
    Xml,
    /// As the page of merchants' own pushes says.
    Json,
}

/// How an id or a code is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spelling {
    /// A bare number.
    Number,
    /// A text.
    Text,
}

/// One spelling of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushForm {
    /// XML or JSON, outer body and message alike.
    pub body: Body,
    /// `order_id`.
    pub ids: Spelling,
    /// The other members of `order_info`.
    pub codes: Spelling,
}

impl PushForm {
    /// All spellings there are.
    pub const ALL: [PushForm; 8] = {
        let (n, t) = (Spelling::Number, Spelling::Text);
        [
            PushForm { body: Body::Json, ids: n, codes: n },
            PushForm { body: Body::Json, ids: n, codes: t },
            PushForm { body: Body::Json, ids: t, codes: n },
            PushForm { body: Body::Json, ids: t, codes: t },
            PushForm { body: Body::Xml, ids: n, codes: n },
            PushForm { body: Body::Xml, ids: n, codes: t },
            PushForm { body: Body::Xml, ids: t, codes: n },
            PushForm { body: Body::Xml, ids: t, codes: t },
        ]
    };
}

/// The message of one order event, before spelling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventMessage {
    /// The shop's `gh_` name.
    pub to_user_name: String,
    /// The buyer's openid.
    pub from_user_name: String,
    /// Unix seconds.
    pub create_time: i64,
    /// Which order.
    pub order_id: String,
    /// What happened.
    #[serde(flatten)]
    pub event: OrderEvent,
}

impl EventMessage {
    /// The bytes that are encrypted.
    pub fn spell(&self, form: PushForm) -> String {
        match form.body {
            Body::Json => self.json(form),
            Body::Xml => self.xml(form),
        }
    }

    // Written by hand: a bare order id must keep its 19 digits, and the members their documented order.
    fn json(&self, form: PushForm) -> String {
        let quote = |text: &str| serde_json::Value::from(text).to_string();
        let number = |digits: &str, spelling| match spelling {
            Spelling::Number if is_number(digits) => digits.to_owned(),
            _ => quote(digits),
        };
        let mut info = format!("\"order_id\":{}", number(&self.order_id, form.ids));
        if let Some((name, code)) = self.event.member() {
            info.push_str(&format!(",\"{name}\":{}", number(&code.to_string(), form.codes)));
        }
        format!(
            "{{\"ToUserName\":{},\"FromUserName\":{},\"CreateTime\":{},\"MsgType\":\"event\",\"Event\":\"{}\",\"order_info\":{{{info}}}}}",
            quote(&self.to_user_name),
            quote(&self.from_user_name),
            self.create_time,
            self.event.name(),
        )
    }

    fn xml(&self, form: PushForm) -> String {
        let number = |digits: &str, spelling| match spelling {
            Spelling::Number => escape(digits),
            Spelling::Text => cdata(digits),
        };
        let mut info = format!("<order_id>{}</order_id>", number(&self.order_id, form.ids));
        if let Some((name, code)) = self.event.member() {
            info.push_str(&format!("<{name}>{}</{name}>", number(&code.to_string(), form.codes)));
        }
        format!(
            "<xml><ToUserName>{}</ToUserName>\n<FromUserName>{}</FromUserName>\n<CreateTime>{}</CreateTime>\n<MsgType>{}</MsgType>\n<Event>{}</Event>\n<order_info>{info}</order_info>\n</xml>",
            cdata(&self.to_user_name),
            cdata(&self.from_user_name),
            self.create_time,
            cdata("event"),
            cdata(self.event.name()),
        )
    }
}

fn is_number(digits: &str) -> bool {
    let magnitude = digits.strip_prefix('-').unwrap_or(digits);
    !magnitude.is_empty()
        && magnitude.bytes().all(|b| b.is_ascii_digit())
        && (magnitude == "0" || !magnitude.starts_with('0'))
}

pub(crate) fn cdata(text: &str) -> String {
    format!("<![CDATA[{}]]>", text.replace("]]>", "]]]]><![CDATA[>"))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn message(event: OrderEvent) -> EventMessage {
        EventMessage {
            to_user_name: "gh_*".to_owned(),
            from_user_name: "OPENID".to_owned(),
            create_time: 1_662_480_000,
            order_id: "3705115058471208928".to_owned(),
            event,
        }
    }

    #[test]
    fn json_equals_the_published_examples() {
        let file: Value = serde_json::from_str(include_str!("../fixtures/order-events.json")).unwrap();
        let ours = [
            OrderEvent::New,
            OrderEvent::Cancel { cancel_type: 1 },
            OrderEvent::Pay { pay_time: 1_658_509_200 },
            OrderEvent::WaitShipping,
            OrderEvent::Deliver { finish_delivery: 1 },
            OrderEvent::Confirm { confirm_type: 1 },
            OrderEvent::Settle { settle_time: 1_662_480_000 },
            OrderEvent::ExtInfo { ext_type: 1 },
        ];
        let mut compared = 0;
        for (example, event) in file["events"].as_array().unwrap().iter().zip(ours) {
            assert_eq!(example["name"], event.name());
            for (kind, spelling) in
                [("official", Spelling::Number), ("derived", Spelling::Number), ("variant", Spelling::Text)]
            {
                let Some(published) = example.get(kind) else { continue };
                let form = PushForm { body: Body::Json, ids: spelling, codes: spelling };
                let spelt: Value = serde_json::from_str(&message(event.clone()).spell(form)).unwrap();
                assert_eq!(&spelt, published, "{} {kind}", event.name());
                compared += 1;
            }
        }
        assert_eq!(compared, 9);
    }

    #[test]
    fn xml_nests_order_info_and_keeps_all_digits() {
        let xml = message(OrderEvent::ExtInfo { ext_type: 5 }).spell(PushForm {
            body: Body::Xml,
            ids: Spelling::Number,
            codes: Spelling::Text,
        });
        assert!(
            xml.contains("<order_info><order_id>3705115058471208928</order_id><type><![CDATA[5]]></type></order_info>")
        );
        assert!(xml.contains("<CreateTime>1662480000</CreateTime>"));
        assert_eq!(cdata("a]]>b"), "<![CDATA[a]]]]><![CDATA[>b]]>");
    }
}
